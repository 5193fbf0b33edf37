"""The explanation of the gap between validation and holdout is true, whatever the numbers are."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

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
        (
            (Delivery.RETRAINED, False, "fp32"),
            (Delivery.OWN_WEIGHTS, True, "fp32"),
            (Delivery.HEAD, True, "bf16"),
            (Delivery.ENSEMBLE, False, "fp32"),
            (Delivery.SOUP, False, "fp32"),
        ),
    )
    made_leading = {made: made is not Delivery.OWN_WEIGHTS for made in Delivery}
    for metric, val, compared, held, delivery, (epochs, images), trial_images, reads, scoring in grid:
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
            made=scoring[0],
            made_of=2,
            mirrored=scoring[1],
            precision=scoring[2],
            leads=made_leading[scoring[0]],
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
        ({"leads": False}, "chosen among 14"),
        ({"mirrored": True}, "how the holdout was scored"),
    ],
)
def test_checker_finds_a_sentence_that_is_not_true_of_other_numbers(
    change: dict[str, Any], sentence: str
) -> None:
    text = explain_gap(FACTS).explained
    wrong = false_sentences(text, replace(FACTS, **change))
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


def test_trial_that_another_one_outscores_is_not_said_to_be_chosen_by_its_score() -> None:
    text = explain_gap(replace(FACTS, leads=False)).explained
    assert "Another one of 14 trials has a better validation score, so it did not decide alone." in text
    assert "chosen" not in text


def test_scores_of_the_same_weights_are_told_apart_by_how_they_were_computed() -> None:
    facts = replace(FACTS, delivery=Delivery.OWN_WEIGHTS, epochs=8.0, images=9200, mirrored=True)
    text = explain_gap(facts).explained
    assert "Both are scores of the same weights, from 8.00 epochs (9,200 images in all)." in text
    assert (
        "The holdout score is computed from each image and its mirror image, the validation score from each image "
        "alone."
    ) in text
    assert "mirror" not in explain_gap(FACTS).explained
    both = explain_gap(replace(facts, precision="bf16")).explained
    assert "each image alone; and in float32, the validation score in bf16." in both


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            Delivery.RETRAINED,
            "The delivered model is the retrain of trial 1 in an earlier run, after 12.50 epochs (17,970 images in "
            "all), with 1,437 images an epoch.",
        ),
        (
            Delivery.OWN_WEIGHTS,
            "The delivered model has the weights of trial 1 in an earlier run, after 12.50 ",
        ),
        (Delivery.HEAD, "An earlier run fitted the delivered model, a linear head, on 1,437 images."),
    ],
)
def test_model_that_is_kept_is_said_to_be_of_an_earlier_run(made: Delivery, sentence: str) -> None:
    text = explain_gap(replace(FACTS, delivery=Delivery.EARLIER, made=made, made_of=1)).explained
    assert "with the weights of trial 3." in text and "with the earlier model." in text and sentence in text


@pytest.mark.parametrize(
    ("delivery", "compared"),
    [
        (Delivery.RETRAINED, "this configuration was compared with no other"),
        (Delivery.HEAD, "the linear head was compared with no trial"),
        (Delivery.EARLIER, "the earlier model was compared with no trial"),
    ],
)
def test_without_a_scored_trial_nothing_is_said_to_be_the_best(delivery: Delivery, compared: str) -> None:
    text = explain_gap(replace(FACTS, val=math.nan, delivery=delivery)).explained
    assert text.startswith(f"No trial had a validation score, so {compared}.")
