"""Sizes in words."""

from __future__ import annotations

import pytest

from automl.config.sizes import format_count, format_size, parse_count, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8G", 8 * 1024**3),
        ("500M", 500 * 1024**2),
        ("1.5k", 1536),
        ("2GiB", 2 * 1024**3),
        ("10gb", 10 * 1024**3),
        (7, 7),
    ],
)
def test_size_is_read_in_every_form(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("given", ["", "big", "8X", "G", True, None])
def test_size_of_another_form_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="must be a size such as '8G'"):
        parse_size(given)


@pytest.mark.parametrize("given", [0, "0G", -1, float("inf")])
def test_size_below_one_byte_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        parse_size(given)


@pytest.mark.parametrize(
    ("size", "text"),
    [(20 * 1024**3, "20G"), (1536, "1.5K"), (12, "12"), (0, "0"), (-4, "0"), (1024**4, "1T")],
)
def test_size_is_written_short(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("text", "count"), [("5M", 5e6), ("1.5g", 1.5e9), ("800K", 8e5), (7, 7.0), ("2B", 2e9), (" 3 ", 3.0)]
)
def test_count_is_read_in_powers_of_a_thousand(text: object, count: float) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("given", ["", "many", "5X", "M", True, None, 0, -1, float("inf")])
def test_count_that_is_none_is_refused(given: object) -> None:
    with pytest.raises(ValueError, match="must be a number above 0 such as 30M"):
        parse_count(given)


@pytest.mark.parametrize(
    ("count", "text"), [(5e6, "5M"), (11_227_812, "11.2M"), (640, "640"), (1500, "1.5K")]
)
def test_count_is_written_with_three_digits(count: float, text: str) -> None:
    assert format_count(count) == text
