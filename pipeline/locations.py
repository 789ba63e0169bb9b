"""Where things live outside the project's folder."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def from_home(path: str) -> Path:
    """A path in which ~ stands for a home; as it is where there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises there


def cache_folder() -> Path:
    """The folder shared by all projects of a user: ``$CLIPCACHE_DIR``, else the user cache."""
    named = os.environ.get("CLIPCACHE_DIR")
    return from_home(named) if named else user_cache_path("clipcache", appauthor=False)
