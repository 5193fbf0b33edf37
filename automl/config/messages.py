"""Validation errors as sentences: all problems at once, each with the key that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from automl.errors import listed, unknown_name

_CLAUSES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda ctx: f"must be above {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"must be below {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:g}",
}
_KINDS = {
    "int": "must be a whole number",
    "float": "must be a number",
    "finite": "must be a finite number",
    "bool": "must be true or false",
    "string": "must be a text",
    "path": "must be a path",
    "dict": "must be a mapping",
}


def problems(error: ValidationError, fields: Sequence[str]) -> str:
    """Return all problems of a validation error as one line; several are counted and numbered.

    `fields` are the valid top-level keys, for the closest match to an unknown one.
    """
    # A field with several allowed types reports one error for each type; one for each key is enough.
    sentences: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        key = str(detail["loc"][0]) if detail["loc"] else ""
        sentences.setdefault(key or detail["msg"], _sentence(detail, fields))
    return joined(list(sentences.values()))


def joined(sentences: Sequence[str]) -> str:
    """Return one problem as it is, several as `2 problems: (1) ...; (2) ...`."""
    if len(sentences) == 1:
        return listed(sentences)[0]
    numbered = "; ".join(f"({number}) {sentence}" for number, sentence in enumerate(listed(sentences), 1))
    return f"{len(sentences)} problems: {numbered}"


def _sentence(detail: Any, fields: Sequence[str]) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    key = ".".join(str(part) for part in detail["loc"])
    if kind == "extra_forbidden":
        return unknown_name("option", key, fields)
    if kind == "missing":
        return f"{key} must be given"
    if kind == "value_error":
        text = str(context["error"])
        return f"{key} {text}" if text.startswith("must") and key else text
    if kind == "literal_error":
        return _choice(key, given, context["expected"])
    return f"{key} {_clause(kind, context)}, got {given!r}"


def _choice(key: str, given: object, expected: str) -> str:
    choices = [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",")]
    return unknown_name(f"choice for {key}", str(given), choices)


def _clause(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _CLAUSES:
        return _CLAUSES[kind](context)
    return _KINDS.get(kind.split("_")[0], "has the wrong type")
