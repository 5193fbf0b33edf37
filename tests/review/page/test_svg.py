"""Scales and the parts of charts."""

from __future__ import annotations

import pytest

from automl.review.page.svg import Scale, dot, frame, padded, steps, text


def test_scale_maps_its_range_to_pixels_and_stays_within() -> None:
    scale = Scale(0.0, 10.0, 100.0, 200.0)
    assert [scale(value) for value in (0.0, 5.0, 10.0, 99.0, -1.0)] == [100.0, 150.0, 200.0, 200.0, 100.0]
    assert Scale(1.0, 1.0, 0.0, 10.0)(1.0) == 5.0
    assert Scale(1e-4, 1e-2, 0.0, 10.0, log=True)(1e-3) == pytest.approx(5.0)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.913, 0.947), (-3.0, 12345.0), (1e-7, 2e-7)])
def test_ticks_are_round_and_within(low: float, high: float) -> None:
    ticks = Scale(low, high, 0, 1).ticks()
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert len({round(later - one, 12) for one, later in zip(ticks, ticks[1:], strict=False)}) == 1


def test_ticks_of_orders_of_magnitude() -> None:
    assert Scale(1e-5, 1e-1, 0, 1, log=True).ticks() == pytest.approx([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])


def test_names_from_outside_are_escaped_and_short() -> None:
    assert "&lt;script&gt;" in text(0, 0, "<script>")
    assert "\\x1b" in dot(0, 0, "", "a\x1b[31m")
    assert len(text(0, 0, "x" * 5000)) < 300
    assert 'aria-label="a&#34;b"' in frame("", "", (0, 1), (0, 1)).draw("", label='a"b')


def test_steps_keep_each_value_until_the_next() -> None:
    assert steps([(0, 5), (2, 7)], 4) == [(0, 5), (2, 5), (2, 7), (4, 7)]
    assert steps([], 4) == []


def test_equal_values_have_a_margin_too() -> None:
    low, high = padded([3.0, 3.0])
    assert low < 3.0 < high
    assert padded([0.0, 10.0], 0.1) == (-1.0, 11.0)
