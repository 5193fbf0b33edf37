"""Scores of a model on the validation rows: written within a bound, read with care."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.errors import StorageError
from automl.records import Task
from automl.training.validation import scores_file
from automl.training.validation.scores_file import (
    ValidationScores,
    can_be_kept,
    read_facts,
    read_scores,
    write_scores,
)

N, CLASSES = 6, ("ash", 'b"irch\n', "日本")


def scores(task: Task = "classification") -> ValidationScores:
    rng = np.random.default_rng(0)
    values = rng.random((N, len(CLASSES)))
    targets: Any = {
        "classification": np.arange(N) % 3,
        "multilabel": (values > 0.4).astype(np.float32),
        "regression": (1e6 * values).astype(np.float32),
    }[task]
    outputs = 1e6 * values + 1.0 if task == "regression" else values / values.sum(axis=1, keepdims=True)
    return ValidationScores(3, 0.1 + 0.2, task, CLASSES, np.arange(N)[::-1] + 7, targets, outputs)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_what_is_read_is_what_was_written(task: Task, tmp_path: Path) -> None:
    path, given = tmp_path / "t0001" / "validation.safetensors", scores(task)
    write_scores(path, given)
    found, facts = read_scores(path), read_facts(path)
    assert found is not None and facts is not None
    for said in (found, facts):
        assert (said.round, said.value, said.task, said.classes) == (3, 0.1 + 0.2, task, CLASSES)
    assert found.rows.tolist() == given.rows.tolist()
    assert np.array_equal(found.targets, given.targets)
    assert np.allclose(found.scores, given.scores, rtol=1e-6)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_no_file_is_none(tmp_path: Path) -> None:
    assert read_scores(tmp_path / "none") is None
    assert read_facts(tmp_path / "none") is None


def test_probabilities_become_shorter_before_they_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_file, "MOST_BYTES", N * (8 + 2 * len(CLASSES)))
    assert can_be_kept("classification", N, len(CLASSES))
    assert not can_be_kept("classification", N + 1, len(CLASSES))
    assert not can_be_kept("regression", N, len(CLASSES)), "values have no shorter form"
    write_scores(tmp_path / "short", scores())
    found = read_scores(tmp_path / "short")
    assert found is not None and found.scores.dtype == np.float16
    assert np.allclose(found.scores, scores().scores, atol=1e-3)


def test_values_of_a_regression_stay_exact_whatever_their_size(tmp_path: Path) -> None:
    write_scores(tmp_path / "values", scores("regression"))
    found = read_scores(tmp_path / "values")
    assert found is not None and np.allclose(found.scores, scores("regression").scores, rtol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": CLASSES[:2]},
        {"rows": np.arange(N - 1)},
        {"rows": -np.arange(N)},
        {"targets": np.full(N, 3)},
        {"task": "multilabel"},
    ],
)
def test_scores_that_do_not_belong_together_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "validation.safetensors"
    write_scores(path, replace(scores(), **wrong))
    with pytest.raises(StorageError, match=r"validation scores '.*' cannot be read"):
        read_scores(path)


def test_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "validation.safetensors"
    write_scores(path, scores())
    whole = path.read_bytes()
    for content in (b"", whole[:-3], whole[:40], b"\x00" * 100, whole.replace(b'"round"', b'"rouud"')):
        path.write_bytes(content)
        with pytest.raises(StorageError, match="cannot be read"):
            read_scores(path)


def test_file_of_another_size_than_is_ever_written_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scores(tmp_path / "large", scores())
    monkeypatch.setattr(scores_file, "_MOST_FILE", 100)
    with pytest.raises(StorageError, match="it has more than 100 bytes"):
        read_facts(tmp_path / "large")
