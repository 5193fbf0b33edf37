"""Fronts of results."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.records import Mode
from automl.search.pareto import on_front, pareto_ranks

_VALUES = st.one_of(st.integers(0, 4).map(float), st.just(math.nan))


def test_ranks_peel_front_after_front() -> None:
    rows = [(0.9, 10.0), (0.8, 5.0), (0.8, 6.0), (0.7, 20.0), (0.95, 30.0), (0.8, 6.0)]
    assert pareto_ranks(rows, ["max", "min"]) == [0, 0, 1, 2, 0, 1]
    assert on_front(rows, ["max", "min"]) == [True, True, False, False, True, False]


def test_equal_rows_share_the_front() -> None:
    assert pareto_ranks([(1.0, 1.0), (1.0, 1.0)], ["max", "max"]) == [0, 0]


def test_rows_that_are_not_finite_are_on_no_front() -> None:
    rows = [(math.nan, 1.0), (0.1, math.inf), (0.1, 5.0)]
    assert pareto_ranks(rows, ["max", "min"]) == [None, None, 0]
    assert on_front(rows, ["max", "min"]) == [False, False, True]


def test_one_column_is_an_order_and_nothing_is_nothing() -> None:
    assert pareto_ranks([(3.0,), (1.0,), (2.0,), (1.0,)], ["min"]) == [2, 0, 1, 0]
    assert pareto_ranks([], ["min"]) == []


def test_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="one value for each of the 2 modes"):
        pareto_ranks([(1.0,)], ["min", "max"])


def _dominates(one: tuple[float, ...], other: tuple[float, ...], modes: list[Mode]) -> bool:
    better = [a > b if mode == "max" else a < b for a, b, mode in zip(one, other, modes, strict=True)]
    return any(better) and all(b or x == y for b, x, y in zip(better, one, other, strict=True))


@given(
    st.lists(st.tuples(_VALUES, _VALUES, _VALUES), max_size=25),
    st.lists(st.sampled_from(["max", "min"]), min_size=3, max_size=3),
)
def test_rank_is_the_longest_chain_of_rows_that_dominate(
    rows: list[tuple[float, ...]], modes: list[Mode]
) -> None:
    ranks = pareto_ranks(rows, modes)
    for row, rank in zip(rows, ranks, strict=True):
        above = [
            r for other, r in zip(rows, ranks, strict=True) if r is not None and _dominates(other, row, modes)
        ]
        if any(map(math.isnan, row)):
            assert rank is None
        else:
            assert rank == (max(above) + 1 if above else 0)
