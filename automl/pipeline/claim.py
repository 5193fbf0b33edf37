"""Whose a study's folder is at the moment, and what a start that was killed left there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO

from automl.errors import StudyError

LOCK = ".running"
REPLACED = ".replaced-"  # then the process that moved it away


class Claim:
    """A study's folder in the hands of this process, by a lock that the system takes back when the process ends.

    Where the file system knows no locks (or the system is none of Unix), nothing is held.
    """

    def __init__(self, root: Path) -> None:
        """Raises StudyError if another process runs the study. The folder must exist."""
        self._file: IO[str] | None = (root / LOCK).open("a+", encoding="utf-8")
        if _locked_by_another(self._file):
            self._file.seek(0)
            owner = self._file.read().strip() or "another process"
            self._file.close()
            raise StudyError(
                f"the study {root.name!r} must be run by one process at a time, and {owner} runs it: "
                "wait for its end, or stop it"
            )
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def release(self) -> None:
        """Another process may go on with the study. The file stays: it tells a study that never began."""
        if self._file is not None:
            self._file.close()
            self._file = None


def never_began(root: Path) -> bool:
    """Whether the folder is that of a study whose start was killed before there was anything to go on from."""
    return (root / LOCK).is_file() and not (root / "study.yaml").is_file()


def clear(root: Path) -> None:
    """Empty the folder of a study that never began, but for its lock."""
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def restore_replaced(root: Path) -> None:
    """Put back the study that an `--overwrite` had moved away when it was killed, unless the new one has begun."""
    for moved in sorted(root.parent.glob(f".{root.name}{REPLACED}*")):
        try:
            Claim(moved).release()
        except StudyError:  # the process that moved it lives, and decides
            continue
        if (root / "study.yaml").is_file():
            shutil.rmtree(moved)
        elif not root.exists() or never_began(root):
            shutil.rmtree(root, ignore_errors=True)
            moved.rename(root)


def _locked_by_another(file: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    return False
