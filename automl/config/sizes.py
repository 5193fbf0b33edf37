"""Sizes of memory and disk, and large counts, as people write them: `8G`, `500M`, `20GB`."""

from __future__ import annotations

import math
import re
from typing import SupportsFloat

_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_THOUSANDS = {"K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9}
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(value: object) -> int:
    """Return bytes, from a number or a text such as `8G`, `1.5T` or `500MiB` (powers of 1024).

    Raises ValueError (one clause, without the name of the option) for anything else, and for zero or less.
    """
    size = _bytes(value)
    if size is None:
        raise ValueError(f"must be a size such as '8G' or '500M', got {value!r}")
    if not (math.isfinite(size) and size >= 1):
        raise ValueError(f"must be a size of at least one byte, got {value!r}")
    return int(size)


def format_size(size: float) -> str:
    """Return a size as text that `parse_size` reads: `20G`, `1.5G`, `512M`, `12`; to one decimal."""
    for unit in ("T", "G", "M", "K"):
        if size >= 1024 ** _POWERS[unit]:
            return f"{size / 1024 ** _POWERS[unit]:.1f}".removesuffix(".0") + unit
    return f"{max(0, int(size))}"


def parse_count(value: object) -> float:
    """Return a count, from a number or a text such as `5M`, `1.5G` or `800K` (powers of 1000).

    Raises ValueError (one clause, without the name of the option) for anything else, and for zero or less.
    """
    unit, text = 1.0, value
    if isinstance(value, str) and value.strip()[-1:].upper() in _THOUSANDS:
        unit, text = _THOUSANDS[value.strip()[-1].upper()], value.strip()[:-1]
    if isinstance(text, bool) or not isinstance(text, (str, SupportsFloat)):
        number = math.nan
    else:
        try:
            number = float(text) * unit
        except (TypeError, ValueError):
            number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"must be a number above 0 such as 30M or 1.5G, got {value!r}")
    return number


def format_count(count: float) -> str:
    """Return a count as text that `parse_count` reads: `5M`, `11.2M`, `800K`, `12`; to three digits."""
    for unit in ("G", "M", "K"):
        if count >= _THOUSANDS[unit]:
            return f"{count / _THOUSANDS[unit]:.3g}{unit}"
    return f"{count:.3g}"


def _bytes(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    match = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) * 1024 ** _POWERS[match[2].upper()] if match else None
