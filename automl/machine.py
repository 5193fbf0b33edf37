"""What this machine offers to this process: cores, memory, and a folder for what can be made again.

`psutil` is imported when memory is first asked for: `automl --help` does not wait for it.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any


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


def free_memory() -> int:
    """Return how many bytes may still be taken: what the system calls available, or what the container has left."""
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    try:
        left = int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or one without a limit
        return free
    return max(0, min(free, left))


def resident_memory() -> int:
    """Return how many bytes of memory this process has, mapped files included."""
    return int(_this_process().memory_info().rss)


def private_memory() -> int:
    """Return how many bytes of memory this process has that belong to no file and to no other process."""
    info = _this_process().memory_info()
    shared = getattr(info, "shared", None)
    if shared is not None:  # Linux
        return max(0, int(info.rss - shared))
    return int(_this_process().memory_full_info().uss)


@cache
def _process(pid: int) -> Any:
    import psutil

    return psutil.Process(pid)


def _this_process() -> Any:
    return _process(os.getpid())  # by its number: a fork is another process
