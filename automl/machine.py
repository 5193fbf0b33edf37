"""This machine: cores, memory, clock, the cache folder, and access to the Hugging Face hub.

`psutil` is imported on first use, so `automl --help` does not wait for it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

LONGEST_START = 60.0  # seconds from the start of a process to its first line
LOOP_S = 0.06  # several turns of the scheduler
HUB_SECONDS = 2.0  # timeout of the check whether the hub answers


@dataclass(frozen=True)
class Moment:
    """A point in time, such as a deadline, that also holds in other processes and on other machines.

    On the machine where it was made, only the steady clock (`time.monotonic()`, the same in all processes) counts: the
    system's clock may be set while a study runs. Another machine, or the same one after a restart, compares the wall
    clock. Make one with `Moment.now()` and `later`.
    """

    steady: float
    wall: float
    clock: str = field(default="", repr=False)  # names the steady clock

    @staticmethod
    def now() -> Moment:
        """Return the present moment."""
        return Moment(time.monotonic(), time.time(), steady_clock())

    def later(self, seconds: float) -> Moment:
        """Return the moment `seconds` after this one; earlier for negative ones."""
        return Moment(self.steady + seconds, self.wall + seconds, self.clock)

    def left(self) -> float:
        """Return the seconds until this moment; negative once it is over."""
        if self.clock == steady_clock():
            return self.steady - time.monotonic()
        return self.wall - time.time()

    def passed(self) -> bool:
        """Return whether this moment is over."""
        return self.left() <= 0.0

    def after(self, other: Moment) -> float:
        """Return the seconds from `other` to this moment."""
        if self.clock == other.clock:
            return self.steady - other.steady
        return self.wall - other.wall


@cache
def steady_clock() -> str:
    """Return a name that is equal for processes whose `time.monotonic()` can be compared.

    That clock counts from the start of the system (Linux, macOS, Windows), and in containers with a time namespace from
    a moment of their own.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/time').readlink()}"
    except OSError:  # not Linux, or an older kernel
        return socket.gethostname()


def slowdown() -> float:
    """Measure how many times longer this thread's work takes because of other work on this machine; at least 1.

    A loop of `LOOP_S` seconds of work is timed against the clock.
    """
    begun, worked = time.perf_counter(), time.thread_time()
    while time.thread_time() - worked < LOOP_S:
        sum(range(1000))
    return max(1.0, (time.perf_counter() - begun) / (time.thread_time() - worked))


def process_start() -> Moment:
    """Return the moment at which this process started, before Python was loaded; now if that is not known.

    To be called early, as a process that started more than a minute ago is not believed.
    """
    now = Moment.now()
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):  # not Linux
        return now
    # A system that counts otherwise must not use up the time limit.
    return now.later(-age) if 0.0 <= age <= LONGEST_START else now


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
def is_alive(pid: int) -> bool:
    """Return whether there is a process with this id on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process(pid: int) -> Any:
    import psutil

    return psutil.Process(pid)


def _this_process() -> Any:
    return _process(os.getpid())  # by its id, as a fork is another process
