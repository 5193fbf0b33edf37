"""From label columns to a task and targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from automl.data.sources.labels import read_labels
from automl.errors import DataError


@pytest.mark.parametrize(
    ("column", "cells", "task", "classes"),
    [
        ("label", ["b", "a", "b"], "classification", ("a", "b")),
        ("label", ["10", "9", "10"], "classification", ("9", "10")),
        ("label", [str(i) for i in range(30)], "classification", tuple(str(i) for i in range(30))),
        ("age", [str(i) for i in range(30)], "regression", ("age",)),
        ("grade", ["1", "2", "1"], "classification", ("1", "2")),
        ("grade", [1.0, 2.0, 1.0], "classification", ("1", "2")),
        ("target", ["0.5", "1", "2"], "regression", ("target",)),
        ("label", ["a|b", "b", ""], "multilabel", ("a", "b")),
        ("label", [["a", "b"], np.array(["b"]), []], "multilabel", ("a", "b")),
        ("label", ["['a', 'b']", "['b']", "[]"], "multilabel", ("a", "b")),
        ("label", ["[a, b]", "[b]", "[]"], "multilabel", ("a", "b")),
        ("label", ["nan", "NA", "None"], "classification", ("NA", "None", "nan")),
    ],
)
def test_one_column_suggests_a_task(
    column: str, cells: list[Any], task: str, classes: tuple[str, ...]
) -> None:
    found = read_labels({column: cells}, task="auto")
    assert (found.task, found.classes) == (task, classes)
    assert len(found.targets) == len(cells)


def test_lists_become_one_column_a_label() -> None:
    found = read_labels({"label": ["cat|dog", "", "dog"]}, task="auto")
    assert found.targets.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert found.notes == (
        "Task: multilabel of label, as its values suggest; --task chooses another.",
        "1 row without a label kept: no label applies to them.",
    )


def test_columns_of_bits_are_labels_and_others_numbers() -> None:
    bits = read_labels({"cat": ["1", "0"], "dog": ["True", "False"]}, task="auto")
    assert (bits.task, bits.targets.tolist()) == ("multilabel", [[1, 1], [0, 0]])
    numbers = read_labels({"x": ["1", "0"], "y": ["2.5", "-1"]}, task="auto")
    assert (numbers.task, numbers.targets.tolist()) == ("regression", [[1, 2.5], [0, -1]])


def test_asked_task_is_kept() -> None:
    assert read_labels({"n": ["1", "2", "3"]}, task="regression").targets.tolist() == [[1], [2], [3]]
    assert read_labels({"n": ["0.5", "2", "2"]}, task="classification").classes == ("0.5", "2")
    assert read_labels({"n": ["a", "b", "a"]}, task="multilabel").targets.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert read_labels({"n": ["a|b", "c", "c"]}, task="classification").classes == ("a|b", "c")


def test_rows_without_a_value_are_left_out_and_counted() -> None:
    found = read_labels({"x": [1.5, None, float("nan"), 2.0]}, task="auto")
    assert found.kept.tolist() == [True, False, False, True]
    assert found.targets.tolist() == [[1.5], [2.0]]
    assert found.notes[-1] == "2 rows without a value in x left out."


@pytest.mark.parametrize(
    ("columns", "task", "message"),
    [
        ({"x": ["1", "two"]}, "regression", "finite numbers, but 'two' was given in x"),
        ({"x": ["1", "inf"]}, "regression", "finite numbers, but 'inf'"),
        ({"x": ["1", "1"]}, "regression", "'x' is the same in every row"),
        ({"x": ["", None]}, "classification", "every row is empty"),
        ({"x": [["a"], ["b"]]}, "classification", r"but \['a'\] was given"),
        ({"x": ["a"], "y": ["b"]}, "classification", "one target column, not x, y"),
        ({"x": ["0", "2"], "y": ["1", "0"]}, "multilabel", "0 and 1, but '2' was given"),
        ({"x": [[], []]}, "multilabel", "every list is empty"),
    ],
)
def test_cells_that_do_not_fit_are_named(columns: dict[str, list[Any]], task: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labels(columns, task=task)
