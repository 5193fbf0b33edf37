"""Explain in words, from numbers alone, why validation and holdout score differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.config.metrics import METRICS
from automl.final.evidence.delivery import COMBINED, NAMES, Delivery
from automl.records import Interval

READS = "The holdout was read"  # how the last sentence of an explanation begins


@dataclass(frozen=True)
class Facts:
    """What is known about both scores.

    `val` is the best trial's score on `n_val` rows, NaN if no trial had one; it trained for `trial_epochs` and saw
    `trial_images` images in all. `compared` trials had a score. `held` is the score of the delivered model on
    `n_holdout` rows; it trained for `epochs` on `n_train` rows and saw `images` images in all. These numbers
    are 0 if unknown. The holdout was read `reads` times. `made` and `made_of` are for the model of an earlier run: its
    kind, and its trial. `mirrored`: the delivered model scores an image and its mirror image, which trials do not.
    `precision` is that in which trials are scored; delivered models are scored in float32. Under cross-validation there
    are `folds`, and the trial has `networks` (0: one for each); lengths are then those of one of them. `leads`: no
    trial has a better score than the best trial, which may have been chosen for something else. `chosen`: `trial` is
    not the best one, but one that `automl deliver` was asked for.
    """

    metric: str
    val: float
    n_val: int
    trial: int
    compared: int
    trial_epochs: float
    trial_images: int
    held: Interval
    n_holdout: int
    delivery: Delivery
    epochs: float
    images: int
    n_train: int
    reads: int
    made: Delivery = Delivery.RETRAINED
    made_of: int = 0
    mirrored: bool = False
    precision: str = "fp32"
    folds: int = 0
    networks: int = 0
    leads: bool = True
    chosen: bool = False


@dataclass(frozen=True)
class Gap:
    """The validation and the holdout score, and why they differ."""

    val: float
    holdout: float
    explained: str


def explain_gap(facts: Facts) -> Gap:
    """Return both scores, and sentences about them that each follow from `facts`."""
    if math.isfinite(facts.val):
        said = [
            _validation(facts),
            _holdout(facts),
            _place(facts),
            _training(facts),
            _scoring(facts),
            _selection(facts),
        ]
    else:
        said = [_no_score(facts), _holdout(facts), _training(facts)]
    said.append(reads_sentence(facts.reads))
    return Gap(facts.val, facts.held.value, " ".join(sentence for sentence in said if sentence))


def _no_score(facts: Facts) -> str:
    """Return what was compared, where no trial had a score."""
    apart = {
        Delivery.HEAD: "the linear head was compared with no trial",
        Delivery.EARLIER: "the earlier model was compared with no trial",
        Delivery.ENSEMBLE: "the ensemble was compared with no trial",
        Delivery.SOUP: "the soup was compared with no trial",
        Delivery.DISTILLED: "the distilled network was compared with no trial",
    }
    compared = apart.get(facts.delivery, "this configuration was compared with no other")
    return f"No trial had a validation score, so {compared}."


def _validation(facts: Facts) -> str:
    if facts.folds:
        networks = facts.networks or facts.folds
        return (
            f"Validation: {facts.metric} {facts.val:.4f} out of fold on {facts.n_val:,} images, with the {networks} "
            f"networks of trial {facts.trial}, each of which has trained on the other folds."
        )
    return (
        f"Validation: {facts.metric} {facts.val:.4f} on {facts.n_val:,} images, with the weights of trial "
        f"{facts.trial}."
    )


def _holdout(facts: Facts) -> str:
    name = NAMES[facts.delivery]
    if facts.delivery is Delivery.OWN_WEIGHTS and facts.chosen:
        name = f"the own weights of trial {facts.trial}"
    return f"Holdout: {facts.held.value:.4f} on {facts.n_holdout:,} images, with {name}."


def _place(facts: Facts) -> str:
    low, high = facts.held.low, facts.held.high
    if math.isnan(low) or math.isnan(high):
        return "The holdout's 95 % interval is unknown."
    interval = f"the holdout's 95 % interval, {low:.4f} to {high:.4f}"
    if facts.val < low:
        return f"The validation score is below {interval}."
    if facts.val > high:
        return f"The validation score is above {interval}."
    return f"The validation score is within {interval}."


def _training(facts: Facts) -> str:
    """Return how the delivered model was trained, and how its length compares with the trial's."""
    if facts.delivery is Delivery.OWN_WEIGHTS and facts.folds:
        return f"Delivered is the network of the first fold, after {_length(facts.epochs, facts.images)}."
    if facts.delivery is Delivery.OWN_WEIGHTS:
        return f"Both are scores of the same weights, from {_length(facts.trial_epochs, facts.trial_images)}."
    if facts.delivery is Delivery.HEAD:
        return (
            f"The linear head was fitted on {facts.n_train:,} images; no weights of the trial are delivered."
        )
    if facts.delivery is Delivery.EARLIER:
        return _earlier(facts)
    if facts.delivery in _AVERAGED:
        return _AVERAGED[facts.delivery]
    if facts.delivery is Delivery.DISTILLED:
        return (
            f"The distilled network, which is not the trial's, learned from another model for "
            f"{_length(facts.epochs, facts.images)}, with {facts.n_train:,} images an epoch."
        )
    said = f"The retrain took {_length(facts.epochs, facts.images)}, with {facts.n_train:,} images an epoch"
    if not math.isfinite(facts.val):
        return f"{said}."
    if not facts.images or not facts.trial_images:
        return f"{said}; the trial took {_length(facts.trial_epochs, facts.trial_images)}."
    ratio = facts.images / facts.trial_images
    more = "longer" if ratio > 1.0 else "shorter" if ratio < 1.0 else "of the same length"
    return (
        f"{said}: it was {more} ({ratio:.2f} times the images), as the trial took "
        f"{_length(facts.trial_epochs, facts.trial_images)}."
    )


_AVERAGED = {
    Delivery.ENSEMBLE: "The ensemble averages several models, of which the validation score is of one.",
    Delivery.SOUP: "The soup averages the weights of several models, of which the validation score is of one.",
}


def _earlier(facts: Facts) -> str:
    """Return how the model of an earlier run was made."""
    if facts.made is Delivery.HEAD:
        return f"An earlier run fitted the delivered model, a linear head, on {facts.n_train:,} images."
    if facts.made in COMBINED:
        what = "an ensemble" if facts.made is Delivery.ENSEMBLE else "a soup"
        return f"An earlier run made the delivered model, {what} of several."
    if facts.made is Delivery.DISTILLED:
        return (
            "An earlier run distilled the delivered model from another one, for "
            f"{_length(facts.epochs, facts.images)}, with {facts.n_train:,} images an epoch."
        )
    kind = "has the weights" if facts.made is Delivery.OWN_WEIGHTS else "is the retrain"
    return (
        f"The delivered model {kind} of trial {facts.made_of} in an earlier run, after "
        f"{_length(facts.epochs, facts.images)}, with {facts.n_train:,} images an epoch."
    )


def _length(epochs: float, images: int) -> str:
    return f"{epochs:.2f} epochs" + (f" ({images:,} images in all)" if images else "")


def _scoring(facts: Facts) -> str:
    """Return what else was different when both were scored; "" if nothing was."""
    ways = []
    if facts.mirrored:
        ways.append("from each image and its mirror image, the validation score from each image alone")
    if facts.precision != "fp32":
        ways.append(f"in float32, the validation score in {facts.precision}")
    return f"The holdout score is computed {'; and '.join(ways)}." if ways else ""


def _selection(facts: Facts) -> str:
    """Return what choosing by the validation score does to it, if it is the better of the two scores."""
    sign = 1.0 if METRICS[facts.metric].mode == "max" else -1.0
    if facts.compared < 2 or sign * (facts.val - facts.held.value) <= 0:
        return ""
    if not facts.leads:
        return f"Another one of {facts.compared} trials has a better validation score, so it did not decide alone."
    return (
        f"The trial was chosen among {facts.compared} by its score on these validation images, "
        "which makes that score too good on average."
    )


def reads_sentence(reads: int) -> str:
    """Return how often the holdout was read, as the sentence that ends an explanation."""
    if reads == 1:
        return f"{READS} once."
    return f"{READS} {reads} times, so this study has scored other models on it before."


def with_reads(result: Mapping[str, Any], reads: int) -> dict[str, Any]:
    """Return a result that tells that the holdout was read `reads` times, also in the explanation of its gap."""
    told, gap = {**result, "holdout_reads": reads}, result.get("gap")
    if isinstance(gap, dict) and isinstance(gap.get("explained"), str):
        before, found, _ = gap["explained"].rpartition(READS)
        if found:
            told["gap"] = {**gap, "explained": before + reads_sentence(reads)}
    return told
