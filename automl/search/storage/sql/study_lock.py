"""Study locks: one search at a time writes to a study. They end with the process that holds them."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import sys
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, text

from automl.errors import StudyError
from automl.search.storage.sql.database import Database
from automl.search.storage.sql.urls import sqlite_file

if sys.platform != "win32":
    import fcntl

CLASS = 0x4155544D  # "AUTM": tells our advisory locks from those of other programs


class StudyLock(Protocol):
    """The right to write to a study."""

    def take(self, connection: Connection) -> None:
        """Take the lock, with each new connection that will write. Raises StudyError if another search has it."""

    def release(self) -> None:
        """Release the lock. One that is tied to a connection ends with it."""


def study_lock(database: Database, study: str, study_id: int) -> StudyLock:
    """Return the lock of a study: a locked file beside SQLite, a lock of the server elsewhere."""
    url = database.engine.url
    if url.get_backend_name() == "postgresql":
        return PostgresLock(database.shown, study, study_id)
    if url.get_backend_name() in ("mysql", "mariadb"):
        return MySQLLock(database.shown, study, f"automl-{url.database}-{study_id}"[:64])
    path = sqlite_file(url)
    if path is not None and sys.platform != "win32":
        return FileLock(database.shown, study, path.with_name(f"{path.name}-{study_id}.lock"))
    return NoLock()


class NoLock:
    """No lock, for a database that nobody else can open."""

    def take(self, connection: Connection) -> None:
        """Do nothing."""

    def release(self) -> None:
        """Do nothing."""


class FileLock:
    """A lock (flock) on a small file that holds the owner's name, and is removed with the lock."""

    def __init__(self, shown: str, study: str, path: Path) -> None:
        self._shown, self._study, self._path = shown, study, path
        self._file: int | None = None

    def take(self, connection: Connection) -> None:
        """Take the lock, unless this search has it already."""
        while self._file is None and sys.platform != "win32":
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = os.read(file, 200).decode(errors="replace").strip()
                os.close(file)
                raise _taken(self._study, self._shown, holder) from None
            if not self._is_there(file):  # its holder has just removed it
                os.close(file)
                continue
            os.ftruncate(file, 0)
            os.write(file, f"{platform.node()}:{os.getpid()}\n".encode())
            self._file = file

    def release(self) -> None:
        """Remove the file and release the lock."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # the folder may be gone already
                self._path.unlink()
            os.close(self._file)
            self._file = None

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except OSError:
            return False


class PostgresLock:
    """An advisory lock of the session, which the server releases when the connection ends."""

    def __init__(self, shown: str, study: str, study_id: int) -> None:
        self._shown, self._study = shown, study
        self._key = {"class": CLASS, "id": study_id}
        self._name = f"automl {platform.node()[:30]}:{os.getpid()} {secrets.token_hex(4)}"

    def take(self, connection: Connection) -> None:
        """Take the lock in this session. An earlier session of this search, whose connection broke, is ended first."""
        connection.execute(text("SELECT set_config('application_name', :name, false)"), {"name": self._name})
        # Without keepalives, a server does not notice that the machine of a search is gone.
        connection.execute(text("SELECT set_config('tcp_keepalives_idle', '30', false)"))
        lock = text("SELECT pg_try_advisory_lock(:class, :id)")
        if not connection.execute(lock, self._key).scalar_one():
            pid, holder = self._holder(connection)
            if holder == self._name:
                connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            if holder != self._name or not connection.execute(lock, self._key).scalar_one():
                raise _taken(self._study, self._shown, holder.removeprefix("automl ").partition(" ")[0])
        connection.commit()

    def release(self) -> None:
        """Do nothing: the lock ends with the connection."""

    def _holder(self, connection: Connection) -> tuple[int, str]:
        found = connection.execute(
            text(
                "SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
                "WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :class AND l.objid = :id "
                "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ),
            self._key,
        ).first()
        return (int(found[0]), str(found[1])) if found else (0, "")


class MySQLLock:
    """A named lock of the session, which the server releases when the connection ends."""

    def __init__(self, shown: str, study: str, key: str) -> None:
        self._shown, self._study, self._key = shown, study, key

    def take(self, connection: Connection) -> None:
        """Take the lock in this session."""
        got = connection.execute(text("SELECT GET_LOCK(:key, 0)"), {"key": self._key}).scalar_one()
        if got != 1:
            holder = connection.execute(text("SELECT IS_USED_LOCK(:key)"), {"key": self._key}).scalar_one()
            raise _taken(self._study, self._shown, f"connection {holder}")
        connection.commit()

    def release(self) -> None:
        """Do nothing: the lock ends with the connection."""


def _taken(study: str, shown: str, holder: str) -> StudyError:
    who = f" ({holder})" if holder else ""
    return StudyError(
        f"only one search may write to a study, and another{who} is running {study!r} in {shown}: wait for it, "
        "stop it, or give another --study name"
    )
