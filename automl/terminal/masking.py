"""Passwords in URLs: shown as *** wherever a person may read them."""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus, unquote, unquote_plus

MASK = "***"
SHORTEST = (
    4  # characters of a password that is masked wherever it appears; a shorter one is part of many words
)
# Greedy up to the last @: a password may hold one that nobody escaped.
_USER = re.compile(r"^([\w+.-]+://[^:/@?]*):(.+)@")
_WITHIN = re.compile(r"([A-Za-z][\w+.-]*://[^:/@?\s'\"]*):([^\s'\"]+)@")
# HOST:PORT with a user in front, as people type it; no part of a path, and not the slashes of a URL.
_BARE_USER = re.compile(r"^([^:/@?\s]*):(?![/\\])(.+)@")
_BARE = re.compile(r"(?<![\w/.:@+%-])([\w.+%-]*):(?![/\\])([^\s'\"]+)@(?=[\w\[])")
_NAME = r"[\w.-]*(?:passw|passphrase|passwd|pwd|secret|token|credential|api_?key|access_?key)[\w.-]*"
_QUERY = re.compile(rf"([?&;]{_NAME}=)([^&;#\s'\"]*)", re.IGNORECASE)

_known: set[str] = set()


def mask_password(url: str) -> str:
    """Return the URL with `***` in place of its passwords, for files, messages and logs.

    >>> mask_password("postgresql://ann:secret@db/automl?sslpassword=other")
    'postgresql://ann:***@db/automl?sslpassword=***'
    """
    masked = _QUERY.sub(rf"\g<1>{MASK}", _USER.sub(rf"\g<1>:{MASK}@", url))
    start, mark, query = masked.partition("?")
    for secret in _passwords(url):  # also as the value of another parameter
        query = query.replace(secret, MASK)
    return start + mark + query


def mask_passwords(text: str) -> str:
    """Return a text, such as a traceback, without the passwords in it and without those that are remembered.

    Passwords are those of URLs, of `user:password@host` and of parameters such as `password=`.

    >>> mask_passwords("cannot reach 'postgresql://ann:secret@db/a'; try again")
    "cannot reach 'postgresql://ann:***@db/a'; try again"
    >>> mask_passwords("no cluster at ann:secret@head:6379")
    'no cluster at ann:***@head:6379'
    """
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    if "@" in text:
        text = _BARE.sub(rf"\g<1>:{MASK}@", _WITHIN.sub(rf"\g<1>:{MASK}@", text))
    return _QUERY.sub(rf"\g<1>{MASK}", text) if "=" in text else text


def remember_passwords(url: str) -> None:
    """Let `mask_passwords` mask the passwords of this URL wherever they appear, also outside of a URL."""
    _known.update(_passwords(url))


def _passwords(url: str) -> set[str]:
    """Return the passwords in a URL that are long enough, as they are written there and in other ways."""
    user = _USER.match(url) or _BARE_USER.match(url)
    found = [*([user[2]] if user else []), *(value for _, value in _QUERY.findall(url))]
    plain = {form for secret in found for form in (secret, unquote(secret), unquote_plus(secret))}
    forms = {form for text in plain for form in (text, quote(text, safe=""), quote_plus(text))}
    return {form for form in forms if len(form) >= SHORTEST and form != MASK}


def with_quoted_password(url: str) -> str:
    """Return the URL with the characters of its password escaped that would end it."""
    return _USER.sub(lambda found: f"{found[1]}:{quote(unquote(found[2]), safe='')}@", url)
