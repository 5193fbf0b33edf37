"""Sentences about a result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from automl.final.evaluation.compute import evaluation_of
from automl.final.evidence.gap import _length
from automl.final.evidence.words import is_usable, made, not_scored, not_usable, reads, trivial
from tests.final.evidence.literals import INFO

RESULT: dict[str, Any] = {
    "metric": "accuracy",
    "data": {"n_holdout": 1268},
    "holdout": {"accuracy": {"value": 0.41, "low": 0.38, "high": 0.44}},
    "usable": False,
    "trivial": {"accuracy": 0.7105, "roc_auc": None},
    "trivial_words": {"accuracy": "always 'Free'", "roc_auc": "chance"},
    "retrain": {"how": "own weights", "epochs": 8.0, "n_train": 862, "seconds": 0.1},
}


def test_model_that_is_not_usable_is_named_with_both_scores() -> None:
    assert not_usable(RESULT) == (
        "Not usable: accuracy 0.4100 on 1,268 holdout images is not better than always 'Free' (0.7105) by more than "
        "chance explains."
    )
    assert not_usable({**RESULT, "usable": True}) == ""


def test_model_with_one_answer_is_not_usable_because_of_that() -> None:
    rows = [{"label": "ant", "predicted": 0}, {"label": "bee", "predicted": 1268}]
    said = {**RESULT, "evaluation": {"task": "classification", "per_class": rows}}
    assert not_usable(said) == (
        "Not usable: its answer for all 1,268 holdout images is 'bee' (accuracy 0.4100)."
    )
    rows[0]["predicted"] = 1
    assert "by more than chance explains" in not_usable(said)


@pytest.mark.parametrize(("answers", "same"), [((5.5, 5.5), True), ((5.4, 5.6), False)])
def test_regression_with_one_answer_is_known_by_its_errors(answers: tuple[float, float], same: bool) -> None:
    targets = np.tile([[3.0], [7.5]], (10, 1))
    scores = np.tile([[answers[0]], [answers[1]]], (10, 1))
    info = replace(INFO, task="regression", classes=("size",))
    found = evaluation_of(targets, scores, info, "rmse", {}).to_json()
    said = not_usable({**RESULT, "evaluation": found})
    assert ("its answer for all 1,268 holdout images is the same" in said) is same


def test_result_of_an_earlier_version_counts_as_usable_and_has_no_trivial_answer() -> None:
    earlier = {"metric": "accuracy", "holdout": RESULT["holdout"], "retrain": {"epochs": 3, "n_train": 10}}
    assert is_usable(earlier) and not_usable(earlier) == "" == trivial(earlier, "accuracy")
    assert made(earlier) == "trained for 3 epochs on 10 training and validation images"


def test_trivial_answer_without_a_value_is_none() -> None:
    assert trivial(RESULT, "roc_auc") == "chance (none)"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("own weights", "the best trial's own weights, after 8.0 epochs on 862 training images"),
        ("linear head", "a linear head, fitted on 862 images"),
        ("retrained", "trained for 8.0 epochs on 862 training and validation images"),
        ("cut short", "trained for 8.0 epochs on 862 training and validation images"),
    ],
)
def test_making_of_the_model_is_told_as_it_was(how: str, words: str) -> None:
    assert made({**RESULT, "retrain": {**RESULT["retrain"], "how": how}}) == words


@pytest.mark.parametrize("epochs", [1.415, 1.4145, 0.585])
def test_epochs_of_the_model_are_those_of_the_explanation_of_the_gap(epochs: float) -> None:
    said = made({**RESULT, "retrain": {**RESULT["retrain"], "epochs": epochs}})
    assert f"after {_length(epochs, 0)} on" in said


def test_retrain_without_validation_images_is_not_said_to_have_seen_them() -> None:
    retrain = {**RESULT["retrain"], "how": "retrained"}
    for n_train, folds, parts in (
        (862, 0, "training"),
        (800, 0, "training and validation"),
        (1000, 5, "training and validation"),  # under cross-validation n_train counts the rows of all folds
    ):
        said = made({**RESULT, "data": {"n_train": n_train, "folds": folds}, "retrain": retrain})
        assert said == f"trained for 8.0 epochs on 862 {parts} images"


def test_linear_head_tells_what_it_had_before_it_saw_the_validation_images() -> None:
    head = {**RESULT["retrain"], "how": "linear head", "val_score": 0.9184}
    alone = f"on the training images alone: val {RESULT['metric']} 0.9184"
    assert made({**RESULT, "retrain": head}) == f"a linear head, fitted on 862 images ({alone})"


def test_reads_are_counted() -> None:
    assert reads({"holdout_reads": 2}) == "read 2 times" and reads({}) == "read once"


def test_model_that_is_kept_is_told_as_what_it_was_made() -> None:
    kept = {**RESULT["retrain"], "how": "earlier model", "trial": 2}
    for made_as, words in (
        ("retrained", "trained for 8.0 epochs on 862 training and validation images"),
        ("own weights", "trial 2's own weights, after 8.0 epochs on 862 training images"),
        ("linear head", "a linear head, fitted on 862 images"),
    ):
        assert made({**RESULT, "retrain": {**kept, "made": made_as}}) == f"kept from an earlier run: {words}"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("linear head", "no trial was scored; a linear head is delivered"),
        ("earlier model", "no trial was scored; the model of an earlier run is kept"),
        ("retrained", "no trial was scored; the first configuration is delivered, compared with no other"),
    ],
)
def test_result_without_a_scored_trial_says_what_is_delivered(how: str, words: str) -> None:
    assert not_scored({"best": {"val_score": None}, "retrain": {"how": how}}) == words
    assert not_scored({"best": {"val_score": 0.5}, "retrain": {"how": how}}) == ""
