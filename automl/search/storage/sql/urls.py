"""Database URLs: the driver that the extras install, and a form without the password. Imports no Optuna."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from automl.errors import ConfigError
from automl.terminal.masking import remember_passwords, with_quoted_password

CONNECT_TIMEOUT_S = 10
LONGEST_PATH = 500  # bytes of SQLite's 512, as it adds endings
# The drivers that the extras install, for URLs that name none.
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file, whose path may hold any character.

    Raises ConfigError for a path that is too long for SQLite.
    """
    if len(os.fsencode(file.absolute())) > LONGEST_PATH:
        raise ConfigError(
            f"SQLite takes paths of at most {LONGEST_PATH} bytes, and {str(file)!r} is longer: choose a shorter "
            "--directory, or another database with --storage"
        )
    url = URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)
    # Optuna fills in what is between braces.
    if "{" not in url and make_url(url).database == str(file):
        return url
    # SQLAlchemy before 2.1 does not decode paths, but SQLite does.
    return f"sqlite:///file:{quote(str(file))}?uri=true"


def sqlite_file(url: URL) -> Path | None:
    """Return the file of a SQLite database; None for one in memory and for other databases."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    name = url.database
    return Path(unquote(name.removeprefix("file:")) if name.startswith("file:") else name)


def masked(url: str) -> str:
    """Return the URL with *** for its password and without parameters. A text that is no URL is not shown at all."""
    try:
        parsed = parse_url(url)
    except ArgumentError:
        return "(not a database URL)"
    file = sqlite_file(parsed)
    return parsed.set(query={}).render_as_string(hide_password=True) if file is None else f"sqlite:///{file}"


def parse_url(url: str) -> URL:
    """Return the parts of a database URL, and remember its passwords, which are then masked in all messages.

    A password may hold an @ that is not escaped. Raises ArgumentError, which does not quote the URL, if it is none.
    """
    remember_passwords(url)
    scheme, mark, rest = url.partition("://")
    url = f"{scheme.lower()}{mark}{rest}" if mark else url
    with suppress(ValueError):  # "a@b:c@host" is read as the host b with the port "c@host"
        parsed = make_url(url)
        if "@" not in (parsed.host or ""):
            return parsed
    try:
        return make_url(with_quoted_password(url))
    except ValueError:  # which quotes the port that is no number
        raise ArgumentError("the port must be a number") from None


def with_driver(url: str) -> URL:
    """Return the URL with the driver that the extras install, unless it names one. Raises ArgumentError."""
    parsed = parse_url(url)
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


def server_options(backend: str) -> dict[str, Any]:
    """Return the options of an engine for a database server."""
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S}
    if backend == "postgresql":
        arguments["client_encoding"] = "utf8"  # a database in SQL_ASCII returns bytes otherwise
    # pool_pre_ping: a connection that broke in the pool is noticed before it is used.
    return {"pool_pre_ping": True, "connect_args": arguments}


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Connect to a database for this block, without Optuna. Raises SQLAlchemy's errors and ImportError."""
    parsed = with_driver(url)
    backend = parsed.get_backend_name()
    engine = create_engine(parsed, **({} if backend == "sqlite" else server_options(backend)))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
