"""Thumbnails are small, made once, and stay within their budget."""

from __future__ import annotations

from PIL import Image

from automl.errors import DataError
from automl.review.page.thumbnails import Thumbnails


def test_image_is_opened_once_and_counted_each_time_it_is_shown() -> None:
    opened: list[str] = []

    def load(name: str) -> Image.Image:
        opened.append(name)
        return Image.new("RGB", (300, 200), (200, 30, 30))

    made = Thumbnails(load, most_bytes=10_000)
    first = made("a")
    assert first.startswith("data:image/jpeg;base64,") and made("a") == first and opened == ["a"]
    assert made.used == 2 * len(first) < 10_000


def test_image_beyond_the_budget_or_the_time_is_left_out() -> None:
    def load(name: str) -> Image.Image:
        return Image.new("L", (50, 50), 128)

    made = Thumbnails(load, most_bytes=1_200)
    shown = [bool(made(str(k))) for k in range(5)]
    assert shown[0] and not shown[-1] and made.used <= 1_200
    late = Thumbnails(load, most_bytes=10**6, until=0.0)
    assert late("a") == "" and late.missing == 1


def test_unreadable_image_is_that_of_the_earlier_page_or_missing() -> None:
    def load(name: str) -> Image.Image:
        raise DataError(f"{name}: gone")

    made = Thumbnails(load, most_bytes=10**6, earlier={"a": "data:image/jpeg;base64,AAAA"})
    assert made("a") == "data:image/jpeg;base64,AAAA" and made("b") == ""
    assert made.missing == 1
