"""The best trial that can be finished is finished when the time left is about what it needs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from automl.records import Config, TrialState
from automl.search.last_call import AHEAD, MARGIN, last_call, too_late_to_start
from automl.search.live_trial import LiveTrial
from automl.search.policy import NextKind
from automl.search.tune import tune
from tests.search.toy import ToySpace

NEEDED = (18 - 6) * 2.0 * MARGIN


def paused(number: int = 3, value: float = 0.9, epoch: int = 6) -> LiveTrial:
    return LiveTrial(number, {}, TrialState.PAUSED, epoch=epoch, value=value, checkpoint=epoch, seconds=2.0)


def chosen(*trials: LiveTrial, remaining: float, mode: str = "max") -> int | None:
    choice = last_call(trials, mode="max" if mode == "max" else "min", max_epochs=18, remaining=remaining)
    assert choice is None or choice.kind is NextKind.RESUME
    return None if choice is None else choice.trial


def test_best_paused_trial_is_resumed_when_the_time_left_just_holds_it() -> None:
    assert chosen(paused(1, 0.5), paused(), remaining=NEEDED * 1.2) == 3
    assert chosen(paused(1, 0.5), paused(), remaining=NEEDED * 1.2, mode="min") == 1


def test_better_trial_that_cannot_be_finished_is_passed_over() -> None:
    assert chosen(paused(1, 0.99, epoch=2), paused(), remaining=NEEDED * 1.2) == 3


@pytest.mark.parametrize("remaining", [NEEDED * 0.9, NEEDED * AHEAD * 1.1, math.inf])
def test_nothing_is_said_too_early_too_late_or_without_a_deadline(remaining: float) -> None:
    assert chosen(paused(), remaining=remaining) is None


def test_nothing_is_said_once_a_trial_is_complete() -> None:
    done = LiveTrial(1, {}, TrialState.COMPLETE, epoch=18, value=0.8, seconds=2.0)
    assert chosen(done, paused(), remaining=NEEDED * 1.2) is None


def test_trial_whose_value_is_nan_is_not_chosen() -> None:
    assert chosen(paused(value=math.nan), remaining=NEEDED * 1.2) is None


@pytest.mark.parametrize(("remaining", "late"), [(5.9, True), (6.1, False), (math.inf, False)])
def test_no_trial_is_begun_that_cannot_reach_the_first_rung(remaining: float, late: bool) -> None:
    assert too_late_to_start(first_rung=3, epoch_seconds=2.0, remaining=remaining) is late


def test_first_trial_is_begun_whatever_the_time() -> None:
    assert not too_late_to_start(first_rung=3, epoch_seconds=None, remaining=0.1)


def test_search_ends_early_rather_than_beginning_in_vain() -> None:
    def train(config: Config) -> Iterator[dict[str, float]]:
        while True:
            yield {"accuracy": config["x"], "seconds": 10.0}

    found = tune(
        train,
        ToySpace(),
        metric="accuracy",
        max_epochs=27,
        time_limit=105.0,
        engine="simulated",
        policy="none",
        sampler="random",
    )
    assert found.stopped == "time is up"
    assert len(found.trials) == 1

    found = tune(
        train,
        ToySpace(),
        metric="accuracy",
        max_epochs=5,
        time_limit=115.0,
        engine="simulated",
        policy="none",
        sampler="random",
    )
    assert found.trials.epochs.tolist() == [5, 5]
    assert found.trials.ended.max() == 100.0
    assert found.stopped == "time is up"
