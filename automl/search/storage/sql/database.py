"""Opening the database: Optuna's storage, and an engine for our own tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from automl.config.sizes import format_size
from automl.errors import ConfigError, StorageError, reason_of
from automl.machine import largest_file, path_problem
from automl.search.storage.sql import tables
from automl.search.storage.sql.urls import (
    DRIVERS,
    connected,
    masked,
    server_options,
    sqlite_file,
    with_driver,
)

BUSY_TIMEOUT_MS = 30_000
# What drivers raise while they connect, besides SQLAlchemy's errors.
_OF_DRIVERS = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError)


@dataclass(frozen=True)
class Database:
    """Optuna's storage and the engine for our own tables.

    `shown` is the URL without its password. `shared`: others may read while a search writes.
    """

    optuna: BaseStorage
    engine: Engine
    shown: str
    shared: bool = True

    def close(self) -> None:
        """Close all connections."""
        self.optuna.remove_session()
        self.engine.dispose()


def open_database(url: str | None) -> Database:
    """Open or create the database. None is one in memory, which is lost when it is closed.

    SQLite runs in WAL mode, so that a dashboard can read while the search writes, with `synchronous=NORMAL`: a power
    cut may lose the last moments but cannot corrupt the file. Raises ConfigError if the text is no URL or the driver is
    missing, and StorageError if the database cannot be reached.
    """
    if url is None:
        memory = {
            "poolclass": StaticPool,
            "connect_args": {"check_same_thread": False},
            "pool_events": [(_no_migrations, "connect")],
        }
        inside = RDBStorage("sqlite://", engine_kwargs=memory, skip_compatibility_check=True)
        tables.metadata.create_all(inside.engine)
        return Database(inside, inside.engine, "in memory", shared=False)
    shown = masked(url)
    with _driver_needed(url):
        with_driver(url)
        with storage_errors(shown), connection_errors(shown):
            storage = open_optuna(url)
            tables.metadata.create_all(storage.engine)
    return Database(storage, storage.engine, shown)


def require_reachable(url: str) -> None:
    """Connect to a database and leave, so that a study does not begin without it. A SQLite file is not created.

    Raises ConfigError and StorageError as `open_database` does.
    """
    with _driver_needed(url):
        file = sqlite_file(with_driver(url))
        if file is not None and (problem := path_problem(file)):
            raise StorageError(f"the study's database cannot be created: {problem}")
        if file is None or file.is_file():
            shown = masked(url)
            with storage_errors(shown), connection_errors(shown), connected(url) as connection:
                inspect(connection).has_table(tables.meta.name)  # reads the file
                return
        if not file.absolute().parent.is_dir():
            raise StorageError(
                f"the study's database {masked(url)} cannot be created: there is no folder {str(file.parent)!r}"
            )


@contextmanager
def _driver_needed(url: str) -> Iterator[None]:
    """Turn what SQLAlchemy says of a text that is no URL, or of a driver that is missing, into a ConfigError."""
    try:
        yield
    except ArgumentError as error:
        raise ConfigError(
            "storage must be a database URL such as sqlite:///study.db or postgresql://user@host/name, and what was "
            "given is none"
        ) from error
    except ImportError as error:
        raise ConfigError(
            f"the driver of the storage {masked(url)} is not installed: {_what_to_install(with_driver(url))}"
        ) from error


def _what_to_install(url: URL) -> str:
    backend, _, driver = url.drivername.partition("+")
    if driver and url.drivername not in DRIVERS.values():
        return f"leave '+{driver}' out of the URL, so that the one that automl installs is used"
    return f"run `pip install 'automl[{'postgresql' if backend == 'postgresql' else 'mysql'}]'`"


@contextmanager
def connection_errors(shown: str) -> Iterator[None]:
    """Turn what a driver raises of the options of a URL, such as a file of certificates that is none, into ours."""
    try:
        yield
    except _OF_DRIVERS as error:
        raise StorageError(
            f"the study's database {shown} cannot be opened ({type(error).__name__}: {reason_of(error)}): check "
            "its address and the options behind the ? of its URL"
        ) from error


def open_optuna(url: str, kind: type[RDBStorage] = RDBStorage) -> RDBStorage:
    """Return Optuna's storage with our connection options. Raises SQLAlchemy's errors and ImportError."""
    parsed = with_driver(url)
    if parsed.get_backend_name() == "sqlite":
        _set_wal(parsed)
    whole = parsed.render_as_string(hide_password=False)
    return kind(whole, engine_kwargs=_engine_options(parsed.get_backend_name()))


@contextmanager
def storage_errors(shown: str) -> Iterator[None]:
    """Turn errors of SQLAlchemy and Optuna's storages into a StorageError that hides the password."""
    try:
        yield
    except (
        SQLAlchemyError,
        StorageInternalError,
        RuntimeError,
    ) as error:  # RuntimeError: tables of another Optuna
        origin = error.orig if isinstance(error, DBAPIError) else (error.__cause__ or error)
        inner = getattr(origin, "orig", None) or origin
        cause = (str(inner).strip().splitlines() or [type(origin).__name__])[0]
        raise StorageError(
            f"the study's database {shown} cannot be read or written: {cause}{_advice(inner)}"
        ) from error


def _advice(error: object) -> str:
    """Return what to do about an error of SQLite, which names no cause of those of the system; "" if nobody knows."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return "; free some space, then run the command again"
    if not name.startswith("SQLITE_IOERR"):
        return ""
    largest = largest_file()
    if largest is not None:
        return f"; files may have {format_size(largest)} at most here, so raise that limit (`ulimit -f`)"
    return "; check the disk or the network folder that it is on, then run the command again"


def _engine_options(backend: str) -> dict[str, Any]:
    if backend != "sqlite":
        return server_options(backend)
    return {"pool_events": [(_on_connect, "connect")]}


def _set_wal(url: URL) -> None:
    """Set WAL, a property of the file, before Optuna makes its tables, each of which would flush the disk."""
    engine = create_engine(url)
    event.listen(engine, "connect", _on_connect)
    with engine.connect():
        pass
    engine.dispose()


def _no_migrations(connection: Any, record: object) -> None:
    # A database in memory is of this version. Optuna would read all its migrations to find out, which takes longer than
    # many simulated searches.
    connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.execute("INSERT INTO alembic_version VALUES ('in memory')")


def _on_connect(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
