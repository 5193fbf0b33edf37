"""This machine: cores, memory, clock, the cache folder, and access to the Hugging Face hub.

`psutil` and others are imported on first use, so `automl --help` does not wait for them.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from automl.errors import UsageError

LONGEST_START = 60.0  # seconds from the start of a process to its first line
LOOP_S = 0.06  # several turns of the scheduler
CGROUPS, OWN_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
NO_LIMIT = 2**60  # bytes; version 1 of control groups writes the largest number for "none"
LONGEST_NAME, LONGEST_PATH = 255, 4096  # of a file; no usual system has longer ones
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
        import socket

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
    """Return the number of cores that this process may use, which containers and batch systems limit.

    A share of a core counts as one: threads that wait for a part of the time lose less than a core that is not used.
    """
    quota = cpu_quota()
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, allowed if quota is None else min(allowed, math.ceil(quota)))


def cpu_quota(groups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> float | None:
    """Return how many cores' time the container or batch system gives to this process; None without such a limit."""
    found = []
    for folder in _cgroup_folders("cpu", groups, own):
        words = _words(folder / "cpu.max")  # version 2: "QUOTA PERIOD" or "max PERIOD"
        if not words:
            words = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]) > 0:
            found.append(int(words[0]) / int(words[1]))
    return min((quota for quota in found if quota > 0), default=None)


def memory_limit(groups: Path = CGROUPS, own: Path = OWN_CGROUPS) -> tuple[int, int] | None:
    """Return the bytes of memory that the container or batch system allows, and those of them that are free.

    None without such a limit. Pages that only cache files count as free, as the kernel drops them first.
    """
    found = []
    for folder in _cgroup_folders("memory", groups, own):
        for limit_file, used_file, cached in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, used = _words(folder / limit_file), _words(folder / used_file)
            if not (limit and used and limit[0].isdecimal() and used[0].isdecimal()):
                continue
            if int(limit[0]) < NO_LIMIT:
                stat = _words(folder / "memory.stat")
                held = int(stat[stat.index(cached) + 1]) if cached in stat else 0
                most = int(limit[0])
                found.append((most, min(most, max(0, most - int(used[0]) + held))))
    return min(found, key=lambda both: both[1], default=None)


def _cgroup_folders(controller: str, groups: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of the control groups (version 2, then 1) that this process is in, up to the root.

    A container sees its own group as the root, while /proc/self/cgroup may name the path outside of it.
    """
    try:
        lines = own.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    known = {names: path for _, names, path in (line.split(":", 2) for line in lines if line.count(":") >= 2)}
    joined = next((names for names in known if controller in names.split(",")), controller)
    for root, path in (
        (groups, known.get("", "/")),
        *((groups / name, known.get(joined, "/")) for name in dict.fromkeys((controller, joined))),
    ):
        folder = root / path.lstrip("/")
        if ".." not in folder.parts:
            yield from (
                inner for inner in (folder, *folder.parents) if inner != root and root in inner.parents
            )
        yield root


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def home_folder() -> Path | None:
    """Return the user's home folder; None for a user whom the system does not know, without the variable HOME."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises an error where there is none
    return None if home == "~" else Path(home)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return the path with `~` or `~user` at its start replaced. It stays as it is where there is no such folder."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser() raises an error there


def path_problem(path: str | os.PathLike[str]) -> str:
    """Return why no system takes a path, as a clause; "" if one may. Looking there would be an error."""
    text = os.fspath(path)
    if "\0" in text:
        return f"the name of a file or folder cannot hold a byte of zero, but {text[:40]!r} does"
    longest = max(map(len, Path(text).parts), default=0)  # in characters: as many bytes or more
    if longest <= LONGEST_NAME and len(text) <= LONGEST_PATH:
        return ""
    return too_long(text)


def too_long(path: str) -> str:
    """Return that the name of a file or folder is too long, as a clause."""
    return f"the name of a file or folder must be shorter, but {path[:40]!r}... has {len(path):,} characters"


def user_name() -> str:
    """Return the name of the user, or the number of one whom the system does not know."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "somebody"


def cache_folder() -> Path:
    """Return the folder for decoded images and for copies of remote studies: AUTOML_CACHE_DIR, or the user's cache.

    Without a home folder, as in many containers, that is a folder of this user among the temporary files. Raises
    UsageError if it is somebody else's.
    """
    base = os.environ.get("AUTOML_CACHE_DIR")
    return Path(base) if base else user_cache() / "automl"


def user_cache() -> Path:
    """Return the folder for the caches of this user's programs (see `cache_folder`)."""
    cache, home = os.environ.get("XDG_CACHE_HOME"), home_folder()
    if cache:
        return Path(cache)
    return (_stand_in_home() if home is None else home) / ".cache"


def ensure_home() -> None:
    """Give this process a home folder among the temporary files if its user has none: libraries ask for one.

    Raises UsageError if that folder is somebody else's or cannot be written.
    """
    if home_folder() is not None:
        return
    folder = _stand_in_home()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{str(folder)!r} cannot be written: set HOME to a folder of your own") from error
    os.environ["HOME"] = str(folder)


def _stand_in_home() -> Path:
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"automl-home-{os.getuid() if hasattr(os, 'getuid') else 0}"
    if folder.exists() and hasattr(os, "getuid") and folder.lstat().st_uid != os.getuid():
        raise UsageError(
            f"{str(folder)!r} belongs to another user: set HOME or AUTOML_CACHE_DIR to a folder of your own"
        )
    return folder


def check_working_folder() -> None:
    """Raise UsageError if the current folder was removed: names of files mean nothing then."""
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError("the current folder does not exist any more: go to another one first") from error


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
    """Return the bytes that can still be allocated: those available on the system, or left in the container.

    Where `ulimit -v` limits the addresses of a process, at most what it leaves to this one.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    limit, addresses = memory_limit(), address_space_left()
    free = free if limit is None else min(free, limit[1])
    return free if addresses is None else min(free, addresses)


def largest_file() -> int | None:
    """Return how many bytes a file of this process may have (`ulimit -f`); None without such a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if most == resource.RLIM_INFINITY else most


def address_space_left() -> int | None:
    """Return the bytes of addresses that this process may still reserve (`ulimit -v`); None without such a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return None
    return max(0, most - int(_this_process().memory_info().vms))


def total_memory() -> int:
    """Return the bytes of memory of this system, or those that the container allows."""
    import psutil

    total = int(psutil.virtual_memory().total)
    limit = memory_limit()
    return total if limit is None else min(total, limit[0])


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


def is_alive(pid: int) -> bool:
    """Return whether there is a process with this id on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _process(pid: int) -> Any:
    import psutil

    return psutil.Process(pid)


def _this_process() -> Any:
    return _process(os.getpid())  # by its id, as a fork is another process
