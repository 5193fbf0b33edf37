"""Which of several results no other one beats in everything."""

from __future__ import annotations

import math
from collections.abc import Sequence

from automl.records import Mode

Point = tuple[float, ...]


def pareto_ranks(values: Sequence[Sequence[float]], modes: Sequence[Mode]) -> list[int | None]:
    """The front that each row belongs to: 0 for those that no other row dominates, 1 for those that only rows of front
    0 dominate, and so on.

    One row dominates another if it is at least as good in everything and better in something; `modes` says for each
    column whether more or less is better. Equal rows share a front. A row with a NaN or infinity is on none (None).
    No rows give []. Raises ValueError for a row of another length than `modes`.

    Source: sequential search of Zhang et al., "An Efficient Approach to Nondominated Sorting for Evolutionary
    Multiobjective Optimization" (IEEE TEVC 2015).
    """
    if any(len(row) != len(modes) for row in values):
        raise ValueError(f"every row must have one value for each of the {len(modes)} modes, got {values!r}")
    signs = [-1.0 if mode == "max" else 1.0 for mode in modes]
    points = {
        place: tuple(sign * value for sign, value in zip(signs, row, strict=True))
        for place, row in enumerate(values)
        if all(math.isfinite(value) for value in row)
    }
    ranks: list[int | None] = [None] * len(values)
    fronts: list[list[Point]] = []
    # In this order, no row is dominated by a later one.
    for place in sorted(points, key=points.__getitem__):
        point = points[place]
        # Late members of a front are the likeliest to dominate.
        free = (
            rank
            for rank, front in enumerate(fronts)
            if not any(_dominates(other, point) for other in reversed(front))
        )
        rank = next(free, len(fronts))
        if rank == len(fronts):
            fronts.append([])
        fronts[rank].append(point)
        ranks[place] = rank
    return ranks


def on_front(values: Sequence[Sequence[float]], modes: Sequence[Mode]) -> list[bool]:
    """Whether no other row dominates each row; False where one holds a NaN or infinity."""
    return [rank == 0 for rank in pareto_ranks(values, modes)]


def _dominates(one: Point, other: Point) -> bool:
    """Of two points of which less is better, in everything at least as good and in something better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
