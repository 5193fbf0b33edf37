"""Writing to a database that is away for a while: wait and write again, so that no report is lost."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

from automl import log
from automl.errors import StorageError

Given = ParamSpec("Given")
Found = TypeVar("Found")

LONGEST = 300.0  # seconds
PAUSES = (0.1, 0.5, 1.0, 2.0)  # seconds between two tries; the last one again and again
LOCKED = ("locked", "busy")


def patient(write: Callable[Given, Found]) -> Callable[Given, Found]:
    """Calls `write` again while its StorageError says that the database is locked or cannot be reached.

    Up to five minutes, in which trials go on training and their reports wait; then the error is raised. What is written
    must come to the same when it is written twice. A full disk or a damaged file is raised at once.
    """

    @functools.wraps(write)
    def waiting(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        begun, tries = time.monotonic(), 0
        while True:
            try:
                return write(*args, **kwargs)
            except StorageError as error:
                if not is_away(error) or time.monotonic() - begun > LONGEST:
                    raise
                log.get_logger(__name__).warning("%s; tried again", error)
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1

    return waiting


def is_away(error: BaseException | None) -> bool:
    """Whether the error, or what it came from, is that of a database which may come back."""
    while error is not None:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        if isinstance(error, OperationalError):
            backend = type(error.orig).__module__
            return not backend.startswith("sqlite3") or any(word in str(error.orig) for word in LOCKED)
        error = error.__cause__
    return False
