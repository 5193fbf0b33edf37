"""Durations as people write them: `10m`, `1h30m`, `90s`, `600`."""

from __future__ import annotations

import math
import re

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|m|s)", re.IGNORECASE)
_FORM = re.compile(rf"(?:{_PART.pattern}\s*)+", re.IGNORECASE)


def parse_duration(value: object) -> float:
    """Return seconds, from a number or from a text such as `10m`, `1h30m`, `90s`, `1.5h` or `600`.

    Raises ValueError (one clause, without the name of the option) for anything else, and for a duration
    that is zero, negative or endless.
    """
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError(f"must be a duration such as '10m', '1h30m' or 600 (seconds), got {value!r}")
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"must be a duration above zero, got {value!r}")
    return seconds


def format_duration(seconds: float) -> str:
    """Return a duration as text that `parse_duration` reads: `1h30m`, `10m`, `1m40s`, `45s`, `0.4s`.

    Rounded to whole seconds from 10 s on and to tenths below; never negative.
    """
    seconds = max(0.0, seconds)
    if round(seconds, 1) < 10:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    left = round(seconds)
    words = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            words.append(f"{count}{unit}")
    return "".join(words)


def format_clock(seconds: float) -> str:
    """Return a running clock: `0:07`, `12:30`, `1:02:03`; never negative."""
    hours, left = divmod(int(max(0.0, seconds)), 3600)
    minutes, left = divmod(left, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _FORM.fullmatch(text):
        return sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(text))
    try:
        return float(text)
    except ValueError:
        return None
