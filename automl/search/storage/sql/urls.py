"""Database URLs: the driver that the extras install, and a form without the password. Imports no Optuna."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

CONNECT_TIMEOUT_S = 10
# The drivers that the extras install, for URLs that name none.
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}


def masked(url: str) -> str:
    """Return the URL with *** for its password. A text that is no URL is not shown at all."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database URL)"


def with_driver(url: str) -> URL:
    """Return the URL with the driver that the extras install, unless it names one. Raises ArgumentError."""
    parsed = make_url(url)
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
