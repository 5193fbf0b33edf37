"""The sentence about what a model is worst at."""

from __future__ import annotations

from automl.final.evaluation.record import ClassScore, Evaluation, SizeBin, TargetScore
from automl.final.evaluation.words import of_document, span, weakest

NAN = float("nan")


def classes(*rows: ClassScore) -> Evaluation:
    return Evaluation("classification", "f1", 10, tuple(row.label for row in rows), {}, per_class=rows)


def test_worst_class_is_told_with_its_counts() -> None:
    ant, bee = ClassScore("ant", 1.0, 1.0, 1.0, 9, 9), ClassScore("bee", 0.5, 0.25, 1 / 3, 4, 2)
    assert weakest(classes(ant, bee)) == (
        "'bee' is the worst class: found in 1 of its 4 images, and 1 of 2 answers with it is right (F1 0.33)."
    )


def test_class_that_is_never_answered_or_never_right_is_told_as_that() -> None:
    assert "never answered, for 1 image (F1 0.00)" in weakest(classes(ClassScore("a", NAN, 0.0, 0.0, 1, 0)))
    assert "answered 2 times, and no image has it" in weakest(classes(ClassScore("a", 0.0, NAN, 0.0, 0, 2)))
    assert "'\\x1b[31m'" in weakest(classes(ClassScore("\x1b[31m", NAN, 0.0, 0.0, 1, 0)))


def test_nothing_is_told_if_all_is_right_or_nothing_is_known() -> None:
    assert weakest(classes(ClassScore("ant", 1.0, 1.0, 1.0, 9, 9))) == ""
    assert weakest(None) == "" and of_document({}) is None


def test_part_of_the_values_with_large_errors_is_told() -> None:
    bins = (SizeBin(0.0, 10.0, 5, 1.0, 0.0), SizeBin(10.0, 90.0, 5, 9.0, -9.0))
    found = Evaluation(
        "regression", "mae", 10, ("age",), {}, targets=(TargetScore("age", 0.5, 5.0, 6.0, -4.0, bins),)
    )
    assert weakest(found) == "Errors are largest for values of 10 to 90: 9 on average, 5 for all."
    assert span(bins[0]) == "0 to 10" and span(SizeBin(3.0, 3.0, 5, 1.0, 0.0)) == "3"
