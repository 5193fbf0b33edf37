"""Worker processes of Ray that end before they run anything: Ray starts new ones for ever, without a word."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from automl.machine import is_alive

ENOUGH = 3  # workers that ended: one may have been killed
LOG_TAIL = 20_000  # characters
ERROR = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit)\b.*$", re.MULTILINE)
# worker-ID-JOB-PID.err
LOGS = "r/session_2*/logs/worker-*.err"


def cause_of_failed_starts(folder: Path) -> str | None:
    """Return the error of workers that ended with one, if there are several; `folder` is that of Ray's session."""
    causes = []
    for log in sorted(folder.glob(LOGS)):
        pid = log.stem.rpartition("-")[2]
        if pid.isdigit() and not is_alive(int(pid)):
            with suppress(OSError):
                causes += _first_error(log.read_text(errors="replace")[-LOG_TAIL:])
    return causes[-1] if len(causes) >= ENOUGH else None


def _first_error(text: str) -> list[str]:
    """Return the error that the others of a chain follow from, as a list of one; empty if there is none."""
    return ERROR.findall(text)[:1] if "Traceback (most recent call last)" in text else []
