"""A zip with nearly everything that can be wrong with image files."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import automl
from automl.cli import main
from automl.data import open_source, prepare_data
from automl.data.prepare import PreparedData

_ZIP = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "awkward.zip"
pytestmark = pytest.mark.skipif(not _ZIP.exists(), reason=f"needs {_ZIP}")

# What becomes of the files for which the manifest leaves that open ("ask"), by its word for their kind.
_HIDDEN = ("hidden file, valid picture", "hidden folder that looks like a class")
_NOT_LISTED = (*_HIDDEN, "JPEG without an extension", "picture outside every class folder")
_REFUSED = {
    "JPEG without its last two bytes (end marker)": "truncated",
    "12000x12000 PNG, small on disk": "too many pixels to decode safely (12000x12000)",
}
_UNANSWERABLE = "class that is only in test"
_LEAKING = (
    "train/circle/dup_leak.jpg",
    "train/circle/dup_leak_conflict.jpg",
    "train/square/re_exif_only.jpg",
)
# Mirrored, it is no copy by its pixels.
_OTHER_PIXELS = ("test/square/re_mirror.jpg",)


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, str]]:
    with zipfile.ZipFile(_ZIP) as archive:
        text = archive.read("manifest.csv").decode("utf-8")
    return {row["path"]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder = tmp_path_factory.mktemp("awkward")
    source = open_source(_ZIP)
    result = prepare_data(source, cache_dir=folder / "cache", study_dir=folder / "study")
    source.close()
    return result


def test_class_that_is_only_in_test_is_left_out_and_reported(prepared: PreparedData) -> None:
    assert "hexagon" not in prepared.report.class_counts
    assert any("without a training image dropped, with 3 images" in note for note in prepared.report.notes)


def test_every_file_gets_the_treatment_that_the_manifest_names(
    prepared: PreparedData, manifest: dict[str, dict[str, str]]
) -> None:
    places = dict(zip(prepared.table["file"], prepared.table["split"], strict=True))
    bad = {file.file: file.reason for file in prepared.report.bad}
    assert len(manifest) == 149

    def treatment(path: str) -> str:
        return places.get(path, "not listed") if path not in bad else f"bad: {bad[path]}"

    def allowed(row: dict[str, str]) -> set[str]:
        path, given = row["path"], "holdout" if row["split"] == "test" else "train"
        if row["usable"] == "no":
            return {treatment(path)} - {"train", "val", "holdout", ""}
        if row["kind"] in _NOT_LISTED:
            return {"not listed"}
        if row["kind"] in _REFUSED:
            return {f"bad: {_REFUSED[row['kind']]}"}
        if row["kind"] == _UNANSWERABLE or path in _LEAKING or path == "train/square/re_original.jpg":
            return {""}
        return {"holdout"} if given == "holdout" else {"train", "val"}

    wrong = {path: treatment(path) for path, row in manifest.items() if treatment(path) not in allowed(row)}
    assert wrong == {}
    assert set(places) | set(bad) <= set(manifest)


def test_images_that_the_manifest_calls_the_same_stay_together(
    prepared: PreparedData, manifest: dict[str, dict[str, str]]
) -> None:
    group = dict(zip(prepared.table["file"], prepared.table["group"], strict=True))
    families: dict[str, list[str]] = {}
    for path, row in manifest.items():
        if row["group"] and path not in _OTHER_PIXELS:
            families.setdefault(row["group"], []).append(path)
    assert sorted(families) == ["d1", "d2", "d3", "d4", "d5", "exif"]
    names = [{group[path] for path in paths} for paths in families.values()]
    assert all(len(name) == 1 and name != {""} for name in names)
    assert len(set.union(*names)) == len(families)


def test_images_under_two_labels_are_reported(
    prepared: PreparedData, manifest: dict[str, dict[str, str]]
) -> None:
    told = {finding.kind: finding.files for finding in prepared.report.findings}
    labels: dict[str, set[str]] = {}
    for row in manifest.values():
        labels.setdefault(row["group"], set()).add(row["label"])
    several = {name for name, found in labels.items() if name and len(found) > 1}
    cases = [{manifest[file]["group"] for file in case} for case in told["two_labels"]]
    assert {name for case in cases for name in case} == several


def test_broken_classes_and_hidden_folders_are_no_classes(prepared: PreparedData) -> None:
    assert prepared.splits.info.classes == ("circle", "größe 图", "square", "triangle")


def test_class_with_one_image_is_trained_on_and_reported(prepared: PreparedData) -> None:
    assert prepared.report.class_counts["triangle"] == {"train": 1, "val": 0, "holdout": 0}
    assert any("Class with one image, kept for training" in note for note in prepared.report.notes)


def test_images_that_were_saved_again_stay_with_their_original(prepared: PreparedData) -> None:
    near = {
        name
        for finding in prepared.report.findings
        if finding.kind == "near_copies"
        for name in finding.files
    }
    assert near


def test_copies_of_test_images_are_not_trained_on(prepared: PreparedData) -> None:
    places = prepared.table.set_index("file")["split"]
    assert places["test/circle/dup_leak.jpg"] == "holdout"
    assert places["train/circle/dup_leak.jpg"] == ""
    assert places["train/circle/dup_conflict.jpg"] == places["train/square/dup_conflict_too.jpg"] != ""


def test_inspection_shows_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    assert main(["inspect", str(_ZIP), "--all", "--html", str(tmp_path / "page.html")]) == 0
    shown = capsys.readouterr().out
    for text in (
        "hexagon",
        "triangle",
        "Git LFS pointer",
        "too many pixels",
        "dup_conflict_too.jpg",
        "größe 图",
    ):
        assert text in shown
    assert "Git LFS pointer" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_study_goes_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    options: dict[str, Any] = {
        "space": "smoke",
        "n_trials": 1,
        "epochs": 2,
        "engine": "local",
        "img_size": 32,
        "study": "odd",
    }
    result = automl.fit(str(_ZIP), directory=tmp_path / "studies", **options)
    assert result.to_json()["data"]["n_skipped"] == 15
    assert 0 <= result.holdout["accuracy"].value <= 1
    assert result.predictor.info.classes == ("circle", "größe 图", "square", "triangle")


def test_encodings_of_one_image_look_alike() -> None:
    from automl.data.pixels import to_pixels

    source = open_source(_ZIP)
    rows = {file: i for i, file in enumerate(source.files)}
    names = [f"train/square/exif_{i}.jpg" for i in range(1, 9)]
    pixels = [to_pixels(source.load(rows[name]), size=32, channels=3).astype(int) for name in names]
    assert all(np.abs(one - pixels[0]).mean() < 6 for one in pixels[1:])
    source.close()
