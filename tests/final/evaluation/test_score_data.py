"""Evaluating a model on data as people have them: what is used, what is left out, and what is said about it."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from automl.errors import ConfigError, DataError
from tests.data.conftest import pack
from tests.final.evaluation.greys import grey, predictor, write_greys

LEVELS = {"dark": [0, 20, 200], "light": [220, 250, 240, 30]}  # one of three, one of four is wrong


def test_folder_archive_table_frame_arrays_and_dataset_are_evaluated_alike(tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "new", LEVELS)
    rows = [(f"{name}/{path.name}", name) for name in LEVELS for path in sorted((folder / name).iterdir())]
    frame = pd.DataFrame(rows, columns=["file", "label"])
    absolute = frame.assign(file=[str(folder / file) for file in frame["file"]])
    frame.to_csv(tmp_path / "new" / "table.csv", index=False)
    images = np.stack([grey(level) for values in LEVELS.values() for level in sorted(values)])
    labels = [name for name, values in LEVELS.items() for _ in values]
    dataset = torch.utils.data.TensorDataset(
        torch.from_numpy(images)[:, None], torch.tensor([name == "light" for name in labels])
    )
    model = predictor()
    expected = model.evaluate(folder)
    assert expected.n == 7 and expected.metrics["accuracy"].value == pytest.approx(5 / 7)
    for data in (
        pack(folder, tmp_path / "new.zip"),
        folder / "table.csv",
        absolute,
        (images, labels),
        str(folder),
    ):
        found = model.evaluate(data)
        assert found.per_class == expected.per_class and found.confusion == expected.confusion
    assert model.evaluate(images, labels).per_class == expected.per_class
    named = predictor(classes=("False", "True"))
    assert named.evaluate(dataset).matrix().tolist() == expected.matrix().tolist()


def test_rows_with_an_unknown_label_are_left_out_and_named(tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "new", {**LEVELS, "pink": [90, 91], "Dark": [3]})
    found = predictor().evaluate(folder)
    assert (found.n, found.left_out) == (7, 3)
    assert (
        "3 of 10 images are left out, because the model does not know these labels: pink (2), Dark (1)."
        in found.notes
    )


def test_data_without_a_known_label_are_refused(tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "new", {"pink": [90, 91], "blue": [3]})
    with pytest.raises(
        DataError, match=r"labels that the model knows \(dark, light\), but 'new' has only pink, blue"
    ):
        predictor().evaluate(folder)


def test_one_class_alone_is_enough(tmp_path: Path) -> None:
    frame = pd.DataFrame({"file": ["a", "b"], "label": ["dark", "dark"]})
    frame["file"] = [
        str(write_greys(tmp_path, {"x": [level]}) / "x" / f"{level:03d}-0.png") for level in (0, 250)
    ]
    found = predictor().evaluate(frame)
    assert (found.n, found.metrics["accuracy"].value) == (2, 0.5)
    assert (
        found.metrics["accuracy"].trivial == 0.0
        and found.metrics["accuracy"].trivial_words == "always 'light'"
    )


def test_unreadable_images_are_left_out_and_named(tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "new", LEVELS)
    (folder / "dark" / "broken.png").write_bytes(b"no image")
    found = predictor().evaluate(folder)
    assert found.n == 7 and found.skipped == {"dark/broken.png": "not an image"}
    assert (
        found.notes[-1] == "1 of 8 images is unreadable and left out, such as dark/broken.png (not an image)."
    )
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 8 is one \(dark/.*: empty file\)"):
        predictor().evaluate(folder)


def test_parts_are_all_used_unless_one_is_named(tmp_path: Path) -> None:
    write_greys(tmp_path / "new" / "train", LEVELS)
    write_greys(tmp_path / "new" / "test", {"dark": [1, 2], "light": [250]})
    model = predictor()
    every = model.evaluate(tmp_path / "new")
    assert every.n == 10 and any("parts (train 7, test 3), and all of them" in note for note in every.notes)
    for word in ("test", "holdout", "Testing"):
        test = model.evaluate(tmp_path / "new", split=word)
        assert (test.n, test.metrics["accuracy"].value) == (3, 1.0)
        assert "3 of 10 images are used, of the part test." in test.notes
    with pytest.raises(
        DataError, match=r"the split 'val' must have images, but 'new' has only train 7, test 3"
    ):
        model.evaluate(tmp_path / "new", split="val")
    with pytest.raises(DataError, match=r"unknown split 'tset': did you mean 'test'\?"):
        model.evaluate(tmp_path / "new", split="tset")


def test_metric_comes_first_and_must_fit_the_task(tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "new", LEVELS)
    assert next(iter(predictor().evaluate(folder, metric="cohen_kappa").metrics)) == "cohen_kappa"
    with pytest.raises(ConfigError, match="metric must fit the task 'classification', got 'rmse'"):
        predictor().evaluate(folder, metric="rmse")


def test_numbers_as_labels_are_equal_by_value() -> None:
    images = np.stack([grey(level) for level in (0, 250, 10, 240)])
    model = predictor(classes=("0", "1"), label_type="int")
    assert model.evaluate(images, np.array([0.0, 1.0, 0.0, 1.0])).metrics["accuracy"].value == 1.0
    assert model.evaluate(images, [0, 1, 0, 1]).metrics["accuracy"].value == 1.0


def test_values_of_a_regression_are_found_by_name(tmp_path: Path) -> None:
    folder = write_greys(tmp_path, {"x": [0, 51, 102, 255]})
    frame = pd.DataFrame({"file": sorted(map(str, folder.rglob("*.png")))})
    frame["height"], frame["weight"] = [1.5, 2.5, 3.5, 4.5], [0.0, 20.5, 40.5, 99.5]
    found = predictor("regression", ("weight",)).evaluate(frame)
    assert found.targets[0].target == "weight" and found.targets[0].mae == pytest.approx(0.375, abs=1e-4)
    swapped = predictor("regression", ("weight", "height")).evaluate(frame)
    assert [target.target for target in swapped.targets] == ["weight", "height"]
    assert swapped.targets[0].mae == pytest.approx(0.375, abs=1e-4)
    with pytest.raises(DataError, match="name the column to learn with --target"):
        predictor("regression", ("age",)).evaluate(frame)
    with pytest.raises(DataError, match=r"the values that the model predicts \(age\), but have height: name"):
        predictor("regression", ("age",)).evaluate(frame, target="height")


def test_labels_that_are_unknown_are_not_counted_but_their_rows_are() -> None:
    images = np.stack([grey(level) for level in (250, 240, 10, 20)])
    labels = [["light"], ["light", "odd"], [], ["odd"]]
    found = predictor("multilabel", ("light",)).evaluate(images, labels)
    assert found.left_out == 1 and found.n == 3
    assert any("odd (2)" in note for note in found.notes)


def a_study(folder: Path, images: dict[Path, str]) -> Path:
    """Write the splits.csv of a study; return where its model would be."""
    (folder / "model").mkdir(parents=True)
    with (folder / "splits.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "split", "group", "sha256"])
        for path, part in images.items():
            writer.writerow([path.name, "x", part, "", hashlib.sha256(path.read_bytes()).hexdigest()])
    return folder / "model"


def test_images_that_the_model_was_trained_on_are_said_first(tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "new", LEVELS)
    paths = sorted(folder.rglob("*.png"))
    parts = dict(zip(paths, ["train", "train", "val", "holdout", "holdout", "", ""], strict=True))
    model = predictor()
    model.folder = a_study(tmp_path / "study", parts)
    found = model.evaluate(folder)
    assert found.trained_on == 3
    assert found.notes[0].startswith("This is no test: 3 of 7 images are ones that the model was trained on")
    model.folder = a_study(
        tmp_path / "other", {path: part for path, part in parts.items() if part == "holdout"}
    )
    held = model.evaluate(folder)
    assert held.trained_on == 0 and held.notes[0].startswith("2 of 7 images are of the study's holdout.")
    model.folder = a_study(tmp_path / "third", {})
    assert model.evaluate(folder).notes == ()


def test_model_outside_of_its_study_says_that_nothing_is_known(tmp_path: Path) -> None:
    folder = write_greys(tmp_path / "new", LEVELS)
    model = predictor()
    assert "unknown whether it was trained" in model.evaluate(folder).notes[0]
    model.folder = a_study(tmp_path / "study", {})
    (tmp_path / "study" / "splits.csv").write_bytes(b"file,label\n\xff\xfe")
    assert "unknown whether it was trained" in model.evaluate(folder).notes[0]
