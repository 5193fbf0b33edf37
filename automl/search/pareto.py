"""Pareto fronts: results that no other result beats in every objective."""

from __future__ import annotations

import math
from collections.abc import Sequence

from automl.records import Mode


def on_front(values: Sequence[Sequence[float]], modes: Sequence[Mode]) -> list[bool]:
    """Return for each row whether no other row dominates it; False for a row with a NaN or infinity.

    A row dominates another if it is at least as good in every column and better in one. `modes` says for each column
    whether more or less is better. Equal rows do not dominate each other. Raises ValueError for a row of another length
    than `modes`.
    """
    if any(len(row) != len(modes) for row in values):
        raise ValueError(f"every row must have one value for each of the {len(modes)} modes, got {values!r}")
    signs = [-1.0 if mode == "max" else 1.0 for mode in modes]
    points = {
        place: tuple(sign * value for sign, value in zip(signs, row, strict=True))
        for place, row in enumerate(values)
        if all(math.isfinite(value) for value in row)
    }
    front: list[tuple[float, ...]] = []
    found = [False] * len(values)
    for place in sorted(points, key=points.__getitem__):  # no row is dominated by a later one
        point = points[place]
        # Late members of the front are the likeliest to dominate.
        if not any(one != point and all(map(float.__le__, one, point)) for one in reversed(front)):
            front.append(point)
            found[place] = True
    return found
