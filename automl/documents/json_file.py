"""Read JSON that anybody may have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from automl.documents.bounded_file import read_bounded

MOST_BYTES = 64 * 2**20  # as Python objects, JSON takes up to thirty times its size
_MOST_DIGITS = 40  # of a whole number: longer ones fit no float, and take minutes to convert
_DEEPEST = 64  # what is deeper cannot be shown or copied by functions that call themselves


def read_json(path: Path, *, most: int = MOST_BYTES) -> Any:
    """Return the content of a JSON file.

    Raises OSError if it cannot be read, and ValueError if it is no file, no JSON, larger than `most` bytes, nested too
    deeply, or holds a number of more than 40 digits.
    """
    return parse_json(read_bounded(path, most).decode("utf-8"))


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if there is none, or if it is damaged."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def parse_json(text: str | bytes) -> Any:
    """Return the content of a JSON text. Raises ValueError as `read_json` does."""
    text = text if isinstance(text, str) else text.decode("utf-8")
    try:
        found = _decoder.decode(text)
        if text.count("[") + text.count("{") > _DEEPEST:
            _require_shallow(found, _DEEPEST)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return found


def _require_shallow(value: Any, levels: int) -> None:
    if not isinstance(value, (list, dict)):
        return
    if not levels:
        raise ValueError("nested too deeply")
    for inner in value.values() if isinstance(value, dict) else value:
        _require_shallow(inner, levels - 1)


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


_decoder = json.JSONDecoder(parse_int=_whole)
