"""A small process that outlives a driver which is killed, and takes what Ray left behind with it.

Run as a program with the session's folder, the beginning of the names of other folders to remove, and the driver's
number: it waits until its standard input ends, which the system sees to however the driver ends; then it says so, kills
every process that writes its output into the folder, and removes the folder. Ray's raylet dies with the driver, but its
agents, and workers that are just starting, may stay for ever. It imports nothing but the standard library, so that it
costs a few megabytes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

QUIET = 1.0  # seconds without any such process, after which none is expected to appear any more
LONGEST = 15.0
LOG_TAIL = 200_000  # characters
# [2026-11-25 22:28:35,193 E 7593 7593] (raylet) agent_manager.cc:86: The raylet exited ...
SERIOUS = re.compile(r"^\[[^\]]* [EFC] \d+ \d+\] \(raylet\) (?:\S+: *)?(.+)$", re.MULTILINE)
WORDS = (
    "automl: process {} ended without being able to say why: it was killed, there was no memory left, or Ray's raylet "
    "died; what was reported is kept, and the study can be gone on with"
)


def main() -> None:
    """Wait for the end of the driver, then clean up."""
    # Ctrl-C in a terminal reaches the whole group; this process has to see the end of it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    # Who ends in order kills this process first. Ray ends the driver, too, a few seconds after its raylet has died.
    folder = Path(sys.argv[1])
    with suppress(OSError):  # nobody reads it any more
        print(WORDS.format(sys.argv[3]) + last_words(folder), file=sys.stderr, flush=True)
    clean(folder)
    others = Path(sys.argv[2])
    for folder in others.parent.glob(f"{others.name}*"):
        shutil.rmtree(folder, ignore_errors=True)


def last_words(folder: Path) -> str:
    """What the raylet said of its own end, as the rest of a sentence; "" where it said nothing or still lives."""
    found = []
    for log in folder.glob("r/session_2*/logs/raylet.out"):
        with suppress(OSError):
            found += SERIOUS.findall(log.read_text(errors="replace")[-LOG_TAIL:])
    return f"; the raylet's last error: {found[-1]}" if found else ""


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
    """Ray's processes and their children, by the log files in the folder that they hold. Only where there is /proc.

    Whoever else holds a file there (a person who reads a log, another program that uses this Ray) is left alone.
    """
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            held = {path.name: path.readlink() for path in (entry / "fd").iterdir()}
            inside = {number for number, file in held.items() if file.is_relative_to(folder)}
            if inside and ({"1", "2"} & inside or _is_ray((entry / "cmdline").read_bytes(), folder)):
                found.append(int(entry.name))
        except OSError:  # another user's, or gone meanwhile
            continue
    return [pid for pid in found if pid != os.getpid()]


def _is_ray(command: bytes, folder: Path) -> bool:
    return command.startswith(b"ray::") or str(folder).encode() in command


def kill(pid: int) -> bool:
    """Kill a process; whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
