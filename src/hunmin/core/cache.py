"""Where results are kept that can be made again."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "HUNMIN_CACHE"


def cache_folder() -> Path:
    """Return the folder: $HUNMIN_CACHE, else hunmin below $XDG_CACHE_HOME or ~/.cache.

    Returns:
        The folder, which may not exist. Whatever is in it may be deleted at any time.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hunmin"
