"""The explanation of the gap between validation and holdout is true, whatever the numbers are."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from automl.final.evidence.delivery import Delivery
from automl.final.evidence.gap import Facts, explain_gap
from automl.records import Interval
from tests.final.evidence.gap_checker import false_sentences

FACTS = Facts(
    metric="accuracy",
    val=0.9,
    n_val=1287,
    trial=3,
    compared=14,
    trial_epochs=8.0,
    trial_images=9200,
    held=Interval(0.89, 0.85, 0.93),
    n_holdout=360,
    delivery=Delivery.RETRAINED,
    epochs=12.5,
    images=17970,
    n_train=1437,
    reads=1,
)


def test_every_sentence_is_true_for_all_combinations_of_numbers() -> None:
    grid = itertools.product(
        ("accuracy", "rmse"),
        (0.2, 0.85, 0.9, 0.99, math.nan),
        (1, 2, 14),
        (Interval(0.89, 0.85, 0.93), Interval(0.9, 0.9, 0.9), Interval(0.5, math.nan, math.nan)),
        tuple(Delivery),
        ((0.59, 850), (8.0, 9200), (12.5, 17970), (3.0, 0)),
        (0, 9200),
        (1, 2),
    )
    for metric, val, compared, held, delivery, (epochs, images), trial_images, reads in grid:
        facts = replace(
            FACTS,
            metric=metric,
            val=val,
            compared=compared,
            held=held,
            delivery=delivery,
            epochs=epochs,
            images=images,
            trial_images=trial_images,
            reads=reads,
        )
        text = explain_gap(facts).explained
        assert false_sentences(text, facts) == [], text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"images": 5000}, "longer"),
        ({"images": 9200}, "longer"),
        ({"trial_images": 20000}, "longer"),
        ({"val": 0.95}, "within"),
        ({"val": 0.8}, "within"),
        ({"reads": 2}, "read once"),
        ({"delivery": Delivery.OWN_WEIGHTS}, "The retrain took"),
        ({"n_val": 12}, "on 1,287 images"),
        ({"compared": 3}, "chosen among 14"),
    ],
)
def test_checker_finds_a_sentence_that_is_not_true_of_other_numbers(
    change: dict[str, object], sentence: str
) -> None:
    text = explain_gap(FACTS).explained
    wrong = false_sentences(text, replace(FACTS, **change))  # type: ignore[arg-type]  # fields by name
    assert any(sentence in found for found in wrong), wrong


def test_checker_refuses_sentences_of_no_known_form() -> None:
    text = (
        explain_gap(FACTS).explained + " The validation score comes from a trial that trained for less time."
    )
    assert false_sentences(text, FACTS) == [
        "The validation score comes from a trial that trained for less time."
    ]


def test_explanation_names_both_scores_their_weights_and_the_lengths() -> None:
    assert explain_gap(FACTS).explained == (
        "Validation: accuracy 0.9000 on 1,287 images, with the weights of trial 3. "
        "Holdout: 0.8900 on 360 images, with the retrain. "
        "The validation score is within the holdout's 95 % interval, 0.8500 to 0.9300. "
        "The retrain took 12.50 epochs (17,970 images in all), with 1,437 images an epoch: it was longer "
        "(1.95 times the images), as the trial took 8.00 epochs (9,200 images in all). "
        "The trial was chosen among 14 by its score on these validation images, which makes that score too good on "
        "average. The holdout was read once."
    )
