"""Numbers that stand for no value."""

from __future__ import annotations

from typing import Any

import pytest

from automl.data.sources.labels import read_labels


@pytest.mark.parametrize(("cell", "told"), [(-9999, True), (999.0, True), (99, False), (-99, True)])
def test_number_that_may_mean_a_missing_value_is_told_where_it_lies_far_from_the_others(
    cell: float, told: bool
) -> None:
    column = [20.5 + 4 * i for i in range(20)]
    notes = read_labels({"y": [*column, cell, cell]}, task="auto").notes
    said = f"{cell:g} in y (2 rows) lies far from the others (20.5 to 96.5) and is learned"
    assert any(note.startswith(said) for note in notes) == told


@pytest.mark.parametrize("cells", [(-1, 1), ("-1", "1"), ("-1.0", "1.0")])
def test_columns_of_minus_one_and_one_are_labels_and_told(cells: tuple[Any, Any]) -> None:
    no, yes = cells
    columns = {"smiling": [no, yes, yes], "male": [yes, yes, no], "bald": [no, no, no]}
    found = read_labels(columns, task="auto")
    assert (found.task, found.classes) == ("multilabel", ("smiling", "male", "bald"))
    assert found.targets.tolist() == [[0, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert found.notes[0] == "-1 in smiling, male, bald taken for 0: the label does not apply."
    one_hot = read_labels({"a": [yes, no], "b": [no, yes]}, task="auto")
    assert (one_hot.task, one_hot.classes, one_hot.targets.tolist()) == ("classification", ("a", "b"), [0, 1])


def test_minus_one_stays_a_number_beside_zero_or_where_a_regression_is_asked_for() -> None:
    assert read_labels({"a": [-1, 0, 1], "b": [1, 0, 1]}, task="auto").task == "regression"
    asked = read_labels({"a": [-1, 1, 1], "b": [1, -1, 1]}, task="regression")
    assert asked.targets.tolist() == [[-1, 1], [1, -1], [1, 1]]
    assert read_labels({"a": [-1, 1, 1]}, task="auto").classes == ("-1", "1")
