"""The table of answers: its columns by task, and that it is written at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from automl.errors import UsageError
from automl.final.evaluation import answers
from automl.final.evaluation.answers import answers_table, write_answers, write_asked_answers
from automl.final.evaluation.compute import Scored
from tests.final.evaluation.greys import predictor

INFO = predictor().info
SCORED = Scored(
    ("a.png", "b.png"), np.array([0, 1]), np.array([[0.25, 0.75], [0.125, 0.875]], dtype=np.float32)
)


def test_classes_have_confidence_and_probabilities(tmp_path: Path) -> None:
    write_answers(tmp_path / "x.csv", SCORED, INFO)
    found = pd.read_csv(tmp_path / "x.csv")
    assert list(found.columns) == ["file", "label", "predicted", "confidence", "proba_dark", "proba_light"]
    assert found.iloc[0].tolist() == ["a.png", "dark", "light", 0.75, 0.25, 0.75]
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_too_many_probabilities_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_SCORES", 3)
    assert list(answers_table(SCORED, INFO).columns) == ["file", "label", "predicted", "confidence"]


def test_labels_and_values_have_their_own_columns() -> None:
    both = predictor("multilabel", ("x", "y")).info
    targets = np.array([[1, 1], [0, 0]], dtype=np.float32)
    found = answers_table(Scored(("a", "b"), targets, np.array([[0.9, 0.2], [0.6, 0.7]])), both)
    assert found[["label", "predicted"]].values.tolist() == [["x|y", "x"], ["", "x|y"]]
    one, two = predictor("regression", ("age",)).info, predictor("regression", ("age", "size")).info
    values = Scored(("a",), np.array([[1.5]]), np.array([[2.5]]))
    assert answers_table(values, one).to_dict("records") == [{"file": "a", "label": 1.5, "predicted": 2.5}]
    pair = Scored(("a",), np.array([[1.5, 3.0]]), np.array([[2.5, 4.0]]))
    assert list(answers_table(pair, two).columns)[1:] == [
        "label_age",
        "predicted_age",
        "label_size",
        "predicted_size",
    ]


def test_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(UsageError, match=r"--out must be a file that can be written, got '.*x.csv'"):
        write_asked_answers(tmp_path / "x.csv", SCORED, INFO)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
