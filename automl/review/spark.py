"""A line of numbers drawn with block characters."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """The values from left to right, lowest at the bottom, in at most `width` characters; empty for none.

    With more values than characters each character shows the last value of its share; all equal draws the
    middle height.
    """
    if not values or width < 1:
        return ""
    if len(values) > width:
        values = [values[(index + 1) * len(values) // width - 1] for index in range(width)]
    low, high = min(values), max(values)
    if high == low:
        return _BLOCKS[3] * len(values)
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round((value - low) / (high - low) * top)] for value in values)


def over_time(points: Sequence[tuple[float, float]], now: float, width: int) -> list[float]:
    """The value that held in each of `width` equal parts of the time up to `now`.

    `points` are (seconds, value) in order of time; the parts before the first point are left out.
    """
    if not points or width < 1:
        return []
    end = max(now, points[-1][0], 1e-9)
    values: list[float] = []
    for part in range(width):
        until = end * (part + 1) / width
        reached = [value for moment, value in points if moment <= until]
        if reached:
            values.append(reached[-1])
    return values or [points[-1][1]]
