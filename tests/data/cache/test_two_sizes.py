"""Images that are stored at two sizes: for trainings from scratch, and for pretrained networks."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from automl.data import open_source, prepare_data
from automl.data.cache.node_cache import DataOrigin, _decoded_here, splits_on_this_node
from automl.data.loading.batches import Batches
from automl.data.prepare import PreparedData
from automl.machine import Moment
from automl.records import ReadOptions
from tests.data.conftest import random_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty pictures of 240 px, of two kinds."""
    root = tmp_path / "photos"
    for number in range(40):
        path = root / "ab"[number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        random_image(number, size=(12, 12)).resize((240, 240), Image.Resampling.BICUBIC).save(path)
    return root


def prepared(photos: Path, tmp_path: Path, **options: Any) -> PreparedData:
    whole = {"max_size": 64, "large_size": 128, **options}
    return prepare_data(
        open_source(str(photos)), cache_dir=tmp_path / "cache", study_dir=tmp_path / "study", **whole
    )


def test_the_same_rows_are_stored_at_both_sizes(photos: Path, tmp_path: Path) -> None:
    data = prepared(photos, tmp_path)
    train, info = data.splits.train, data.splits.info
    assert (info.img_size, info.large_size, info.detailed.img_size) == (64, 128, 128)
    assert train.large is not None
    small, large = np.load(train.images), np.load(train.large)
    assert small.shape == (40, 64, 64, 3) and large.shape == (40, 128, 128, 3)
    halved = large.reshape(40, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.abs(small - halved).mean() < 2.0
    assert (data.splits.val.large, data.holdout.open().large) == (train.large, train.large)
    assert pickle.loads(pickle.dumps(train)) == train


def test_batches_follow_the_size_of_their_info(photos: Path, tmp_path: Path) -> None:
    splits = prepared(photos, tmp_path).splits
    for info, side in ((splits.info, 64), (splits.info.detailed, 128)):
        batches = Batches(splits.val, batch_size=2, info=info, shuffle=False, seed=0, device="cpu")
        images, _ = next(batches.epoch(0))
        assert images.shape[2:] == (side, side)


@pytest.mark.parametrize(
    "options", [{"large_size": 0}, {"large_size": 64}, {"img_size": 32, "large_size": 0}]
)
def test_one_size_is_stored_if_no_larger_one_is_wanted(
    photos: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    splits = prepared(photos, tmp_path, **options).splits
    assert splits.train.large is None and splits.info.large_size == 0
    assert splits.info.detailed == splits.info


def test_small_images_are_not_stored_larger_than_they_are(tmp_path: Path, photos: Path) -> None:
    for path in photos.rglob("*.png"):
        Image.open(path).resize((60, 60)).save(path)
    assert prepared(photos, tmp_path).splits.info.large_size == 0


def test_continued_study_has_the_sizes_that_it_had(photos: Path, tmp_path: Path) -> None:
    before = prepared(photos, tmp_path).splits
    again = prepared(photos, tmp_path, img_size=64, large_size=128).splits
    assert (again.train, again.info) == (before.train, before.info)


def test_part_of_the_images_is_the_same_at_both_sizes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automl.data.prepare.LEAST", 24)
    data = prepared(photos, tmp_path, until=Moment.now())
    train = data.splits.train
    assert data.part and train.large is not None
    assert len(np.load(train.images)) == len(np.load(train.large)) < 40


def test_other_machine_makes_both_sizes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = prepared(photos, tmp_path).splits
    assert splits.train.large is not None
    expected = [np.load(path).copy() for path in (splits.train.images, splits.train.large)]
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "other"))
    _decoded_here.cache_clear()
    images, large = (
        tmp_path / "gone" / path.parent.name / "images.npy"
        for path in (splits.train.images, splits.train.large)
    )
    train, val = (replace(rows, images=images, large=large) for rows in (splits.train, splits.val))
    moved = replace(splits, train=train, val=val)
    info = splits.info
    origin = DataOrigin(str(photos), ReadOptions(), info.img_size, info.in_chans, None, info.large_size)
    found = splits_on_this_node(moved, origin)
    assert found.val.large == found.train.large is not None
    made = [np.load(path) for path in (found.train.images, found.train.large)]
    assert all(map(np.array_equal, made, expected))
