"""What is told of students, and how the smallest is sought."""

from __future__ import annotations

import json
import math

import pytest

from automl.final.distillation.outcome import Distilled, Size, Tried, middle, trainings
from automl.final.evidence.delivery import Delivery, delivery_in_words
from automl.final.evidence.paired import Difference

TEACHER = Size("resnet18 at 64 px", "resnet18", 64, 11_000_000, 1.5e8, 44_000_000)
SMALL = Size("resnet10t at 32 px", "resnet10t", 32, 600_000, 1e7, 2_400_000)


def tried(loss: float, most: float = 0.01, error: float = 0.012) -> Tried:
    return Tried(SMALL, "random weights", Difference(0.9, 0.9 - loss, loss, error, 120), most, 4000, 3.0)


def told(*students: Tried, chosen: int | None = None) -> Distilled:
    return Distilled("the retrain of trial 3", TEACHER, "accuracy", 0.9, 0.01, 120, students, chosen)


@pytest.mark.parametrize(
    ("loss", "keeps"), [(-0.02, True), (0.0, True), (0.01, True), (0.0101, False), (math.nan, False)]
)
def test_a_student_keeps_the_metric_if_it_loses_at_most_what_it_may(loss: float, keeps: bool) -> None:
    assert tried(loss).keeps is keeps


def test_a_student_that_was_not_compared_keeps_nothing() -> None:
    assert not Tried(SMALL, "random weights", most=1.0, why="no time").keeps


@pytest.mark.parametrize(
    ("size", "smaller"),
    [
        (SMALL, True),
        (TEACHER, False),
        (Size("", "m", 64, 11_000_000, 1.0e8, 1), True),  # as many parameters, on smaller images
        (Size("", "m", 64, 11_000_000, 1.4e8, 1), False),  # hardly smaller
        (Size("", "m", 64, 11_000_001, 1.0e6, 1), False),  # more parameters
        (Size("", "m", 64, 1, 1.6e8, 1), False),  # more multiplications
        (Size("", "m", 64, 1, math.nan, 1), False),
    ],
)
def test_smaller_means_larger_in_nothing_and_clearly_less_in_all(size: Size, smaller: bool) -> None:
    assert size.is_smaller(TEACHER, 0.75) is smaller


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize("smallest", range(9))
def test_bisection_finds_the_smallest_that_keeps_within_its_trainings(n: int, smallest: int) -> None:
    low, high, trained, best = 0, n, 0, None
    while low < high:
        place, trained = middle(low, high), trained + 1
        if place >= smallest:
            best, high = place, place
        else:
            low = place + 1
    assert best == (smallest if smallest < n else None)
    assert trained <= trainings(0, n)


def test_sentence_of_a_student_that_is_delivered_has_both_values_and_the_others() -> None:
    failed = Tried(SMALL, "random weights", why="no time: 1.0 s are left")
    said = delivery_in_words(Delivery.DISTILLED, (told(tried(0.005), failed, chosen=0),))
    assert said == (
        "on 120 validation images that neither trained on, the retrain of trial 3 has accuracy 0.9000 with 11,000,000 "
        "parameters; resnet10t at 32 px (600,000 parameters) has accuracy 0.8950 (loss 0.0050, standard error 0.0120), "
        "learned from it, and may lose 0.0100, which it keeps with 66% certainty (more than 120 such images would tell "
        "better); also tried: resnet10t at 32 px (600,000 parameters): no time: 1.0 s are left: "
        "the distilled network is delivered"
    )


def test_certainty_is_told_without_asking_for_images_where_it_is_high() -> None:
    assert tried(0.01).certainty == 0.5 and math.isnan(tried(0.0, error=math.nan).certainty)
    said = delivery_in_words(Delivery.DISTILLED, (told(tried(-0.02), chosen=0),))
    assert "may lose 0.0100, which it keeps with 99% certainty: the distilled" in said
    assert (
        tried(-0.02).to_dict()["certainty"] == 0.994
        and Tried(SMALL, "", why="x").to_dict()["certainty"] is None
    )
    unknown = delivery_in_words(Delivery.DISTILLED, (told(tried(0.0, error=math.nan), chosen=0),))
    assert "certainty" not in unknown


def test_sentence_of_a_teacher_that_stays_has_what_each_student_reached() -> None:
    said = delivery_in_words(Delivery.RETRAINED, (told(tried(0.05), tried(0.02)),))
    assert said == (
        "no smaller network is shown to be within 0.0100 of the retrain of trial 3, which has accuracy 0.9000 on 120 "
        "validation images: resnet10t at 32 px (600,000 parameters) has accuracy 0.8500 (loss 0.0500, standard error "
        "0.0120), resnet10t at 32 px (600,000 parameters) has accuracy 0.8800 (loss 0.0200, standard error 0.0120): "
        "the retrain is delivered"
    )


def test_record_for_the_result_is_json_without_nan() -> None:
    record = told(tried(math.nan, error=math.nan), tried(0.001), chosen=1).measured(9.0, 1.25).to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    first, second = record["students"]
    assert (first["loss"], first["keeps"], first["ms_per_image"]) == (None, False, None)
    assert (second["loss"], second["keeps"], second["ms_per_image"]) == (0.001, True, 1.25)
    assert record["teacher"]["ms_per_image"] == 9.0 and record["chosen"] == 1
