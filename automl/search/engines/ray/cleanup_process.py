"""A watchdog: a small process that removes what Ray left behind when the driver is killed.

Its arguments are the session's folder, a prefix of other folders to remove, and the driver's process id. It waits until
its standard input ends, which happens however the driver ends. Then it says so, unless that was on purpose, kills every
process that writes its output into the folder, and removes the folder. Ray's raylet dies with the driver, but its
agents, and workers that are just starting, may stay for ever. It imports only the standard library, so it takes a few
megabytes.
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

QUIET = 1.0  # seconds without any such process, after which no more are expected
LONGEST = 15.0
ON_PURPOSE = b"."  # what a driver sends that ends before Ray is down
LOG_TAIL = 200_000  # characters
# [2026-11-25 22:28:35,193 E 7593 7593] (raylet) agent_manager.cc:86: The raylet exited ...
SERIOUS = re.compile(r"^\[[^\]]* [EFC] \d+ \d+\] \(raylet\) (?:\S+: *)?(.+)$", re.MULTILINE)
WORDS = (
    "automl: process {} ended without a message: it was killed, memory ran out, or Ray's raylet died; all reports are "
    "kept, resume the study with `automl resume`"
)


def main() -> None:
    """Wait for the end of the driver, then clean up."""
    # Ctrl-C in a terminal reaches the whole group, and this process has to outlive it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    on_purpose = ON_PURPOSE in sys.stdin.buffer.read()  # perhaps told twice
    # A driver that ends in order kills this process first. Ray ends the driver a few seconds after its raylet dies.
    folder = Path(sys.argv[1])
    if not on_purpose:
        with suppress(OSError):  # stderr may be closed
            print(WORDS.format(sys.argv[3]) + last_words(folder), file=sys.stderr, flush=True)
    clean(folder)
    others = Path(sys.argv[2])
    for folder in others.parent.glob(f"{others.name}*"):
        shutil.rmtree(folder, ignore_errors=True)


def last_words(folder: Path) -> str:
    """Return the raylet's last error as the rest of a sentence, "" where it logged none."""
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
    """Return Ray's processes and their children, which hold log files in the folder open. Needs /proc.

    Others that hold a file there (a person who reads a log, another program that uses this Ray) are left alone.
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
    """Kill a process. Return whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
