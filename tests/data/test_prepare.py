"""From a source to splits."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.data import Batches, open_source, prepare_data
from automl.data.prepare import PreparedData
from automl.errors import DataError
from automl.records import Silent
from tests.data.conftest import MakeFolder


class Notes(Silent):
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stages: list[str] = []
        self.last = (0.0, 1.0)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def stage(self, name: str, text: str) -> None:
        self.stages.append(name)

    def progress(self, done: float, total: float) -> None:
        self.last = (done, total)


def _prepare(
    data: object, tmp_path: Path, observer: Notes | None = None, study: str = "study"
) -> PreparedData:
    return prepare_data(
        open_source(data), cache_dir=tmp_path / "cache", study_dir=tmp_path / study, observer=observer
    )


def test_prepared_data_are_consistent(make_folder: MakeFolder, tmp_path: Path) -> None:
    prepared = _prepare(make_folder({"b": 10, "a": 20}), tmp_path)
    info = prepared.splits.info
    assert info.classes == ("a", "b")
    assert (info.n_train, info.n_val, info.n_holdout, info.n_skipped) == (19, 5, 6, 0)
    assert (len(prepared.splits.train), len(prepared.splits.val), len(prepared.holdout)) == (19, 5, 6)
    assert info.class_counts == (13, 6)
    assert (info.img_size, info.in_chans, len(info.mean), len(info.std)) == (32, 3, 3, 3)
    rows = [
        np.load(part.index) for part in (prepared.splits.train, prepared.splits.val, prepared.holdout.open())
    ]
    assert sorted(np.concatenate(rows).tolist()) == list(range(30))


def test_table_says_where_each_file_is(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 10, "b": 10})
    shutil.copy(root / "a" / "000.png", root / "a" / "copy.png")
    table = _prepare(root, tmp_path).table
    assert list(table.columns) == ["file", "label", "split", "group", "sha256"]
    assert len(table) == 21
    assert set(table["split"]) == {"train", "val", "holdout"}
    copies = table[table["group"] != ""]
    assert copies["file"].tolist() == ["a/000.png", "a/copy.png"]
    assert copies["split"].nunique() == copies["group"].nunique() == 1


def test_training_batches_come_out_of_prepared_data(make_folder: MakeFolder, tmp_path: Path) -> None:
    splits = _prepare(make_folder({"a": 10, "b": 10}), tmp_path).splits
    splits = pickle.loads(pickle.dumps(splits))
    batches = Batches(splits.train, batch_size=64, info=splits.info, shuffle=True, seed=0, device="cpu")
    images, targets = next(batches.epoch(0))
    assert images.shape == (12, 3, 32, 32)
    assert np.allclose(images.mean((0, 2, 3)), 0, atol=1e-3)
    assert np.allclose(images.std((0, 2, 3)), 1, atol=1e-2)
    assert np.bincount(targets).tolist() == list(splits.info.class_counts)


def test_second_start_repeats_the_first_from_the_cache(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 10, "b": 10})
    first, second = _prepare(root, tmp_path), _prepare(root, tmp_path, study="other")
    assert second.report.from_cache
    assert not first.report.from_cache
    assert second.splits.info == first.splits.info
    assert second.table.equals(first.table)


def test_split_is_the_same_for_the_same_images_in_another_folder(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder({"a": 10, "b": 10})
    first = _prepare(root, tmp_path)
    second = _prepare(root.rename(tmp_path / "moved"), tmp_path)
    assert second.splits.info.fingerprint == first.splits.info.fingerprint
    assert second.table.equals(first.table)


def test_bad_file_is_skipped_counted_and_named(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 5, "b": 5, "gone": 2})
    (root / "a" / "000.png").write_bytes((root / "a" / "000.png").read_bytes()[:60])
    for path in (root / "gone").iterdir():
        path.write_bytes(b"")
    observer = Notes()
    prepared = _prepare(root, tmp_path, observer)
    assert prepared.splits.info.n_skipped == 3
    assert prepared.splits.info.classes == ("a", "b")
    assert [file.file for file in prepared.report.bad] == ["a/000.png", "gone/000.png", "gone/001.png"]
    findings = [finding.message for finding in prepared.report.findings]
    assert observer.notes == [*prepared.report.notes, *findings]
    assert observer.notes[0].startswith("3 files skipped: a/000.png (truncated), gone/000.png (empty file)")
    assert observer.notes[1] == "Classes without a readable image left out: gone."
    assert observer.stages == ["scan", "cache"]
    assert observer.last == (12, 12)


def test_bad_file_is_an_error_where_asked(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 5, "b": 5})
    (root / "a" / "000.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"but 1 of 10 are not, the first of them 'a/000.png' \(empty file\)"):
        prepare_data(
            open_source(root),
            cache_dir=tmp_path / "cache",
            study_dir=tmp_path / "study",
            on_bad_image="error",
        )
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("counts", "message"),
    [({"a": 3, "b": 1}, "'b' has 1"), ({"a": 3}, "at least 2 classes, but the data have 1")],
)
def test_unusable_classes_are_refused_before_anything_is_written(
    make_folder: MakeFolder, tmp_path: Path, counts: dict[str, int], message: str
) -> None:
    root = make_folder(counts)
    with pytest.raises(DataError, match=message):
        _prepare(root, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_class_with_one_readable_image_is_refused_and_leaves_nothing(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    root = make_folder({"a": 3, "b": 2})
    (root / "b" / "000.png").write_bytes(b"")
    with pytest.raises(DataError, match="'b' has 1"):
        _prepare(root, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_study_folder_that_cannot_be_written_is_named(make_folder: MakeFolder, tmp_path: Path) -> None:
    (tmp_path / "study").write_text("")
    with pytest.raises(DataError, match="the folder of the study must be writable"):
        _prepare(make_folder({"a": 5, "b": 5}), tmp_path)


def test_report_holds_the_facts_as_json(make_folder: MakeFolder, tmp_path: Path) -> None:
    report = _prepare(make_folder({"train/a": 5, "train/b": 5, "test/a": 2, "test/b": 2}), tmp_path).report
    facts = json.loads(report.to_json())
    assert facts["class_counts"] == {name: {"train": 4, "val": 1, "holdout": 2} for name in "ab"}
    assert facts["widths"] == [12, 12, 12]
    assert facts["heights"] == [10, 10, 10]
    assert facts["modes"] == {"RGB": 14}
    assert facts["n_images"] == 14
    assert "\n" not in repr(report)


def test_arrays_and_digits_are_prepared_alike(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((20, 1, 9, 9))
    prepared = _prepare((pixels, ["x", "y"] * 10), tmp_path)
    assert (prepared.splits.info.in_chans, prepared.splits.info.img_size) == (1, 32)
    digits = _prepare("digits", tmp_path).splits.info
    assert (digits.n_train, digits.n_val, digits.n_holdout) == (1151, 287, 359)


def test_unknown_choice_for_bad_images_is_refused(make_folder: MakeFolder, tmp_path: Path) -> None:
    options: dict[str, Any] = {"on_bad_image": "ignore"}
    with pytest.raises(DataError, match="on_bad_image must be 'skip' or 'error', not 'ignore'"):
        prepare_data(
            open_source(make_folder({"a": 2, "b": 2})),
            cache_dir=tmp_path,
            study_dir=tmp_path,
            **options,
        )
