"""Opening the database: Optuna's storage and an engine for our own tables, from one URL or in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from automl.errors import ConfigError, StorageError
from automl.search import tables

BUSY_TIMEOUT_MS = 30_000


@dataclass(frozen=True)
class Database:
    """Optuna's storage and the engine for our own tables. `shown` is the URL as it may be printed."""

    optuna: BaseStorage
    engine: Engine
    shown: str

    def close(self) -> None:
        """Gives back all connections."""
        self.optuna.remove_session()
        self.engine.dispose()


def masked(url: str) -> str:
    """The URL with its password replaced by ***; a text that is no URL is not shown at all."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database URL)"


def open_database(url: str | None) -> Database:
    """Opens or creates the database; None is one in memory, which is gone when it is closed.

    SQLite runs in WAL mode, so that a dashboard can read while the search writes, with `synchronous=NORMAL`:
    a power cut may lose the last moments but cannot corrupt the file. Raises ConfigError for what is no URL
    or lacks its driver, and StorageError where the database cannot be reached.
    """
    if url is None:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        tables.metadata.create_all(engine)
        return Database(InMemoryStorage(), engine, "in memory")
    shown = masked(url)
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "storage must be a database URL like sqlite:///study.db or postgresql://user@host/name: "
            "what was given is none"
        ) from error
    with storage_errors(shown):
        try:
            if parsed.get_backend_name() == "sqlite":
                _set_wal(url)
            storage = RDBStorage(url, engine_kwargs=_engine_options(parsed.get_backend_name()))
        except ImportError as error:
            extra = parsed.get_backend_name()
            raise ConfigError(
                f"the driver of the storage {shown} is not installed: try pip install 'automl[{extra}]'"
            ) from error
        tables.metadata.create_all(storage.engine)
    return Database(storage, storage.engine, shown)


@contextmanager
def storage_errors(shown: str) -> Iterator[None]:
    """Turns the errors of SQLAlchemy and Optuna's storages into one StorageError that hides the password."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        origin = error.orig if isinstance(error, DBAPIError) else (error.__cause__ or error)
        cause = str(getattr(origin, "orig", None) or origin).strip().splitlines()[0]
        raise StorageError(f"the study's database {shown} cannot be read or written: {cause}") from error


def _engine_options(backend: str) -> dict[str, Any]:
    if backend != "sqlite":
        return {"pool_pre_ping": True}
    return {"pool_events": [(_on_connect, "connect")]}


def _set_wal(url: str) -> None:
    """Sets WAL, a property of the file, before Optuna makes its tables: it spares a disk flush for each."""
    engine = create_engine(url)
    event.listen(engine, "connect", _on_connect)
    with engine.connect():
        pass
    engine.dispose()


def _on_connect(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
