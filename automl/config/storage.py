"""Storage URLs: their form, and restoring their password from the environment."""

from __future__ import annotations

import os
import re
from urllib.parse import parse_qsl, unquote

from automl.errors import ConfigError, unknown_name
from automl.terminal.masking import MASK, mask_password, remember_passwords

ENVIRONMENT = "AUTOML_STORAGE"
DATABASES = ("mariadb", "mysql", "postgresql", "sqlite")


def check_storage(url: str) -> str:
    """Return the URL, with its scheme in small letters.

    Raises ValueError (one clause, password masked) if it has not the form of one.
    """
    scheme = re.match(r"^([A-Za-z]\w*)(\+\w+)?://", url)
    if not scheme:
        # Not shown: without the form of a URL, nobody can say where in it a password is.
        raise ValueError(
            "must be a database URL such as 'sqlite:///study.db' or 'postgresql://user@host/name', and what was given "
            "does not begin like one"
        )
    remember_passwords(url)
    if scheme[1].lower() not in DATABASES:
        raise ValueError(unknown_name("kind of storage", scheme[1], DATABASES))
    kind, mark, rest = url.partition("://")
    if scheme[1].lower() == "sqlite":
        _require_file(rest)
    return f"{kind.lower()}{mark}{rest}"


def _require_file(rest: str) -> None:
    """Raise ValueError if the part of a SQLite URL after :// names no file: a database in memory keeps no study."""
    name, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    name = unquote(name)
    if name.strip("/").removeprefix("file:") in ("", ":memory:") or options.get("mode") == "memory":
        raise ValueError("must name a file, as 'sqlite:///study.db' does: a database in memory would be lost")
    if "uri" in options and not name.lstrip("/").startswith("file:"):
        raise ValueError(
            "must begin with sqlite:///file: where it has the option uri, or have no such option"
        )


def unmask(url: str) -> str:
    """Return the URL to connect to: the given one, or the one in AUTOML_STORAGE if its password is masked.

    Raises ConfigError if the password is masked and the environment has no URL.
    """
    if not is_masked(url):
        remember_passwords(url)
        return url
    whole = os.environ.get(ENVIRONMENT, "")
    if not whole:
        raise ConfigError(
            f"the storage URL's password must be given again, since study.yaml holds {mask_password(url)!r}; "
            f"set the environment variable {ENVIRONMENT} or pass --storage with the whole URL"
        )
    remember_passwords(whole)
    return whole


def is_masked(url: str) -> bool:
    """Return whether the URL's password was masked."""
    return f":{MASK}@" in url or f"={MASK}" in url
