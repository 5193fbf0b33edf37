"""The Pareto front of results."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.records import Mode
from automl.search.pareto import on_front

_VALUES = st.one_of(st.integers(0, 4).map(float), st.just(math.nan))


def test_front_holds_what_no_other_row_dominates() -> None:
    rows = [(0.9, 10.0), (0.8, 5.0), (0.8, 6.0), (0.7, 20.0), (0.95, 30.0), (0.8, 6.0)]
    assert on_front(rows, ["max", "min"]) == [True, True, False, False, True, False]


def test_equal_rows_share_the_front() -> None:
    assert on_front([(1.0, 1.0), (1.0, 1.0)], ["max", "max"]) == [True, True]


def test_rows_that_are_not_finite_are_not_on_the_front() -> None:
    assert on_front([(math.nan, 1.0), (0.1, math.inf), (0.1, 5.0)], ["max", "min"]) == [False, False, True]


def test_one_column_has_its_best_on_the_front_and_nothing_has_nothing() -> None:
    assert on_front([(3.0,), (1.0,), (2.0,), (1.0,)], ["min"]) == [False, True, False, True]
    assert on_front([], ["min"]) == []


def test_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="one value for each of the 2 modes"):
        on_front([(1.0,)], ["min", "max"])


def _dominates(one: tuple[float, ...], other: tuple[float, ...], modes: list[Mode]) -> bool:
    better = [a > b if mode == "max" else a < b for a, b, mode in zip(one, other, modes, strict=True)]
    return any(better) and all(b or x == y for b, x, y in zip(better, one, other, strict=True))


@given(
    st.lists(st.tuples(_VALUES, _VALUES, _VALUES), max_size=25),
    st.lists(st.sampled_from(["max", "min"]), min_size=3, max_size=3),
)
def test_front_is_what_no_finite_row_dominates(rows: list[tuple[float, ...]], modes: list[Mode]) -> None:
    finite = [row for row in rows if not any(map(math.isnan, row))]
    for row, best in zip(rows, on_front(rows, modes), strict=True):
        assert best == (row in finite and not any(_dominates(other, row, modes) for other in finite))
