"""The sentence about what a model is worst at."""

from __future__ import annotations

from automl.final.evaluation.record import ClassScore, Evaluation, SizeBin, TargetScore
from automl.final.evaluation.words import answers_nothing, is_silent, of_document, span, weakest

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
    assert "'\\x1b[31m'" in weakest(classes(ClassScore("\x1b[31m", NAN, 0.0, 0.0, 1, 0)))


def test_class_that_no_image_has_is_not_tested_and_not_the_worst() -> None:
    ant, bee = ClassScore("ant", 0.9, 0.9, 0.9, 10, 10), ClassScore("bee", 0.0, NAN, 0.0, 0, 1)
    assert weakest(classes(ant, bee)) == (
        "'ant' is the worst class: found in 9 of its 10 images, and 9 of 10 answers with it are right (F1 0.90). "
        "The class 'bee' was not tested: no image has it; the 1 answer with it is wrong, and f1 counts it as 0."
    )
    assert [row.label for row in classes(bee, ant).worst()] == ["ant", "bee"]
    gone = [ClassScore(name, NAN, NAN, NAN, 0, 0) for name in "cdefgh"]
    assert weakest(classes(ClassScore("ant", 1.0, 1.0, 1.0, 9, 9), *gone)) == (
        "6 of the 7 classes were not tested, as no image has them ('c', 'd', 'e', 'f', 'g' and 1 more)."
    )


def labels(*rows: tuple[str, int, float]) -> Evaluation:
    """Labels given as (name, predicted, average precision), of which none is right."""
    scores = tuple(ClassScore(name, NAN, 0.0, 0.0, 20, n, ap, 0.5) for name, n, ap in rows)
    return Evaluation("multilabel", "average_precision", 60, tuple("abc"), {}, per_class=scores)


def test_model_that_never_answers_a_label_says_so_and_names_the_worst_by_its_ranking() -> None:
    silent = labels(("ace", 0, 0.545), ("jack", 0, 0.333), ("king", 0, 0.414))
    assert answers_nothing({"evaluation": silent.to_json()})
    assert is_silent(silent) and [row.label for row in silent.worst()] == ["jack", "king", "ace"]
    assert weakest(silent) == (
        "No label is ever answered: no probability reaches its threshold, 0.5, on any image. By average precision, "
        "'jack' is the worst label (0.33)."
    )
    some = labels(("ace", 4, 0.545), ("jack", 0, 0.333), ("king", 0, 0.414))
    assert not is_silent(some) and not answers_nothing({"evaluation": some.to_json()})
    assert not answers_nothing(None) and not answers_nothing({"evaluation": None})
    assert weakest(some).startswith("2 of the 3 labels are never answered: 'jack', 'king'. By average")


def test_several_classes_that_are_never_answered_are_all_named() -> None:
    rows = [ClassScore(name, NAN, 0.0, 0.0, 8, 0) for name in "ab"]
    assert weakest(classes(*rows, ClassScore("c", 0.3, 1.0, 0.5, 8, 24))) == (
        "2 of the 3 classes are never answered: 'a', 'b'."
    )


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
