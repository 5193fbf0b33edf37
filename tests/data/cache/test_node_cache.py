"""A node without the decoded images; another cache folder stands for the other machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.data import open_source, prepare_data
from automl.data.cache.node_cache import DataOrigin, _decoded_here, splits_on_this_node
from automl.data.prepare import PreparedData
from automl.errors import DataError
from automl.records import ReadOptions
from tests.data.conftest import MakeFolder


@pytest.fixture
def prepared(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[PreparedData, DataOrigin]:
    root = make_folder({"cat": 12, "dog": 12})
    found = prepare_data(
        open_source(str(root)), cache_dir=tmp_path / "cache", study_dir=tmp_path / "study", img_size=8
    )
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "other"))
    _decoded_here.cache_clear()
    info = found.splits.info
    return found, DataOrigin(str(root), ReadOptions(), info.img_size, info.in_chans, None)


def away(prepared: PreparedData, tmp_path: Path) -> np.ndarray[Any, Any]:
    """Return what the first machine had decoded; its cache is out of reach from now on."""
    pixels: np.ndarray[Any, Any] = np.load(prepared.splits.train.images).copy()
    shutil.rmtree(tmp_path / "cache")
    return pixels


def test_images_that_are_there_are_used(prepared: tuple[PreparedData, DataOrigin], tmp_path: Path) -> None:
    found, origin = prepared
    assert splits_on_this_node(found.splits, origin) is found.splits
    assert not (tmp_path / "other").exists()


def test_node_without_the_cache_makes_the_same(
    prepared: tuple[PreparedData, DataOrigin], tmp_path: Path
) -> None:
    found, origin = prepared
    pixels = away(found, tmp_path)
    splits = splits_on_this_node(found.splits, origin)
    assert splits.train.images == splits.val.images and splits.train.images.is_relative_to(tmp_path / "other")
    assert np.array_equal(np.load(splits.train.images), pixels)
    assert (splits.train.index, splits.info) == (found.splits.train.index, found.splits.info)


def test_folds_are_read_from_the_images_of_the_node(
    prepared: tuple[PreparedData, DataOrigin], tmp_path: Path
) -> None:
    _, origin = prepared
    cache, study = tmp_path / "cache", tmp_path / "folded"
    found = prepare_data(open_source(str(origin.data)), cache_dir=cache, study_dir=study, img_size=8, folds=3)
    away(found, tmp_path)
    splits = splits_on_this_node(found.splits, origin)
    for there, here in zip(found.splits.folds, splits.folds, strict=True):
        assert {here.train.images, here.val.images} == {splits.train.images}
        assert (here.train.index, here.val.index) == (there.train.index, there.val.index)


def test_node_that_cannot_read_the_data_says_so(
    prepared: tuple[PreparedData, DataOrigin], tmp_path: Path
) -> None:
    found, origin = prepared
    away(found, tmp_path)
    shutil.rmtree(str(origin.data))
    with pytest.raises(DataError, match="has no decoded images and cannot make them: the data must exist"):
        splits_on_this_node(found.splits, origin)


def test_node_with_other_data_is_refused(prepared: tuple[PreparedData, DataOrigin], tmp_path: Path) -> None:
    found, origin = prepared
    away(found, tmp_path)
    shutil.copy(Path(str(origin.data)) / "cat" / "000.png", Path(str(origin.data)) / "cat" / "001.png")
    with pytest.raises(DataError, match="must be those of the study, but they differ"):
        splits_on_this_node(found.splits, origin)


def test_arrays_and_a_folder_that_is_not_shared_are_reported(
    prepared: tuple[PreparedData, DataOrigin], tmp_path: Path
) -> None:
    found, _ = prepared
    away(found, tmp_path)
    with pytest.raises(DataError, match="set AUTOML_CACHE_DIR to a shared folder"):
        splits_on_this_node(found.splits, DataOrigin(None, ReadOptions(), 8, 3, None))
    shutil.rmtree(tmp_path / "study")
    with pytest.raises(DataError, match="must be on storage that all nodes share"):
        splits_on_this_node(found.splits, DataOrigin(None, ReadOptions(), 8, 3, None))
