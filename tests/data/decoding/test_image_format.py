"""Choosing size and channels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from automl.data.decoding.image_format import Target, auto_size, choose_target
from automl.data.sources import open_source
from automl.data.sources.arrays import ArraySource
from automl.errors import DataError
from tests.data.conftest import MakeFolder, random_image


@pytest.mark.parametrize(
    ("short_side", "size"),
    [
        (8, 32),
        (40, 32),
        (41, 64),
        (80, 64),
        (81, 96),
        (112, 96),
        (113, 128),
        (160, 128),
        (161, 224),
        (4000, 224),
    ],
)
def test_auto_size_follows_the_short_side(short_side: int, size: int) -> None:
    assert auto_size(short_side) == size


def _source(side: int = 100, channels: int = 3) -> ArraySource:
    return ArraySource(np.zeros((4, side, side + 50, channels), dtype=np.uint8), [0, 1, 0, 1])


def test_auto_is_the_median_short_side_up_to_the_most() -> None:
    assert choose_target(_source(), img_size="auto", max_size=224) == Target(96, 3)
    assert choose_target(_source(), img_size="auto", max_size=64) == Target(64, 3)


def test_given_size_is_kept_above_the_largest_automatic_one() -> None:
    assert choose_target(_source(channels=1), img_size=200, max_size=96) == Target(200, 1)


@pytest.mark.parametrize("size", [7, 1025])
def test_size_outside_of_its_range_is_refused(size: int | Literal["auto"]) -> None:
    with pytest.raises(DataError, match=f"from 8 to 1024, not {size}"):
        choose_target(_source(), img_size=size, max_size=224)


def test_one_image_with_colour_needs_three_channels(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 2})
    for path in sorted(root.rglob("*.png"))[1:]:
        random_image(0, mode="L").save(path)
    assert choose_target(open_source(root), img_size="auto", max_size=224).in_chans == 3
    random_image(0, mode="L").save(root / "a" / "000.png")
    assert choose_target(open_source(root), img_size="auto", max_size=224).in_chans == 1


def test_folder_without_a_readable_image_is_refused(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 2, "b": 2})
    for path in root.rglob("*.png"):
        path.write_bytes(b"text")
    with pytest.raises(DataError, match=r"none of 4 files in 'photos' opens \(a/000.png: not an image\)"):
        choose_target(open_source(root), img_size="auto", max_size=224)
