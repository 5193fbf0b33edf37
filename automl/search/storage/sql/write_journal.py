"""Writing to the study's database: what a moment brings goes into one transaction, and waits while there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy import Connection, Executable, Insert, Table
from sqlalchemy.exc import SQLAlchemyError

from automl.errors import AutomlError, StorageError
from automl.log import get_logger
from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql import tables
from automl.search.storage.sql.database import Database, storage_errors
from automl.search.storage.sql.retry import LONGEST, is_away
from automl.search.storage.sql.study_lock import StudyLock
from automl.search.storage.sql.write_queue import Pending

MOMENT_S = 0.05  # writes closer together than this share a transaction
RETRY_S = 0.5  # between attempts while the database is away
MOST = 5_000  # rows that may wait while the database is there
# Parents before children; the order within a table is kept, that between tables does not matter in a transaction.
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

    `add` collects, and writes at once unless the last transaction was a moment ago; a thread writes what was left
    waiting then. `flush` writes all. While a database server is away (restarting, say) everything waits in memory, in
    order, and the search goes on; it is given up after `patience` seconds. Each new connection first takes the
    study_lock of the study, so that another search which took the study over meanwhile is found out.
    Every method may raise StorageError: for what is no outage, at once.
    """

    def __init__(self, database: Database, ids: dict[int, int], study_lock: StudyLock) -> None:
        """`ids` are Optuna's ids by number of trial; those of new trials are added as they are written."""
        self.patience = LONGEST
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
        self._thread: threading.Thread | None = None
        if database.shared:
            # A database in memory has no other readers: there, writing in time is of no use to anybody.
            self._thread = threading.Thread(target=self._write_later, name="automl-journal", daemon=True)
            self._thread.start()

    def add(self, table: Table, statement: Executable, values: Mapping[str, Any]) -> None:
        """One row to be written."""
        with self._lock:
            self._count += 1
            if table not in self._pending:
                self._pending[table] = Pending()
            self._pending[table].add(statement, values)

    def settle(self, *, final: bool = False) -> None:
        """A piece of news is complete. `final`: it is written before this returns, if the database is there."""
        with self._lock:
            self._raise()
            due = time.monotonic() - self._written >= MOMENT_S and self._database.shared
            if (
                self._away_since is not None
                or due
                or (final and self._database.shared)
                or self._count >= MOST
            ):
                self._attempt()
            elif not self._wake.is_set():
                self._wake.set()

    def flush(self) -> None:
        """Writes all that waits; as long as the database is away, this waits too."""
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
        """What the query finds, after all that waits was written; an outage is waited out."""
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
        """Writes all that waits and gives the study free."""
        try:
            self.flush()
        finally:
            self._closing = True
            self._wake.set()
            if self._thread is not None:
                self._thread.join()
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
        """One transaction with all that waits, unless the last attempt has just failed."""
        now = time.monotonic()
        if self._away_since is not None and now - self._tried < RETRY_S:
            return
        self._tried = now
        try:
            connection = self._connect()
            self._execute(connection)
            connection.commit()
        except SQLAlchemyError as error:
            self._disconnect()
            self._failed(error)
            return
        except AutomlError as error:  # another search took the study over while the database was away
            self._error = error
            return
        if self._away_since is not None:
            get_logger(__name__).warning("the study's database is back: %d rows were written", self._count)
        self._away_since = None
        self._pending, self._count = {}, 0
        self._written = time.monotonic()

    def _execute(self, connection: Connection) -> None:
        for table in ORDER:
            for statement, values in self._pending.get(table, ()):
                if statement is rows.NEW_TRIAL:
                    self._insert_trials(connection, values)
                    continue
                # An update looks for Optuna's id under the name of its parameter, an insert under its column's.
                name = "trial_id" if isinstance(statement, Insert) else rows.TRIAL
                connection.execute(statement, [self._with_id(row, name) for row in values])

    def _insert_trials(self, connection: Connection, values: list[dict[str, Any]]) -> None:
        """New trials, whose ids the database chooses."""
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
            # Not given back to the pool: the study_lock is tied to it.
            connection.invalidate()
            connection.close()

    def _failed(self, error: Exception) -> None:
        """Waits for an outage to pass, as long as patience lasts; keeps anything else to be raised."""
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
