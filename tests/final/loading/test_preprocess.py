"""preprocess.json of a stranger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from automl.final.loading.preprocess import read_preprocess
from automl.final.model_folder import PREPROCESS, Preprocess, preprocess_to_json
from automl.records import DatasetInfo

INFO = DatasetInfo(
    name="x",
    task="classification",
    classes=("a", "b"),
    in_chans=3,
    img_size=32,
    mean=(0.5, 0.5, 0.5),
    std=(0.2, 0.2, 0.2),
    class_counts=(4, 5),
    fingerprint="f",
    n_train=9,
    n_val=3,
    n_holdout=3,
    n_skipped=0,
)


def _write(folder: Path, **changes: Any) -> Path:
    said = {**preprocess_to_json(Preprocess(INFO, 32)), **changes}
    (folder / PREPROCESS).write_text(json.dumps(said))
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_preprocess(_write(tmp_path)) == Preprocess(INFO, 32)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("format", 2, "is 2, this version reads 1"),
        ("task", "nonsense", "classification or multilabel or regression for task, not 'nonsense'"),
        ("task", ["classification"], "for task"),
        ("label_type", "complex", "for label_type"),
        ("label_type", "bool", "must be different values of the type bool"),
        ("resize", "stretch", "crop or squeeze for resize"),
        ("mirrored", 1, "true or false for mirrored"),
        ("input_size", 10**6, "1 to 2048 pixels as input_size"),
        ("input_size", None, "pixels as input_size"),
        ("img_size", 0, "pixels as img_size"),
        ("img_size", "32", "pixels as img_size"),
        ("in_chans", 10**9, "1 to 1,024 channels"),
        ("in_chans", True, "1 to 1,024 channels"),
        ("name", 5, "a text as name"),
        ("n_train", -1, "a count as n_train"),
        ("n_val", "x", "a count as n_val"),
        ("classes", "ab", "texts as classes"),
        ("classes", [1, 2], "texts as classes"),
        ("classes", ["a", "a"], "different classes"),
        ("classes", ["a"], "at least two of a classification"),
        ("class_counts", [4, 5, 6], "as many class_counts as classes"),
        ("class_counts", [4, "x"], "whole numbers as class_counts"),
        ("mean", [0.5], "3 finite numbers as mean"),
        ("mean", [0.5, 0.5, float("nan")], "3 finite numbers as mean"),
        ("mean", 0.5, "3 finite numbers as mean"),
        ("mean", [0.5, 0.5, 1e308], "3 finite numbers as mean, at most 1e.06"),
        ("std", [0.2, 0.2, 0.0], "3 finite numbers above 0 as std"),
        ("std", [0.2, 0.2, float("inf")], "3 finite numbers above 0 as std"),
        ("std", [0.2, 0.2, 1e308], "3 finite numbers above 0 as std"),
        ("std", [0.2, 0.2, -0.1], "3 finite numbers above 0 as std"),
        ("target_std", [1.0], "0 finite numbers above 0 as target_std"),
        ("pixel_range", [1.0, 0.0], "black and white as pixel_range"),
        ("pixel_range", [0.0], "black and white as pixel_range"),
        ("unknown", 1, "does not fit this version"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path: Path, key: str, value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_preprocess(_write(tmp_path, **{key: value}))


def test_classes_that_are_the_same_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be different values of the type int, not \('1', '01'\)"):
        read_preprocess(_write(tmp_path, label_type="int", classes=["1", "01"]))


def test_regression_has_a_deviation_for_each_column(tmp_path: Path) -> None:
    changes = {"task": "regression", "target_mean": [1.0, 2.0], "target_std": [1.0, 0.5]}
    assert read_preprocess(_write(tmp_path, **changes)).info.task == "regression"
    for target_std in ([1.0], [1.0, 0.0], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="2 finite numbers above 0 as target_std"):
            read_preprocess(_write(tmp_path, **{**changes, "target_std": target_std}))


@pytest.mark.parametrize(
    "text", ["[]", "null", "{}", '{"format": 1}', "[" * 9999, '{"format": ' + "9" * 5000 + "}"]
)
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / PREPROCESS).write_text(text)
    with pytest.raises(ValueError, match=r"preprocess.json|nested too deeply|5,000 digits"):
        read_preprocess(tmp_path)
