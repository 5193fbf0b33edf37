"""How images that are not square become squares, on every way from a file to pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from automl.data import open_source, prepare_data
from automl.data.cache.cache import Cached, open_or_build
from automl.data.cache.node_cache import DataOrigin, _decoded_here, splits_on_this_node
from automl.data.cache.streamed_images import is_streamed, open_images
from automl.data.constants import POOL_FROM
from automl.data.decoding.image_format import Target
from automl.data.labelled_rows import Labelled
from automl.data.pixels import to_pixels
from automl.data.prepare import PreparedData
from automl.data.sources.base import Source
from automl.data.splits import TRAIN, Split
from automl.machine import Moment
from automl.records import ReadOptions, Resize

WAYS: tuple[Resize, ...] = get_args(Resize)


@pytest.fixture(params=["png", "jpg"])
def photos(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Images of 48 x 24 px, enough for processes to decode them: noise at both ends, soft blocks in the middle."""
    root = tmp_path / "photos"
    for number in range(POOL_FROM + 8):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 256, (24, 48, 3), dtype=np.uint8)
        pixels[:, 12:36] = np.kron(rng.integers(100, 157, (4, 4)), np.ones((6, 6)))[..., None]
        path = root / "ab"[number % 2] / f"{number:03d}.{request.param}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


def prepared(photos: Path, tmp_path: Path, **options: Any) -> PreparedData:
    """The photos at 16 px, and at 8 px as well."""
    folders = {"cache_dir": tmp_path / "cache", "study_dir": tmp_path / "study"}
    return prepare_data(open_source(str(photos)), **{**folders, "img_size": 8, "large_size": 16, **options})


def expected(photos: Path, size: int, resize: Resize) -> np.ndarray:
    """The pixels of all rows, one by one."""
    source = open_source(str(photos))
    found = [
        to_pixels(source.load(row), size=size, channels=3, resize=resize) for row in range(len(source.files))
    ]
    source.close()
    return np.stack(found)


@pytest.mark.parametrize("resize", WAYS)
def test_cache_and_single_images_become_squares_in_the_same_way(
    photos: Path, tmp_path: Path, resize: Resize
) -> None:
    splits = prepared(photos, tmp_path, resize=resize).splits
    assert splits.info.resize == resize and splits.train.large is not None
    large = np.load(splits.train.large)
    assert np.array_equal(large, expected(photos, 16, resize))
    assert (large[:, 4:12, :3].std() > 25.0) == (resize == "squeeze")  # noise, or soft blocks
    small = np.load(splits.train.images).astype(int)  # scaled down from the larger size
    halved = large.reshape(len(large), 8, 2, 8, 2, 3).mean(axis=(2, 4))
    assert np.abs(small - halved).mean() < 3.0


@pytest.mark.parametrize("resize", WAYS)
def test_streamed_images_become_squares_in_the_same_way(photos: Path, tmp_path: Path, resize: Resize) -> None:
    splits = prepared(photos, tmp_path, resize=resize, large_size=0, max_disk=10).splits
    assert is_streamed(splits.train.images)
    rows = np.array([1, 5])
    assert np.array_equal(open_images(splits.train.images)[rows], expected(photos, 8, resize)[rows])


def test_each_way_has_its_own_place_in_the_cache(photos: Path, tmp_path: Path) -> None:
    def opened(target: Target) -> Cached:
        return open_or_build(
            open_source(str(photos)),
            target,
            cache_dir=tmp_path / "cache",
            check=lambda cached: None,
            progress=lambda done, total: None,
        )

    crop, squeezed = opened(Target(16, 3)), opened(Target(16, 3, "squeeze"))
    assert (crop.folder != squeezed.folder, crop.was_there, squeezed.was_there) == (True, False, False)
    assert (crop.resize, squeezed.resize) == WAYS
    for target, larger in ((Target(8, 3), crop), (Target(8, 3, "squeeze"), squeezed)):
        small = np.load(opened(target).images_path).astype(int)
        halved = np.load(larger.images_path).reshape(len(small), 8, 2, 8, 2, 3).mean(axis=(2, 4))
        assert np.abs(small - halved).mean() < 3.0


def test_another_node_decodes_in_the_same_way(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = prepared(photos, tmp_path, resize="squeeze", large_size=0).splits
    pixels = np.load(found.train.images).copy()
    (tmp_path / "cache").rename(tmp_path / "away")
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "other"))
    _decoded_here.cache_clear()
    origin = DataOrigin(str(photos), ReadOptions(), 8, 3, None, resize=found.info.resize)
    assert np.array_equal(np.load(splits_on_this_node(found, origin).train.images), pixels)


@pytest.mark.parametrize("resize", WAYS)
def test_the_way_can_be_chosen_once_the_split_is_known(photos: Path, tmp_path: Path, resize: Resize) -> None:
    seen: list[int] = []

    def choose(source: Source, labelled: Labelled, split: Split) -> Resize:
        assert len(source.files) == len(labelled.usable) == len(split.parts)
        seen.append(split.parts.count(TRAIN))
        return resize

    data = prepared(photos, tmp_path, choose_resize=choose)
    assert seen == [data.splits.info.n_train]
    assert data.splits.info.resize == resize and data.splits.train.large is not None
    assert np.array_equal(np.load(data.splits.train.large), expected(photos, 16, resize))


def test_images_that_were_looked_at_make_room_for_the_chosen_ones(photos: Path, tmp_path: Path) -> None:
    room = 1.5 * (POOL_FROM + 8) * 8 * 8 * 3  # bytes of pixels
    options: dict[str, Any] = {"large_size": 0, "max_disk": int(room), "choose_resize": lambda *_: "squeeze"}
    splits = prepared(photos, tmp_path, **options).splits
    assert not is_streamed(splits.train.images)
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1


def test_nothing_is_chosen_if_the_time_was_too_short_to_decode_all(photos: Path, tmp_path: Path) -> None:
    def choose(source: Source, labelled: Labelled, split: Split) -> Resize:
        raise AssertionError("there is no time")

    data = prepared(photos, tmp_path, choose_resize=choose, until=Moment.now())
    assert data.part and data.splits.info.resize == "crop"
