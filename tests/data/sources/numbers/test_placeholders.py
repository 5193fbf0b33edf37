"""Numbers that stand for no value."""

from __future__ import annotations

from typing import Any

import pytest

from automl.data.sources.labels import read_labels
from automl.errors import DataError


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


_UNCERTAIN: dict[str, list[Any]] = {"edema": ["1", "-1", "0", ""], "fracture": ["0", "", "1.0", "-1.0"]}


def test_uncertain_labels_and_those_not_mentioned_are_refused_with_what_would_do() -> None:
    with pytest.raises(
        DataError, match=r"-1 beside 0 in edema, fracture \(2 cells\) .*`--task multilabel` .*both for 0"
    ):
        read_labels(_UNCERTAIN, task="auto")


def test_uncertain_labels_are_zero_where_several_labels_are_asked_for_and_told() -> None:
    found = read_labels(_UNCERTAIN, task="multilabel")
    assert found.targets.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]
    assert found.notes[:2] == (
        "-1 beside 0 in edema, fracture (2 cells) is an uncertain label, taken for 0.",
        "2 empty cells beside them taken for 0: not mentioned.",
    )


def test_minus_one_beside_zero_without_empty_cells_is_an_amount_and_told() -> None:
    found = read_labels({"a": [-1, 0, 1], "b": [1, 0, 1]}, task="auto")
    assert found.task == "regression"
    assert found.notes[0].startswith(
        "-1, 0 and 1 in a are amounts; if -1 is an uncertain label, --task multilabel"
    )


@pytest.mark.parametrize("task", ["auto", "multilabel"])
def test_empty_cells_beside_ones_alone_are_zero_and_told(task: str) -> None:
    found = read_labels({"a": ["1", "", "1"], "b": ["", None, 1.0], "c": [0, 1, 0]}, task=task)
    assert (found.task, found.targets.tolist()) == ("multilabel", [[1, 0, 0], [0, 0, 1], [1, 1, 0]])
    assert found.notes[0] == "Empty cells in a, b taken for 0, as the others are 1."


def test_rows_with_an_empty_cell_beside_zero_and_one_are_left_out() -> None:
    found = read_labels({"a": ["1", "", "0"], "b": ["0", "1", "1"]}, task="auto")
    assert found.kept.tolist() == [True, False, True]


@pytest.mark.parametrize(("cell", "told"), [(1e29, True), (-4e6, True), (400.0, False)])
def test_number_a_thousand_times_as_far_as_the_others_is_told(cell: float, told: bool) -> None:
    column = [20.5 + 4 * i for i in range(20)]
    notes = read_labels({"y": [*column, cell]}, task="regression").notes
    said = f"{cell:g} in y (1 row of this kind) lies far from the others (20.5 to 96.5)"
    assert any(note.startswith(said) for note in notes) == told


def test_minus_one_beside_numbers_of_classes_is_a_class_and_told() -> None:
    found = read_labels({"label": [0, 1, -1, -1] * 5}, task="auto")
    assert found.classes == ("-1", "0", "1")
    assert found.notes == (
        "-1 in label (10 rows) is a class: if it means that there is no label, empty these cells.",
    )
    assert read_labels({"label": [-1, 1] * 5}, task="auto").notes == ()
