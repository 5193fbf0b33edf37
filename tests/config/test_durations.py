"""Durations in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.config.durations import (
    format_clock,
    format_duration,
    format_latency,
    parse_duration,
    parse_latency,
    significant,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("90s", 90),
        ("600", 600),
        (600, 600),
        (0.5, 0.5),
        ("1.5h", 5400),
        (" 2D ", 172800),
        ("1e3", 1000),
    ],
)
def test_duration_is_read_in_every_form(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("given_", ["", "ten minutes", "10 min", "m", "1h-3m", True, None, [600]])
def test_duration_of_another_form_is_refused(given_: object) -> None:
    with pytest.raises(ValueError, match="must be a duration such as '10m'"):
        parse_duration(given_)


@pytest.mark.parametrize("given_", [0, "0s", -5, "-5", "inf", "nan"])
def test_duration_not_above_zero_is_refused(given_: object) -> None:
    with pytest.raises(ValueError, match="must be a duration above zero"):
        parse_duration(given_)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (600, "10m"),
        (5400, "1h30m"),
        (100, "1m40s"),
        (45, "45s"),
        (0.42, "0.4s"),
        (0, "0s"),
        (-3, "0s"),
        (9.99, "10s"),
    ],
)
def test_duration_is_written_short(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(1, 10**7))
def test_whole_seconds_survive_writing_and_reading(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(7, "0:07"), (750.9, "12:30"), (3723, "1:02:03"), (-1, "0:00")]
)
def test_clock_shows_hours_only_where_there_are_some(seconds: float, text: str) -> None:
    assert format_clock(seconds) == text


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("20ms", 20.0), ("0.02s", 20.0), ("0.5 ms", 0.5), ("2S", 2000.0), (20, 20.0), (1.5, 1.5), ("20", 20.0)],
)
def test_latency_is_read_in_every_form(text: object, milliseconds: float) -> None:
    assert parse_latency(text) == milliseconds
    assert parse_latency(parse_latency(text)) == milliseconds  # an option is read again where a study goes on


@pytest.mark.parametrize(
    "given_", ["", "fast", "20 minutes", "ms", "-3ms", True, None, [20], 0, "0ms", 1e400]
)
def test_latency_that_is_none_is_refused(given_: object) -> None:
    with pytest.raises(ValueError, match="must be a latency above zero"):
        parse_latency(given_)


@pytest.mark.parametrize(("milliseconds", "text"), [(20.0, "20ms"), (0.1234, "0.123ms"), (1234.5, "1230ms")])
def test_latency_is_written_with_three_digits(milliseconds: float, text: str) -> None:
    assert format_latency(milliseconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.04321, "0.043"),
        (0.995, "0.99"),
        (2.4, "2.4"),
        (9.97, "10"),
        (114.2, "110"),
        (12_345.0, "12,000"),
    ],
)
def test_numbers_of_two_digits_have_no_exponent(value: float, text: str) -> None:
    assert significant(value) == text
