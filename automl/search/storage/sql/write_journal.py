"""Writing to the study's database: rows of one moment share a transaction, and wait while the database is away."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, Executable, Insert, Table
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from automl.errors import AutomlError, StorageError
from automl.log import get_logger
from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql import tables
from automl.search.storage.sql.database import Database, storage_errors
from automl.search.storage.sql.study_lock import StudyLock
from automl.search.storage.sql.urls import sqlite_file
from automl.search.storage.sql.write_queue import Pending

MOMENT_S = 0.05  # writes closer together than this share a transaction
RETRY_S = 0.5  # between attempts while the database is away
LONGEST_CLOSE_S = 30.0  # that the thread which writes may take to end
LONGEST_S = 300.0  # that a database may be away
MOST = 5_000  # rows that may wait while the database is there
LOCKED = ("locked", "busy")  # SQLite's words for a database that another process writes to
# Parents before children. The order within a table is kept; between tables it does not matter in a transaction.
ORDER: tuple[Table, ...] = (
    rows.TRIALS,
    rows.PARAMS,
    rows.SYSTEM_ATTRIBUTES,
    rows.USER_ATTRIBUTES,
    rows.INTERMEDIATE,
    rows.VALUES,
    tables.trials,
    tables.runs,
    tables.reports,
    tables.decisions,
    tables.checkpoints,
    tables.objectives,
)

Found = TypeVar("Found")


class Journal:
    """The one writer of a study.

    `add` collects rows. `flush_if_due` writes them, unless the last transaction was a moment ago; then a thread writes
    them a moment later. `flush` writes all. While a database server is away, rows wait in memory, in order, and the
    search continues; after `patience` seconds it gives up. Each new connection first takes the study lock, so that
    another search that took over the study meanwhile is noticed. Every method may raise StorageError, at once for any
    error that is no outage.
    """

    def __init__(self, database: Database, ids: dict[int, int], study_lock: StudyLock) -> None:
        """`ids` are Optuna's ids by trial number. Those of new trials are added as they are written."""
        self.patience = LONGEST_S
        self._database = database
        self._ids = ids
        self._study_lock = study_lock
        self._lock = threading.RLock()
        self._pending: dict[Table, Pending] = {}
        self._count = 0
        self._connection: Connection | None = None
        self._written = self._tried = 0.0
        self._away_since: float | None = None
        self._error: AutomlError | None = None
        self._wake = threading.Event()
        self._closing = False
        with storage_errors(database.shown):
            self._connect()
        self._file = sqlite_file(database.engine.url)
        self._opened = None if self._file is None else self._file.stat()
        self._thread: threading.Thread | None = None
        if database.shared:
            # A database in memory has no other readers, for whom rows would have to be written in time.
            self._thread = threading.Thread(target=self._write_later, name="automl-journal", daemon=True)
            self._thread.start()

    def add(self, table: Table, statement: Executable, values: Mapping[str, Any]) -> None:
        """Add a row that is to be written."""
        with self._lock:
            self._count += 1
            if table not in self._pending:
                self._pending[table] = Pending()
            self._pending[table].add(statement, values)

    def flush_if_due(self, *, final: bool = False) -> None:
        """Write now or a moment later. `final`: now, if the database is there."""
        with self._lock:
            self._raise()
            due = final or time.monotonic() - self._written >= MOMENT_S
            if self._away_since is not None or self._count >= MOST or (due and self._database.shared):
                self._attempt()
            elif not self._wake.is_set():
                self._wake.set()

    def flush(self) -> None:
        """Write all rows. While the database is away, this waits, too."""
        while True:
            with self._lock:
                self._raise()
                if not self._pending:
                    return
                self._attempt()
                if not self._pending:
                    return
            time.sleep(RETRY_S)

    def read(self, query: Callable[[Connection], Found]) -> Found:
        """Return the result of the query, after all rows were written. Waits while the database is away."""
        while True:
            self.flush()
            try:
                with self._database.engine.connect() as connection:
                    return query(connection)
            except (SQLAlchemyError, StorageInternalError) as error:
                with self._lock:
                    self._failed(error)
                    self._raise()
            time.sleep(RETRY_S)

    def close(self) -> None:
        """Write all rows and release the study lock."""
        try:
            self.flush()
            self._check_file()
        finally:
            self._closing = True
            self._wake.set()
            if self._thread is not None:
                self._thread.join(LONGEST_CLOSE_S)
            with self._lock:
                self._disconnect()
                self._study_lock.release()

    # ------------------------------------------------------------------------------------------------------

    def _write_later(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            time.sleep(MOMENT_S)
            with self._lock:
                if self._pending and self._error is None and not self._closing:
                    self._attempt()
                    if self._pending:
                        self._wake.set()

    def _attempt(self) -> None:
        """Write all rows in one transaction, unless the last attempt has just failed."""
        now = time.monotonic()
        if self._away_since is not None and now - self._tried < RETRY_S:
            return
        self._tried = now
        try:
            self._check_file()
            connection = self._connect()
            self._execute(connection)
            connection.commit()
        except SQLAlchemyError as error:
            self._disconnect()
            self._failed(error)
            return
        except AutomlError as error:  # the file is gone, or another search took the study over meanwhile
            self._error = error
            return
        if self._away_since is not None:
            get_logger(__name__).warning("the study's database is back: %d rows were written", self._count)
        self._away_since = None
        self._pending, self._count = {}, 0
        self._written = time.monotonic()

    def _check_file(self) -> None:
        """Raise StorageError if the file that is open is not the one at its path: what is written would be lost."""
        if self._file is None or self._opened is None:
            return
        try:
            there = os.path.samestat(self._opened, self._file.stat())
        except OSError:
            there = False
        if not there:
            raise StorageError(
                f"the study's database {str(self._file)!r} was removed or replaced while the study ran, so its "
                "trials are lost: start it again with --overwrite"
            )

    def _execute(self, connection: Connection) -> None:
        for table in ORDER:
            for statement, values in self._pending.get(table, ()):
                if statement is rows.NEW_TRIAL:
                    self._insert_trials(connection, values)
                    continue
                # An update takes Optuna's id by the name of its parameter, an insert by that of its column.
                name = "trial_id" if isinstance(statement, Insert) else rows.TRIAL
                connection.execute(statement, [self._with_id(row, name) for row in values])

    def _insert_trials(self, connection: Connection, values: list[dict[str, Any]]) -> None:
        """Insert new trials. The database chooses their ids."""
        if connection.dialect.insert_executemany_returning:
            made = connection.execute(
                rows.NEW_TRIAL.returning(rows.TRIALS.c.number, rows.TRIALS.c.trial_id), values
            )
            self._ids.update((number, key) for number, key in made)
            return
        for row in values:  # MySQL
            key = connection.execute(rows.NEW_TRIAL, row).inserted_primary_key
            assert key is not None  # an insert of one row always has one
            self._ids[row["number"]] = key[0]

    def _with_id(self, row: dict[str, Any], name: str) -> dict[str, Any]:
        if rows.TRIAL not in row:
            return row
        found = {key: value for key, value in row.items() if key != rows.TRIAL}
        found[name] = self._ids[row[rows.TRIAL]]
        return found

    def _connect(self) -> Connection:
        if self._connection is None:
            connection = self._database.engine.connect()
            try:
                self._study_lock.take(connection)
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Not returned to the pool: the study lock is tied to it.
            connection.invalidate()
            connection.close()

    def _failed(self, error: Exception) -> None:
        """Note an outage, until patience ends. Keep any other error, to be raised."""
        now = time.monotonic()
        if is_away(error):
            if self._away_since is None:
                self._away_since = now
                get_logger(__name__).warning(
                    "the study's database %s is away: reports wait for it", self._database.shown
                )
            if now - self._away_since < self.patience:
                return
        try:
            with storage_errors(self._database.shown):
                raise error
        except StorageError as found:
            self._error = found

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def is_away(error: BaseException | None) -> bool:
    """Return whether the error, or its cause, is that of a database that may come back."""
    while error is not None:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        if isinstance(error, OperationalError | InterfaceError):
            backend = type(error.orig).__module__
            return not backend.startswith("sqlite3") or any(word in str(error.orig) for word in LOCKED)
        error = error.__cause__
    return False
