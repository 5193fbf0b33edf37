"""From label columns to a task and targets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from automl.data.sources.labels import as_array, label_columns, read_labels
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
        "Task: multilabel of label, as its values suggest; --task (in Python task) chooses another.",
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


_AMOUNTS = [round(20 + i * 1.37, 2) for i in range(59)]


@pytest.mark.parametrize("cell", ["NA", "n/a", "nan", "-", "None", "?", "#N/A"])
@pytest.mark.parametrize("column", ["conc", "label"])
def test_word_for_a_missing_value_among_amounts_leaves_its_row_out(cell: str, column: str) -> None:
    mixed = read_labels({column: [*_AMOUNTS, cell]}, task="auto")
    found = read_labels({column: [*map(str, _AMOUNTS), cell]}, task="auto")
    assert np.array_equal(found.targets, mixed.targets)
    assert (found.task, len(found.targets), found.kept.tolist().count(False)) == ("regression", 59, 1)
    assert f"{cell!r} in {column} taken for a missing value in 1 row." in found.notes
    asked = read_labels({column: [*map(str, _AMOUNTS), cell]}, task="regression")
    assert np.array_equal(asked.targets, found.targets)


def test_word_for_a_missing_value_among_numbers_of_classes_is_no_class() -> None:
    found = read_labels({"label": ["0", "1", "NA", "1"]}, task="auto")
    assert (found.classes, found.kept.tolist()) == (("0", "1"), [True, True, False, True])
    asked = read_labels({"label": ["0", "1", "NA", "1"]}, task="classification")
    assert asked.classes == ("0", "1", "NA")
    words = read_labels({"label": ["a", "b", "NA"]}, task="auto")
    assert words.classes == ("NA", "a", "b")
    assert "in which 'NA' is a class, not a missing value" in words.notes[0]


@pytest.mark.parametrize("cell", ["<0.5", "> 90", "1.5.2", "two", "12 mg"])
def test_text_among_amounts_is_refused_and_named(cell: str) -> None:
    with pytest.raises(
        DataError, match=f"must hold numbers, but {cell!r} in conc is none: correct it, empty the cell"
    ):
        read_labels({"conc": [*map(str, _AMOUNTS), cell]}, task="auto")
    with pytest.raises(DataError, match=f"must hold numbers, but {cell!r} and another cell in conc are none"):
        read_labels({"conc": [*_AMOUNTS, cell, "x"], "depth": [*_AMOUNTS, 1, 2]}, task="auto")
    kept = read_labels({"conc": [*map(str, _AMOUNTS), cell]}, task="classification")
    assert cell in kept.classes


@pytest.mark.parametrize(
    ("cells", "values", "note"),
    [
        (["1,5", "20,25", "3", "4,125"], [1.5, 20.25, 3, 4.125], "taken for decimal points ('1,5')"),
        (["0,123", "0,456", "0,789"], [0.123, 0.456, 0.789], "taken for decimal points"),
        (["1,234", "987.5", "2,000,000"], [1234, 987.5, 2e6], "taken for separators of thousands ('1,234')"),
        (
            ["1,234", *map(str, range(900, 912))],
            [1234, *range(900, 912)],
            "taken for separators of thousands",
        ),
        (["1.234,5", "20,25", "3"], [1234.5, 20.25, 3], "taken for decimal points"),
        ([f"{i}.5 mg" for i in range(3)], [0.5, 1.5, 2.5], "'mg' after the numbers in x left out."),
        (["1,5 %", "2,25 %"], [1.5, 2.25], "'%' after the numbers"),
    ],
)
def test_numbers_in_other_forms_are_read_and_told(cells: list[str], values: list[float], note: str) -> None:
    found = read_labels({"x": cells}, task="auto")
    assert found.task == "regression"
    assert np.allclose(found.targets[:, 0], values)
    assert any(note in text for text in found.notes)


def test_comma_that_may_be_either_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"but '1,234' in x may be 1234 or 1\.234: write them without a comma"
    ):
        read_labels({"x": ["1,234", "5,678", "2,345"]}, task="auto")


def test_few_names_that_look_like_numbers_stay_names() -> None:
    assert read_labels({"label": ["2D", "3D", "2D"]}, task="auto").classes == ("2D", "3D")
    assert read_labels({"label": ["1", "2", "other"]}, task="auto").classes == ("1", "2", "other")


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("species", [f"{i % 20:03d}" for i in range(80)]),
        ("class_id", [str(i % 20) for i in range(80)]),
        ("classId", [i % 20 for i in range(80)]),
        ("labels", [i % 20 for i in range(80)]),
        ("target", [i % 20 for i in range(80)]),
        ("y", [1 + i % 20 for i in range(80)]),
        ("Breed code", [7 * (i % 20) for i in range(80)]),
    ],
)
def test_many_numbers_that_name_classes_are_classes_and_told(column: str, cells: list[Any]) -> None:
    found = read_labels({column: cells}, task="auto")
    assert (found.task, len(found.classes)) == ("classification", 20)
    assert found.notes[0].startswith(f"Task: classification of {column}, ")
    assert read_labels({column: cells}, task="regression").task == "regression"


@pytest.mark.parametrize(
    "cells", [list(range(30)), [10 * (i % 20) for i in range(80)], [i % 20 for i in range(40)]]
)
def test_target_that_numbers_no_classes_is_an_amount(cells: list[int]) -> None:
    assert read_labels({"target": cells}, task="auto").task == "regression"


def test_one_hot_columns_are_the_classes_that_they_name() -> None:
    cells: dict[str, list[Any]] = {"MEL": ["1.0", "0.0", "0"], "BCC": ["0", "1", "0"], "NV": [0, False, True]}
    found = read_labels(cells, task="auto")
    assert (found.task, found.classes, found.targets.tolist()) == (
        "classification",
        ("BCC", "MEL", "NV"),
        [1, 0, 2],
    )
    assert found.notes == (
        "Task: classification of MEL, BCC, NV, as each row has one 1 and else 0; --task (in Python task) chooses "
        "another.",
    )
    assert read_labels(cells, task="classification").targets.tolist() == [1, 0, 2]
    assert read_labels(cells, task="multilabel").classes == ("MEL", "BCC", "NV")
    with pytest.raises(DataError, match="columns with one 1 in each row"):
        read_labels({"a": [1, 1], "b": [0, 1]}, task="classification")


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        (np.arange(4) % 2, "int", ("0", "1")),
        ((np.arange(4) % 2)[:, None], "int", ("0", "1")),
        (np.eye(12)[np.arange(24) % 12], "int", tuple(map(str, range(12)))),
        (np.array([1.0, 2.0, 1.0]), "float", ("1", "2")),
        (np.array([True, False]), "bool", ("False", "True")),
        (np.array(["a", "b"])[:, None], "text", ("a", "b")),
    ],
)
def test_columns_of_arrays_are_their_plain_form(labels: Any, kind: str, classes: tuple[str, ...]) -> None:
    found = read_labels(label_columns(labels), task="auto")
    assert (found.task, found.label_type, found.classes) == ("classification", kind, classes)
    mixed = read_labels({"label": [1, "a"]}, task="auto")
    assert mixed.label_type == "text"
    assert read_labels({"label": [[1, 2], [], [3]]}, task="auto").label_type == "int"


@pytest.mark.parametrize("cell", [10**400, -(10**400), math.inf, "9" * 400, "1e308"])
def test_amounts_beyond_all_floats_are_refused(cell: Any) -> None:
    with pytest.raises(DataError, match="a regression needs finite numbers"):
        read_labels({"age": [1.5, 2.5, cell]}, task="regression")


def test_infinite_labels_are_a_class_if_asked() -> None:
    found = read_labels({"label": [1.0, math.inf, 1.0]}, task="classification")
    assert found.classes == ("1", "inf")


def test_deep_and_long_lists_in_cells_are_texts() -> None:
    deep = "[" * 5000 + "]" * 5000
    found = read_labels({"tags": [deep, "[a, b]", "[" + "1," * 20_000 + "2]"]}, task="multilabel")
    assert {"a", "b", "1", "2"} < set(found.classes)


def test_labels_that_all_differ_are_refused_before_they_fill_the_memory() -> None:
    cells = [f"a{i}|b{i}" for i in range(20_000)]
    with pytest.raises(DataError, match="20,000 rows have 40,000 different ones"):
        read_labels({"tags": cells}, task="multilabel")


@pytest.mark.parametrize(
    ("rows", "shape"),
    [
        ([[1, 0], [0, 1]], (2, 2)),
        ([(1, 0), (0, 1)], (2, 2)),
        ([np.eye(2)[0], np.eye(2)[1]], (2, 2)),
        ([["a"], ["b"]], (2, 1)),
        ([[0.5], [1.0]], (2, 1)),
        ([[0.5, 2], [1.5, 3]], (2, 2)),
    ],
)
def test_rows_of_a_list_are_the_array_that_they_stand_for(rows: Any, shape: tuple[int, int]) -> None:
    found = as_array(rows)
    assert isinstance(found, np.ndarray) and found.shape == shape
    assert found.tolist() == [list(row) for row in rows]


@pytest.mark.parametrize(
    "rows", [["a", "b"], [["a", "b"], ["b", "c"]], [[1, 2], [2, 3]], [[1], [1, 0]], [1, 2]]
)
def test_lists_of_labels_stay_as_they_are(rows: Any) -> None:
    assert as_array(rows) is rows


@pytest.mark.parametrize("mark", [";", ", ", "+", " & "])
def test_labels_that_may_be_several_are_told(mark: str) -> None:
    cells = ["cat", "dog", f"cat{mark}dog", "bird"]
    found = read_labels({"label": cells}, task="auto")
    assert found.task == "classification"
    assert f"in which 'cat{mark}dog' is one class: if it means several labels, write |" in found.notes[0]
    assert read_labels({"label": ["a, b", "c, d", "e"]}, task="auto").notes == ()


def test_labels_that_differ_in_spaces_around_them_are_one_class_and_told() -> None:
    found = read_labels({"kind": ["Cat", "Cat ", "Dog", " Dog", "Cow"]}, task="auto")
    assert found.classes == ("Cat", "Cow", "Dog")
    assert found.notes == ("'Cat' and 'Cat ' in kind are one class, as spaces around labels do not count.",)
    assert (
        read_labels({"kind": [" Cat", " Dog", "  "]}, task="auto")
        .notes[0]
        .startswith("1 row without a value")
    )


@pytest.mark.parametrize(
    "cells", [("('a', 'b')", "('b',)"), ("{'a', 'b'}", "{'b'}"), ("['a', 'b']", "['b']")]
)
def test_texts_of_python_lists_tuples_and_sets_are_several_labels(cells: tuple[str, str]) -> None:
    found = read_labels({"labels": cells}, task="auto")
    assert (found.task, found.classes, found.targets.tolist()) == ("multilabel", ("a", "b"), [[1, 1], [0, 1]])
    assert read_labels({"labels": ["(old)", "{new}"]}, task="auto").classes == ("(old)", "{new}")
    assert read_labels({"labels": ["('ab')", "('b', 'c')"]}, task="auto").classes == ("ab", "b", "c")


def test_labels_that_may_be_several_with_a_space_between_are_told() -> None:
    notes = read_labels({"labels": ["scab rust", "rust", "scab"]}, task="auto").notes
    assert "'scab rust' is one class: if it means several labels, write |" in notes[0]
    assert read_labels({"labels": ["polar bear", "bear", "owl"]}, task="auto").notes == ()


def test_classes_of_which_hardly_any_repeats_are_told() -> None:
    days = [f"2021-01-{1 + i % 20:02d}" for i in range(30)]
    notes = read_labels({"date": days}, task="auto").notes
    assert "with 20 classes in 30 rows (is it the right column?)" in notes[0]
    assert read_labels({"date": days * 2}, task="auto").notes == ()


@pytest.mark.parametrize(
    ("cells", "targets"),
    [
        ([{"label": "cat", "coordinates": {"x": 1}}, {"label": "dog", "coordinates": {"x": 2}}], [0, 1]),
        ([[{"label": "cat", "x": 1}, {"label": "cat", "x": 2}], [{"label": "dog", "x": 3}]], [0, 1]),
        (['{"choices": ["cat"]}', '{"choices": ["dog"]}'], [0, 1]),
        (['[{"name": "cat", "id": 1}]', '[{"name": "dog", "id": 2}]'], [0, 1]),
        ([[{"label": "cat"}, {"label": "dog"}], [{"label": "dog"}]], [[1, 1], [0, 1]]),
    ],
)
def test_labels_in_objects_are_their_names_and_told(cells: list[Any], targets: list[Any]) -> None:
    found = read_labels({"label": cells}, task="auto")
    assert (found.classes, found.targets.tolist()) == (("cat", "dog"), targets)
    assert any(note.startswith("Labels in label are the names in its objects") for note in found.notes)


def test_objects_without_names_are_refused_as_labels() -> None:
    for task in ("auto", "multilabel"):
        with pytest.raises(DataError, match="labels must be text or .*numbers, but {'x': 1} was given"):
            read_labels({"label": [[{"x": 1}] if task == "multilabel" else {"x": 1}, "cat"]}, task=task)


def test_words_that_combine_in_many_labels_are_told() -> None:
    tags = ["haze primary", "clear primary", "clear water", "haze water", "clear primary water"]
    [note] = read_labels({"tags": tags * 3}, task="auto").notes
    assert "in which 'clear primary water' is one class: if it means several labels, write |" in note
    for names in (["polar bear", "brown bear", "owl", "snow owl"], ["a b", "c d", "e f", "g"]):
        assert read_labels({"kind": names * 3}, task="auto").notes == ()
