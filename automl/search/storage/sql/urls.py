"""Database URLs: with the driver that our extras install, and as they may be shown. Imports no Optuna."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

CONNECT_TIMEOUT_S = 10
# The drivers that the extras install, where a URL names none.
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}


def masked(url: str) -> str:
    """The URL with its password replaced by ***; a text that is no URL is not shown at all."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database URL)"


def with_driver(url: str) -> URL:
    """The URL with the driver that our extras install, unless it names one. Raises SQLAlchemy's ArgumentError."""
    parsed = make_url(url)
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


def server_options(backend: str) -> dict[str, Any]:
    """How an engine connects to a database server."""
    arguments: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S}
    if backend == "postgresql":
        arguments["client_encoding"] = "utf8"  # a database in SQL_ASCII would hand out bytes for texts
    # A connection that broke while it lay in the pool is found out before it is used.
    return {"pool_pre_ping": True, "connect_args": arguments}
