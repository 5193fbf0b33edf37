"""An evaluation in a terminal: many classes are the ten worst, and lines keep to 80 characters."""

from __future__ import annotations

import numpy as np

from automl.cli.output import table_lines
from automl.review.evaluation.text import sentences, tables
from tests.final.evaluation.greys import grey, predictor
from tests.final.evaluation.test_record import an_evaluation


def test_tables_fit_80_characters() -> None:
    for task in ("classification", "multilabel", "regression"):
        for table in tables(an_evaluation(task)):
            lines = table_lines(table.columns, table.rows, right=table.right, width=80)
            assert max(map(len, lines)) <= 80, lines


def test_many_classes_are_the_ten_worst_unless_all_are_wanted() -> None:
    names = tuple(f"class {k:02d}" for k in range(15))
    images = np.stack([grey(level) for level in range(0, 255, 2)])
    found = predictor(classes=names).evaluate(images, [names[k % 15] for k in range(len(images))])
    table = tables(found)[1]
    assert len(table.rows) == 10 and table.note == "the worst 10 of 15 classes; --all lists all"
    assert [row[0] for row in table.rows] == [row.label for row in found.worst(10)]
    whole = tables(found, everything=True)[1]
    assert [row[0] for row in whole.rows] == list(names) and whole.note == ""


def test_few_classes_have_a_confusion_matrix() -> None:
    found = an_evaluation("classification")
    matrix = next(table for table in tables(found) if table.title.startswith("Confusion"))
    assert [row[0] for row in matrix.rows] == ["1 dark", "2 grey", "3 light"]
    assert [
        [int(cell.replace(".", "0")) for cell in row[1:]] for row in matrix.rows
    ] == found.matrix().tolist()


def test_calibration_and_coverage_are_told() -> None:
    said = " ".join(sentences(an_evaluation("classification")))
    assert "Calibration: ECE" in said and "is the worst class" in said


def test_labels_are_there_and_answers_are_right() -> None:
    labels, classes = (" ".join(sentences(an_evaluation(task))) for task in ("multilabel", "classification"))
    assert "of the labels are there" in labels and "are right." in classes.split("Calibration")[1]
