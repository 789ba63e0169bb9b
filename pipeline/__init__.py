"""clipcache: human action recognition in video on an ordinary machine."""

__version__ = "0.1.0"
