"""An evaluation is the same after it was JSON, and its tables have a row for each class."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from automl.final.evaluation.record import Evaluation
from automl.records import Task
from tests.final.evaluation.greys import grey, predictor


def an_evaluation(task: Task) -> Evaluation:
    images = np.stack([grey(level) for level in range(0, 250, 5)])
    rows = np.arange(50)
    if task == "classification":
        return predictor(classes=("dark", "grey", "light")).evaluate(
            images, np.array(["dark", "grey"])[rows % 2]
        )
    if task == "multilabel":
        labels = np.stack([rows % 2, rows % 3 == 0], axis=1).astype(int)
        return predictor(task, ("output 0", "output 1")).evaluate(images, labels)
    return predictor(task, ("label",)).evaluate(images, rows * 1.5)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_evaluation_is_the_same_after_json(task: Task) -> None:
    before = replace(an_evaluation(task), skipped={"a.png": "empty file"}, left_out=2, trained_on=1)
    text = json.dumps(before.to_json(), allow_nan=False)
    after = Evaluation.from_json(json.loads(text))
    assert repr(after.per_class) == repr(before.per_class)  # NaN is not equal to itself
    assert repr(after) == repr(before)
    assert replace(after, per_class=(), metrics={}) == replace(before, per_class=(), metrics={})
    assert repr(after.metrics) == repr(dict(before.metrics))


def test_other_format_is_refused() -> None:
    with pytest.raises(ValueError, match="the format of an evaluation is 9, this version reads 1"):
        Evaluation.from_json({**an_evaluation("classification").to_json(), "format": 9})


def test_table_has_a_row_for_each_class_or_value() -> None:
    frame = an_evaluation("classification").to_frame()
    assert list(frame.columns) == ["label", "precision", "recall", "f1", "support", "predicted"]
    assert list(frame["label"]) == ["dark", "grey", "light"] and frame["support"].sum() == 50
    labels = an_evaluation("multilabel").to_frame()
    assert list(labels.columns)[-2:] == ["average_precision", "threshold"] and len(labels) == 2
    values = an_evaluation("regression").to_frame()
    assert list(values.columns) == ["target", "r2", "mae", "rmse", "bias"] and list(values["target"]) == [
        "label"
    ]


def test_confused_pairs_are_in_the_json_and_counts_stay_sparse() -> None:
    said = an_evaluation("classification").to_json()
    assert said["format"] == 1 and said["confused"][0]["count"] > 0
    assert all(count for row in said["confusion"].values() for count in row.values())
