"""Durations as people write them: `10m`, `1h30m`, `90s`, `600`."""

from __future__ import annotations

import math
import re

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_LATENCIES = {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001}
_LATENCY = re.compile(r"(\d+(?:\.\d+)?(?:e-?\d+)?)\s*(ms|us|s|)", re.IGNORECASE)
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


def parse_latency(value: object) -> float:
    """Return milliseconds, from a number of milliseconds or from a text such as `20ms` or `0.02s`.

    Raises ValueError (one clause, without the name of the option) for anything else, and for zero or less.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    found = _LATENCY.fullmatch(str(value).strip()) if number or isinstance(value, str) else None
    if found is None:
        raise ValueError(f"must be a latency above zero such as '20ms', '0.02s' or 20 (ms), got {value!r}")
    milliseconds = float(found[1]) * _LATENCIES[found[2].lower()]
    if not (math.isfinite(milliseconds) and milliseconds > 0):
        raise ValueError(f"must be a latency above zero, got {value!r}")
    return milliseconds


def format_latency(milliseconds: float) -> str:
    """Return milliseconds as text that `parse_latency` reads: `20ms`, `3.5ms`, `0.12ms`; to three digits."""
    return f"{float(f'{milliseconds:.3g}'):g}ms"


def significant(value: float, digits: int = 2) -> str:
    """Return a number to so many digits, without an exponent.

    >>> significant(0.4321), significant(11.7), significant(1234)
    ('0.43', '12', '1,200')
    """
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 ** (digits - 1) else f"{rounded:g}"


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
