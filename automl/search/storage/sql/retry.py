"""A database that is away for a while: which errors say so, and how long it is waited for (`journal.py`)."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

LONGEST = 300.0  # seconds
LOCKED = ("locked", "busy")


def is_away(error: BaseException | None) -> bool:
    """Whether the error, or what it came from, is that of a database which may come back."""
    while error is not None:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        if isinstance(error, OperationalError | InterfaceError):
            backend = type(error.orig).__module__
            return not backend.startswith("sqlite3") or any(word in str(error.orig) for word in LOCKED)
        error = error.__cause__
    return False
