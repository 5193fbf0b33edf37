"""Storage URLs: masking their password, and restoring it from the environment."""

from __future__ import annotations

import os
import re

from automl.errors import ConfigError, unknown_name

ENVIRONMENT = "AUTOML_STORAGE"
MASK = "***"
DATABASES = ("mariadb", "mysql", "postgresql", "sqlite")
# Greedy up to the last @: a password may hold one that nobody escaped.
_USER = re.compile(r"^([\w+.-]+://[^:/@?]*):(.+)@")
_WITHIN = re.compile(r"([A-Za-z][\w+.-]*://[^:/@?\s'\"]*):([^\s'\"]+)@")
_QUERY = re.compile(r"([?&](?:password|passwd|pwd)=)[^&#\s'\"]*", re.IGNORECASE)


def check_storage(url: str) -> str:
    """Return the URL if it has the form of one. Raises ValueError (one clause, password masked) otherwise."""
    scheme = re.match(r"^([A-Za-z]\w*)(\+\w+)?://", url)
    if not scheme:
        raise ValueError(
            f"must be a database URL such as 'sqlite:///study.db' or 'postgresql://user@host/name', "
            f"got {mask_password(url)!r}"
        )
    if scheme[1].lower() not in DATABASES:
        raise ValueError(unknown_name("kind of storage", scheme[1], DATABASES))
    return url


def mask_password(url: str) -> str:
    """Return the URL with `***` in place of its password, for files, messages and logs.

    >>> mask_password("postgresql://ann:secret@db/automl")
    'postgresql://ann:***@db/automl'
    """
    return _QUERY.sub(rf"\g<1>{MASK}", _USER.sub(rf"\g<1>:{MASK}@", url))


def mask_passwords(text: str) -> str:
    """Return a text with the password of every URL in it masked, such as a traceback or a log line.

    >>> mask_passwords("cannot reach 'postgresql://ann:secret@db/a'; try again")
    "cannot reach 'postgresql://ann:***@db/a'; try again"
    """
    return _QUERY.sub(rf"\g<1>{MASK}", _WITHIN.sub(rf"\g<1>:{MASK}@", text))


def unmask(url: str) -> str:
    """Return the URL to connect to: the given one, or the one in AUTOML_STORAGE if its password is masked.

    Raises ConfigError if the password is masked and the environment has no URL.
    """
    if not (f":{MASK}@" in url or f"={MASK}" in url):
        return url
    whole = os.environ.get(ENVIRONMENT, "")
    if not whole:
        raise ConfigError(
            f"the storage URL's password must be given again, since study.yaml holds {url!r}; "
            f"set the environment variable {ENVIRONMENT} or pass --storage with the whole URL"
        )
    return whole
