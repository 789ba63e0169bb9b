"""clipcache: human action recognition in video on an ordinary machine."""

import os

# OpenCV and FFmpeg read these when they are loaded; a broken file is reported by us, once.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

__version__ = "0.1.0"
