"""Images that are decoded in every epoch."""

from __future__ import annotations

import pickle
import shutil
import tarfile
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from automl.data import Augment, Batches, open_source, prepare_data
from automl.data.cache.streamed_images import StreamedImages, is_streamed, open_images
from automl.data.prepare import PreparedData
from automl.errors import DataError
from automl.records import Silent
from tests.data.conftest import MakeFolder, pack


class Notes(Silent):
    """Remembers the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def _prepare(data: object, place: Path, *, limit: int | None) -> tuple[PreparedData, list[str]]:
    observer = Notes()
    source = open_source(data)
    prepared = prepare_data(
        source,
        cache_dir=place / "cache",
        study_dir=place / "study",
        observer=observer,
        max_disk=10**12 if limit is None else limit,
    )
    source.close()
    return prepared, observer.notes


def _epoch(prepared: PreparedData) -> list[tuple[torch.Tensor, torch.Tensor]]:
    splits = pickle.loads(pickle.dumps(prepared.splits))
    return list(
        Batches(
            splits.train,
            batch_size=4,
            info=splits.info,
            augment=Augment(0.5, hflip=True),
            shuffle=True,
            seed=3,
            device="cpu",
        ).epoch(2)
    )


@pytest.fixture
def root(make_folder: MakeFolder) -> Path:
    root = make_folder({"a": 20, "b": 15})
    (root / "a" / "003.png").write_bytes(b"text")
    return root


def _packed(root: Path, kind: str) -> Path:
    if kind == "folder":
        return root
    if kind == "zip":
        return pack(root, root.with_suffix(".zip"))
    target = root.with_suffix(".tar")
    with tarfile.open(target, "w") as archive:
        archive.add(root, arcname=".")
    return target


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_streamed_epoch_equals_the_cached_one(root: Path, tmp_path: Path, kind: str) -> None:
    data = _packed(root, kind)
    cached, _ = _prepare(data, tmp_path / "one", limit=None)
    streamed, notes = _prepare(data, tmp_path / "two", limit=1000)
    assert is_streamed(streamed.splits.train.images)
    assert not is_streamed(cached.splits.train.images)
    assert streamed.splits.info == cached.splits.info
    assert streamed.table.equals(cached.table)
    pairs = list(zip(_epoch(cached), _epoch(streamed), strict=True))
    assert len(pairs) > 4
    assert all(torch.equal(a, b) for first, second in pairs for a, b in zip(first, second, strict=True))
    assert notes[0].startswith("Images are decoded again in every epoch: the decoded images need 0.00 GB")
    assert "ms per image on one core here" in notes[1]


def test_second_start_scans_nothing_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = _prepare(root, tmp_path, limit=1000)
    monkeypatch.setattr("automl.data.cache.cache.decode_all", None)
    second, _ = _prepare(root, tmp_path, limit=1000)
    assert second.report.from_cache
    assert second.splits.info == first.splits.info
    assert not list((tmp_path / "cache").rglob("images.npy"))


def test_room_that_comes_later_is_used(root: Path, tmp_path: Path) -> None:
    _prepare(root, tmp_path, limit=1000)
    later, notes = _prepare(root, tmp_path, limit=10**9)
    assert not is_streamed(later.splits.train.images)
    assert not any("every epoch" in note for note in notes)


def test_arrays_have_no_files_and_are_refused_without_room(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 9, 9), dtype=np.uint8)
    with pytest.raises(DataError, match="--max-disk allows 0.00 GB: raise it"):
        _prepare((pixels, ["x", "y"] * 10), tmp_path, limit=1000)


def test_file_that_vanishes_is_named(root: Path, tmp_path: Path) -> None:
    prepared, _ = _prepare(root, tmp_path, limit=1000)
    shutil.rmtree(root / "b")
    with pytest.raises(
        DataError, match=r"'b/0..\.png' in .*photos' has changed \(cannot be read .*put it back"
    ):
        _epoch(prepared)


def test_epoch_that_is_cut_leaves_no_threads(root: Path, tmp_path: Path) -> None:
    splits = _prepare(root, tmp_path, limit=1000)[0].splits
    batches = Batches(splits.train, batch_size=2, info=splits.info, shuffle=True, seed=0, device="cpu")
    epoch = batches.epoch(0)
    next(epoch)
    del epoch  # closes the generator
    assert not any(thread.name.startswith("stream") for thread in threading.enumerate())


def test_threads_leave_the_filters_of_warnings_as_they_were(root: Path, tmp_path: Path) -> None:
    images = open_images(_prepare(root, tmp_path, limit=1000)[0].splits.train.images)
    assert isinstance(images, StreamedImages)
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda row: images[np.array([row])], [4, 5, 6, 7] * 10))
    assert list(warnings.filters) == before
    assert np.array_equal(found[0], found[4])
    assert len(images) == 35
