"""Mean and deviation of the training pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from automl.data import channel_stats as statistics
from automl.data.channel_stats import channel_statistics
from tests.data.conftest import MakeRows


@pytest.mark.parametrize("chunk", [1, 2**24])
def test_statistics_are_those_of_the_indexed_rows(
    make_rows: MakeRows, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(statistics, "_CHUNK_BYTES", chunk)
    rows, _ = make_rows()
    pixels = np.load(rows.images)[np.load(rows.index)] / 255
    mean, std = channel_statistics(rows.images, np.load(rows.index))
    assert np.allclose(mean, pixels.mean(axis=(0, 1, 2)))
    assert np.allclose(std, pixels.std(axis=(0, 1, 2)))


def test_images_of_one_colour_keep_a_deviation(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((3, 4, 4, 1), 51, dtype=np.uint8))
    mean, std = channel_statistics(tmp_path / "x.npy", np.arange(3))
    assert mean == pytest.approx((0.2,))
    assert std == pytest.approx((1 / 255,))


def test_many_rows_are_sampled_evenly(make_rows: MakeRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_MOST_ROWS", 2)
    rows, _ = make_rows()
    ends = np.load(rows.images)[[1, 19]] / 255
    assert np.allclose(channel_statistics(rows.images, np.load(rows.index))[0], ends.mean(axis=(0, 1, 2)))


def test_every_few_pixels_of_large_images_say_the_same(
    make_rows: MakeRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = make_rows(40, size=64)
    index = np.load(rows.index)
    whole = channel_statistics(rows.images, index)
    monkeypatch.setattr(statistics, "_MOST_SIDE", 16)
    part = channel_statistics(rows.images, index)
    assert part != whole
    assert np.allclose(part, whole, atol=0.005)
