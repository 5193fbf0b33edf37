"""Whole studies on small sets of real photographs, one for each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl import config as configuration
from automl import pipeline
from automl.result import FitResult
from tests import photos

pytestmark = [pytest.mark.slow, pytest.mark.study]


def run(data: Any, directory: Path, **options: Any) -> FitResult:
    """A study of seconds, without Ray."""
    quick = {"study": "tiny", "space": "smoke", "n_trials": 2, "epochs": 6, "engine": "local", "img_size": 32}
    return pipeline.fit(configuration.load(data, directory=directory, **{**quick, **options}))


def test_two_kinds_of_photographs_are_distinguished(tmp_path: Path) -> None:
    photos.write_classes(tmp_path / "photos", (90, 90))
    result = run(str(tmp_path / "photos"), tmp_path)
    assert result.to_json()["task"] == "classification"
    assert result.holdout["accuracy"].value > 0.65  # .5 is chance


def test_rare_class_of_photographs_is_predicted(tmp_path: Path) -> None:
    photos.write_classes(tmp_path / "photos", (200, 16))
    result = run(str(tmp_path / "photos"), tmp_path, epochs=8)
    assert result.to_json()["metric"] == "balanced_accuracy"
    rare = sorted((tmp_path / "photos" / "flower").iterdir())
    assert result.predictor.predict(rare).count("flower") > len(rare) / 2


def test_several_labels_of_a_photograph_are_learnt(tmp_path: Path) -> None:
    photos.write_pairs(tmp_path, 160).to_csv(tmp_path / "labels.csv", index=False)
    result = run(str(tmp_path / "labels.csv"), tmp_path, target="temple,flower", epochs=8)
    assert result.to_json()["task"] == "multilabel"
    assert result.holdout["average_precision"].value > 0.8  # .75 is chance


def test_numbers_are_learnt_from_photographs(tmp_path: Path) -> None:
    table = photos.write_shares(tmp_path, 160)
    table.to_csv(tmp_path / "labels.csv", index=False)
    result = run(str(tmp_path / "labels.csv"), tmp_path, target="share", epochs=8)
    assert result.to_json()["task"] == "regression"
    assert result.holdout["rmse"].value < np.std(table["share"])  # that of the mean as an answer
