"""Worker processes of Ray that end before they run anything: Ray starts new ones for ever, without a word."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from automl.machine import is_alive

ENOUGH = 3  # workers that ended: one may have been killed
LOG_TAIL = 20_000  # characters
# Not SystemExit: Ray ends a worker with it that it does not need any more, perhaps while that is starting.
ERROR = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception)\b.*$", re.MULTILINE)
# What Ray writes into the log of a worker that begins to run something. The other name is of an actor that it could not
# load, in whose place it puts its own.
RAN = re.compile(r"^:(?:actor_name:(?!TemporaryActor\b)|task_name:)", re.MULTILINE)
# worker-ID-JOB-PID.err
LOGS = "r/session_2*/logs/worker-*.err"


def cause_of_failed_starts(folder: Path) -> str | None:
    """Return the error of workers that ended with one, if there are several; `folder` is that of Ray's session."""
    causes = []
    for log in sorted(folder.glob(LOGS)):
        pid = log.stem.rpartition("-")[2]
        if pid.isdigit() and not is_alive(int(pid)):
            with suppress(OSError):
                causes += _first_error(_ends_of(log.read_text(errors="replace")))
    return causes[-1] if len(causes) >= ENOUGH else None


def _ends_of(text: str) -> str:
    """Return the first and the last lines of a long log."""
    return text if len(text) <= 2 * LOG_TAIL else text[:LOG_TAIL] + text[-LOG_TAIL:]


def _first_error(text: str) -> list[str]:
    """Return the error that the others of a chain follow from, as a list of one; empty if there is none.

    What ended a worker that ran something is its trial's matter: Ray may have been up for long, and such workers are
    many then.
    """
    failed = "Traceback (most recent call last)" in text and not RAN.search(text)
    return ERROR.findall(text)[:1] if failed else []
