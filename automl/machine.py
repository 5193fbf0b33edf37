"""What this machine offers to this process: cores, and a folder for what can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def usable_cores() -> int:
    """Return how many cores this process may use, which containers and batch systems limit."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def cache_folder() -> Path:
    """Return where decoded images and copies of remote studies lie: AUTOML_CACHE_DIR, or the user's cache folder."""
    base = os.environ.get("AUTOML_CACHE_DIR")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "automl"
