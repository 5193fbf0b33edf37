"""Refuse what optuna-dashboard's server cannot answer: it would say 500 and print a traceback in the terminal."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from optuna.storages import BaseStorage

LONGEST_PATH = 4096  # characters
MOST_BYTES = 16 * 2**20  # of a document that a page sends; notes are the longest
_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
_WHOLE = re.compile(r"[0-9]{1,18}")  # what databases count to
_NUMBER_OF_NOTHING = re.compile(r"/(?:-\d+|\d{19,})(?=/|$)")
_IN_STUDY = re.compile(r"/(?:api/studies|csv|artifacts)/(\d+)(?:/(\d+)(?=/))?(?:/.*)?")
_TRIAL = re.compile(r"/api/trials/(\d+)(?:/.*)?")
_WITHOUT_DOCUMENT = re.compile(r"/api/studies/\d+/(?:\d+/skip|preference/[^/]+)")
_LENGTH = "CONTENT_LENGTH"

Problem = tuple[HTTPStatus, str]


def problem_of(environ: WSGIEnvironment, storage: BaseStorage) -> Problem | None:
    """Return the status and the reason of a request that cannot be answered; None for all others.

    The document of a change is read, and stands in `environ` again afterwards. A request without `Accept-Encoding`,
    such as curl's, gets an empty one, which optuna-dashboard reads for its static files.
    """
    environ.setdefault("HTTP_ACCEPT_ENCODING", "")
    path = environ.get("PATH_INFO", "").rstrip("/")
    if not _is_text(path) or _NUMBER_OF_NOTHING.search(path):
        return HTTPStatus.NOT_FOUND, "not found"
    if len(path) > LONGEST_PATH:
        return HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long"
    if any(not _WHOLE.fullmatch(value) for value in _parameters(environ, "after")):
        return HTTPStatus.BAD_REQUEST, "`after` must be a whole number of at least 0"
    return _unknown(path, storage) or (
        _wrong_document(environ, path, storage)
        if environ["REQUEST_METHOD"] in _CHANGES and path.startswith("/api/")
        else None
    )


def _is_text(path: str) -> bool:
    """Return whether the bytes of a path, which WSGI gives as Latin-1, are UTF-8 and no name ends in the middle."""
    try:
        return "\0" not in path.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return False


def _parameters(environ: WSGIEnvironment, name: str) -> Iterable[str]:
    for pair in environ.get("QUERY_STRING", "").split("&"):
        key, _, value = pair.partition("=")
        if unquote_plus(key) == name:
            yield unquote_plus(value)


def _unknown(path: str, storage: BaseStorage) -> Problem | None:
    """Return the problem of a path that names a study or a trial that is not there."""
    study, trial = _named(path)
    try:
        if study is not None:
            storage.get_study_name_from_id(study)
        if trial is not None:
            storage.get_trial(trial)
    except KeyError:
        return HTTPStatus.NOT_FOUND, "not found"
    return None


def _named(path: str) -> tuple[int | None, int | None]:
    """Return the ids of the study and of the trial in a path."""
    if (found := _TRIAL.fullmatch(path)) is not None:
        return None, int(found[1])
    if (found := _IN_STUDY.fullmatch(path)) is None:
        return None, None
    return int(found[1]), None if found[2] is None else int(found[2])


def _wrong_document(environ: WSGIEnvironment, path: str, storage: BaseStorage) -> Problem | None:
    length = environ.get(_LENGTH) or "0"
    if not _WHOLE.fullmatch(length):
        return HTTPStatus.BAD_REQUEST, "Content-Length must be a whole number"
    if int(length) > MOST_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {MOST_BYTES // 2**20} MiB at most"
    try:
        content = environ["wsgi.input"].read(int(length))
    except OSError:  # the client went away, or waits for longer than the server
        content = b""
    if len(content) < int(length):
        return HTTPStatus.BAD_REQUEST, "the request ended early"
    environ["wsgi.input"] = io.BytesIO(content)
    if not content and (environ["REQUEST_METHOD"] == "DELETE" or _WITHOUT_DOCUMENT.fullmatch(path)):
        return None
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return HTTPStatus.BAD_REQUEST, "a JSON object must be sent, with Content-Type: application/json"
    if (wrong := _wrong_json(content)) is not None:
        return HTTPStatus.BAD_REQUEST, wrong
    found = _TRIAL.fullmatch(path)
    if found is not None and storage.get_trial(int(found[1])).state.is_finished():
        return HTTPStatus.CONFLICT, "the trial has ended, so it cannot be changed"
    return None


def _wrong_json(content: bytes) -> str | None:
    """Return what is wrong with a document that a handler reads; None if nothing is."""
    try:
        document = json.loads(content, parse_constant=_no_number)
        json.dumps(document, ensure_ascii=False).encode()  # half a character is no text for a database
    except (ValueError, RecursionError):
        return "the request is not valid JSON"
    if not isinstance(document, dict):
        return "a JSON object must be sent"
    wrong = next((name for name in _FITS if name in document and not _FITS[name](document[name])), None)
    return None if wrong is None else f"`{wrong}` has a value of the wrong type"


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    """Return whether the value is a finite number, or a text of one, which optuna-dashboard takes, too."""
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _is_text_value(value: Any) -> bool:
    return isinstance(value, str)


def _all(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(fits, value))


# What optuna-dashboard's handlers read, and take for granted.
_FITS: dict[str, Callable[[Any], bool]] = {
    "study_name": _is_text_value,
    "directions": _all(_is_text_value),
    "version": _is_whole,
    "body": _is_text_value,
    "mode": _is_text_value,
    "candidates": _all(_is_whole),
    "clicked": _is_whole,
    "output_type": _is_text_value,
    "state": _is_text_value,
    "values": _all(_is_finite),
    "user_attrs": lambda value: isinstance(value, dict),
}
