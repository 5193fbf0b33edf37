"""Which kind of trial is retrained, by curves and by linear heads."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from automl.config.metrics import METRICS
from automl.pipeline.plan.pretrained import Pretrained
from automl.pipeline.retrain.promise import promised
from automl.pipeline.setup import Setup
from automl.records import Report, TrialState
from automl.search import BestTrial, SearchResult
from automl.search.storage.reader import StoredTrial
from automl.training.heads.out_of_fold import OutOfFold
from tests.pipeline.retrain.test_contest import head
from tests.pipeline.test_retrain_time import found, setup

__all__ = ["setup"]
pytestmark = pytest.mark.study


def two_kinds(*, scratch: tuple[float, ...], tuned: tuple[float, ...], seconds: float = 1.0) -> SearchResult:
    """A search with a trial from scratch and one from weights, of so long rounds; the better one is the best."""
    curves = {0: (False, scratch), 1: (True, tuned)}
    trials = []
    for number, (pretrained, values) in curves.items():
        reports = tuple(Report(number, k + 1, value, seconds) for k, value in enumerate(values))
        times = tuple(map(float, range(len(values))))
        config = {"model": "m", "lr": 0.1, "pretrained": pretrained}
        trials.append(
            StoredTrial(number, TrialState.COMPLETE, config, "", reports, times, 0, None, False, 0.0, 1.0)
        )
    best = max(trials, key=lambda trial: trial.value if trial.reports else -1.0)
    first = BestTrial(best.number, best.config, best.value, best.rounds, None)
    return SearchResult(first, tuple(trials), "max", None, 10.0)


def with_published_weights(setup: Setup) -> Setup:
    """The study as if it had weights; nothing reads them here."""
    weights: Any = {"m": object()}
    record = {"used": True, "both": True}
    return replace(setup, pretrained=Pretrained(setup.space, weights, record))


def test_kind_of_training_that_still_rises_is_retrained(setup: Setup) -> None:
    rising = two_kinds(scratch=(0.3, 0.5, 0.62, 0.7), tuned=(0.78, 0.79, 0.79, 0.8))
    found = promised(with_published_weights(setup), rising)
    assert found.found.best.number == 0 and found.value > 0.85
    assert "Trial 1 (from pretrained weights) has the best score, accuracy 0.8000" in found.words
    assert "trial 0 (from scratch) is retrained" in found.words
    assert "that of trial 1, the best long one from pretrained weights" in found.words


def test_kind_of_training_that_leads_and_promises_more_stays(setup: Setup) -> None:
    flat = two_kinds(scratch=(0.3, 0.32, 0.33, 0.34), tuned=(0.78, 0.82, 0.84, 0.86))
    found = promised(with_published_weights(setup), flat)
    assert found.found is flat and found.words == "" and found.value > 0.86


def with_heads(setup: Setup, *, features: float, pixels: float) -> Setup:
    """The study with a linear head on features and one on pixels that have these values."""
    on_pixels = replace(head(setup, right=1.0), value=pixels, config={"model": "pixels"})
    on_pixels = replace(on_pixels, trained=replace(on_pixels.trained, weights=None))
    chosen = with_published_weights(setup)
    return replace(chosen, alternatives=(on_pixels, replace(head(setup, right=1.0), value=features)))


# In the time of the retrain, the fine-tuning is expected to have about .87, the training from scratch .45.
BEHIND_SCRATCH, BEHIND_TUNED = (0.1, 0.14, 0.17, 0.2), (0.8, 0.81, 0.82, 0.83)


@pytest.mark.parametrize(
    ("features", "pixels", "retrained"),
    [
        (0.93, 0.7, 0),  # magnetic tiles: neither promises more than the head, and pixels tell much
        (0.93, 0.4, 1),  # photos
        (0.86, 0.7, 0),  # the fine-tuning promises more, by less than a standard error
        (0.7, 0.65, 1),  # the fine-tuning promises more than the head
    ],
)
def test_where_neither_promises_more_than_the_head_pixels_decide(
    setup: Setup, features: float, pixels: float, retrained: int
) -> None:
    result = two_kinds(scratch=BEHIND_SCRATCH, tuned=BEHIND_TUNED)
    found = promised(with_heads(setup, features=features, pixels=pixels), result)
    assert found.found.best.number == retrained
    assert ("neither promises clearly more than the linear head on features" in found.words) is (
        retrained == 0
    )
    if retrained == 0:
        assert found.value < 0.6  # what is promised is what the curve of that trial says
        assert "trial 0 (from scratch) is retrained" in found.words and "on pixels has 0.7000" in found.words


def test_training_from_scratch_that_cannot_reach_the_head_is_not_retrained(setup: Setup) -> None:
    """A trial of eight minutes has shown what it can do, and the time left is shorter."""
    result = two_kinds(scratch=BEHIND_SCRATCH, tuned=BEHIND_TUNED, seconds=120.0)
    found = promised(with_heads(setup, features=0.93, pixels=0.7), result)
    assert found.found is result


def test_cross_validation_says_how_much_pixels_tell(setup: Setup) -> None:
    """49 validation images of ants and bees had .78 for pixels, and the cross-validation .6."""
    chosen = with_heads(setup, features=0.93, pixels=0.78)
    pixels, features = chosen.alternatives
    empty = np.zeros((0,))
    crossed = OutOfFold(empty.astype(np.int64), empty, empty, (0.58, 0.62), 5)
    chosen = replace(chosen, alternatives=(replace(pixels, out_of_fold=crossed), features))
    assert promised(chosen, two_kinds(scratch=BEHIND_SCRATCH, tuned=BEHIND_TUNED)).found.best.number == 1


@pytest.mark.parametrize(("pixels", "retrained"), [(0.5, 0), (0.8, 1)])
def test_errors_have_skill_where_they_are_below_the_trivial_answer(
    setup: Setup, pixels: float, retrained: int
) -> None:
    """The trivial answer has a log loss of 1.1 here, and the head on features .2."""
    chosen = replace(with_heads(setup, features=0.2, pixels=pixels), metric=METRICS["log_loss"])
    result = two_kinds(scratch=(1.1, 1.09, 1.08, 1.07), tuned=(0.6, 0.59, 0.58, 0.57))
    result = replace(result, mode="min", best=replace(result.best, number=1, value=0.57))
    assert promised(chosen, result).found.best.number == retrained


def test_best_trial_is_retrained_where_both_kinds_promise_the_same(setup: Setup) -> None:
    for kind in (True, False):
        result = two_kinds(scratch=(1.0,), tuned=(1.0,))
        result = replace(result, best=replace(result.best, number=int(kind), value=1.0))
        assert promised(with_published_weights(setup), result).found is result


def test_without_weights_nothing_is_projected(setup: Setup) -> None:
    result = found(3, 1.0)
    assert promised(setup, result).found is result


def test_fine_tuning_is_retrained_if_no_trial_had_a_score(setup: Setup) -> None:
    nothing = SearchResult(BestTrial(0, {"model": "m", "lr": 0.1}, math.nan, 0, None), (), "max", None, 1.0)
    tuned = {"model": "m", "lr": 0.01, "pretrained": True}
    chosen = replace(with_published_weights(setup), portfolio=({"model": "m", "lr": 0.1}, tuned))
    assert promised(chosen, nothing).found.best.config == tuned
