"""Where things live outside the project's folder."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """The folder shared by all projects of a user: ``$CLIPCACHE_DIR``, else the user cache."""
    named = os.environ.get("CLIPCACHE_DIR")
    return Path(named).expanduser() if named else user_cache_path("clipcache", appauthor=False)
