"""Checks of architecture arguments from files: numbers and plain words only, no paths, addresses or code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_NUMBER, MAX_VALUES = 100_000, 64  # of a number, and of values in a list
# Keywords of timm.create_model that do not describe an architecture.
_NOT_ARCHITECTURE = (
    "cache_dir",
    "checkpoint_path",
    "custom_load",
    "exportable",
    "features_only",
    "scriptable",
)


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of an architecture if all are numbers, bools and plain words.

    Raises ValueError for anything that could name a file, an address, code or weights.
    """
    for key, value in arguments.items():
        if key.startswith("pretrained") or key in _NOT_ARCHITECTURE or not _is_plain(value):
            raise ValueError(f"model_args must be numbers and plain words of an architecture, got {key!r}")
    return dict(arguments)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= MAX_VALUES and all(_is_plain(item) for item in value)
    if isinstance(value, str):
        return value.isidentifier()
    return (
        value is None
        or isinstance(value, bool)
        or (isinstance(value, int | float) and abs(value) <= MAX_NUMBER)
    )
