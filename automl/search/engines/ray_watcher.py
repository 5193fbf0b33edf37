"""A small process that outlives a driver which is killed, and takes what Ray left behind with it.

Run as a program with the session's folder: it waits until its standard input ends, which the system sees to however the
driver ends; then it kills every process that writes its output into the folder, and removes the folder. Ray's
raylet dies with the driver, but its agents, and workers that are just starting, may stay for ever.
It imports nothing but the standard library, so that it costs a few megabytes.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

QUIET = 1.0  # seconds without any such process, after which none is expected to appear any more
LONGEST = 15.0


def main() -> None:
    """Wait for the end of the driver, then clean up."""
    # Ctrl-C in a terminal reaches the whole group; this process has to see the end of it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    clean(Path(sys.argv[1]))


def clean(folder: Path) -> None:
    """Kill the processes of the session, until none has appeared for a second, and remove its folder."""
    begun = last = time.monotonic()
    while time.monotonic() - last < QUIET and time.monotonic() - begun < LONGEST:
        for pid in of_session(folder):
            kill(pid)
            last = time.monotonic()
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def of_session(folder: Path) -> list[int]:
    """Ray's processes and their children: what they print goes to files in the folder. Only where there is /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            outputs = [(entry / "fd" / number).readlink() for number in ("1", "2")]
        except OSError:  # another user's, or gone meanwhile
            continue
        if any(output.is_relative_to(folder) for output in outputs):
            found.append(int(entry.name))
    return found


def kill(pid: int) -> bool:
    """Kill a process; whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
