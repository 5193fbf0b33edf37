"""What a file may say about a network's architecture: numbers and plain words, nothing that leads elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST, MAX_VALUES = 100_000, 64  # of a number in a file, and of a list
# Keywords of timm.create_model that are no part of a network's shape.
_NOT_ARCHITECTURE = (
    "cache_dir",
    "checkpoint_path",
    "custom_load",
    "exportable",
    "features_only",
    "scriptable",
)


def plain_arguments(said: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of an architecture that a file names, if they are no more than that: numbers, truths, plain words.

    Raises ValueError for anything that could name a file, an address or code, or ask for weights.
    """
    for key, value in said.items():
        if key.startswith("pretrained") or key in _NOT_ARCHITECTURE or not _is_plain(value):
            raise ValueError(f"model_args must hold numbers and plain words of an architecture, got {key!r}")
    return dict(said)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= MAX_VALUES and all(_is_plain(item) for item in value)
    if isinstance(value, str):
        return value.isidentifier()
    return value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) <= MOST)
