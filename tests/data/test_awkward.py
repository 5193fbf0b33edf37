"""A zip of nearly everything that can be odd about picture files."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from automl.data import open_source, prepare_data
from automl.data.prepare import PreparedData
from automl.errors import DataError

_ZIP = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "awkward.zip"
pytestmark = pytest.mark.skipif(not _ZIP.exists(), reason=f"needs {_ZIP}")

# A class that nothing can be learnt about: it lies only in test/.
_HOPELESS = ("test/hexagon/",)


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, str]]:
    with zipfile.ZipFile(_ZIP) as archive:
        text = archive.read("manifest.csv").decode("utf-8")
    return {row["path"]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder = tmp_path_factory.mktemp("awkward")
    with zipfile.ZipFile(_ZIP) as archive, zipfile.ZipFile(folder / "fair.zip", "w") as fair:
        for info in archive.infolist():
            if not info.filename.startswith(_HOPELESS):
                fair.writestr(info, archive.read(info))
    source = open_source(folder / "fair.zip")
    result = prepare_data(source, cache_dir=folder / "cache", study_dir=folder / "study")
    source.close()
    return result


def test_class_without_training_pictures_is_named(tmp_path: Path) -> None:
    source = open_source(_ZIP)
    with pytest.raises(DataError, match="'hexagon' has none outside of the given"):
        prepare_data(source, cache_dir=tmp_path / "cache", study_dir=tmp_path / "study")
    assert not any(tmp_path.iterdir())
    source.close()


def test_every_usable_file_is_used_and_every_broken_one_named(
    prepared: PreparedData, manifest: dict[str, dict[str, str]]
) -> None:
    used = set(prepared.table["file"])
    bad = {file.file: file.reason for file in prepared.report.bad}
    fair = {path: row for path, row in manifest.items() if not path.startswith(_HOPELESS)}
    assert not {path for path, row in fair.items() if row["usable"] == "yes"} - used
    assert not {path for path, row in fair.items() if row["usable"] == "no"} & used
    assert bad["train/square/zero.jpg"] == "empty file"
    assert "too many pixels" in bad["train/square/bomb_900MP.png"]
    assert "too many pixels" in bad["train/square/bomb_144MP.png"]
    assert "Git LFS pointer" in bad["train/square/pointer.jpg"]
    assert "a web page" in bad["train/square/error_page.png"]


def test_broken_classes_and_hidden_folders_are_no_classes(prepared: PreparedData) -> None:
    assert prepared.splits.info.classes == ("circle", "größe 图", "square", "triangle")


def test_class_with_one_picture_is_trained_on_and_told(prepared: PreparedData) -> None:
    assert prepared.report.class_counts["triangle"] == {"train": 1, "val": 0, "holdout": 0}
    assert any("Class with one image, kept for training" in note for note in prepared.report.notes)


def test_pictures_that_were_saved_again_stay_with_their_original(prepared: PreparedData) -> None:
    near = {
        name
        for finding in prepared.report.findings
        if finding.kind == "near_copies"
        for name in finding.files
    }
    assert near


def test_copies_of_test_pictures_are_not_trained_on(prepared: PreparedData) -> None:
    places = prepared.table.set_index("file")["split"]
    assert places["test/circle/dup_leak.jpg"] == "holdout"
    assert places["train/circle/dup_leak.jpg"] == ""
    assert places["train/circle/dup_conflict.jpg"] == places["train/square/dup_conflict_too.jpg"] != ""


def test_encodings_of_one_picture_look_alike() -> None:
    from automl.data.pixels import to_pixels

    source = open_source(_ZIP)
    rows = {file: i for i, file in enumerate(source.files)}
    names = [f"train/square/exif_{i}.jpg" for i in range(1, 9)]
    pixels = [to_pixels(source.load(rows[name]), size=32, channels=3).astype(int) for name in names]
    assert all(np.abs(one - pixels[0]).mean() < 6 for one in pixels[1:])
    source.close()
