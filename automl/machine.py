"""Resources of this machine: cores, memory, the cache folder, and access to the Hugging Face hub.

`psutil` is imported on first use, so `automl --help` does not wait for it.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from pathlib import Path
from typing import Any

HUB_SECONDS = 2.0  # timeout of the check whether the hub answers


def cores() -> int:
    """Return the number of cores that this process may use, which containers and batch systems limit."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def cache_folder() -> Path:
    """Return the folder for decoded images and for copies of remote studies: AUTOML_CACHE_DIR, or the user's cache."""
    base = os.environ.get("AUTOML_CACHE_DIR")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "automl"


def hub_address() -> str:
    """Return the address of the Hugging Face hub."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_is_off() -> bool:
    """Return whether the environment forbids requests to the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")


def hub_answers(seconds: float = HUB_SECONDS) -> bool:
    """Return whether the hub may be asked and answers one request within `seconds`.

    Imports none of the hub's packages: they read HF_HUB_OFFLINE only when they are imported.
    """
    if hub_is_off():
        return False
    answers: list[bool] = []
    # A DNS lookup has no timeout, so it runs in a thread that is abandoned if it hangs.
    thread = threading.Thread(target=lambda: answers.append(_answers(hub_address(), seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return any(answers)


def _answers(address: str, seconds: float) -> bool:
    import urllib.error  # here, as every command imports this module
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds):
            return True
    except urllib.error.HTTPError:
        return True  # the hub answered, with an error page
    except (OSError, ValueError):
        return False


def free_memory() -> int:
    """Return the bytes that can still be allocated: those available on the system, or left in the container."""
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    try:
        left = int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or one without a limit
        return free
    return max(0, min(free, left))


def resident_memory() -> int:
    """Return the bytes of memory of this process, including mapped files."""
    return int(_this_process().memory_info().rss)


def private_memory() -> int:
    """Return the bytes of memory of this process that are neither mapped files nor shared."""
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
    return _process(os.getpid())  # by its id, as a fork is another process
