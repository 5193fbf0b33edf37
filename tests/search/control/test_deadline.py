"""The best trial that can be finished is finished when the time left is about what it needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from automl.records import Config, Mode, TrialState
from automl.search import search
from automl.search.control.deadline import resumed_for_deadline, too_late_to_start
from automl.search.control.trial import LiveTrial
from automl.search.policy import NextKind
from automl.search.tune import tune
from tests.search.toy import ToySpace, constant_noise, settings

NEEDED = 27.6  # seconds: 12 rounds of 2 s, and 15 % to spare


def paused(number: int = 3, value: float = 0.9, round: int = 6) -> LiveTrial:
    return LiveTrial(number, {}, TrialState.PAUSED, round=round, value=value, checkpoint=round, seconds=2.0)


def chosen(
    *trials: LiveTrial,
    remaining: float,
    mode: str = "max",
    reference: int | None = None,
    rungs: tuple[int, ...] = (2, 6, 18),
) -> int | None:
    way: Mode = "max" if mode == "max" else "min"
    known = {trial.number: trial for trial in trials}
    choice = resumed_for_deadline(known, reference, way, rungs=rungs, remaining=remaining)
    assert choice is None or choice.kind is NextKind.RESUME
    return None if choice is None else choice.trial


def test_best_paused_trial_is_resumed_when_the_time_left_just_holds_it() -> None:
    assert chosen(paused(1, 0.5), paused(), remaining=NEEDED * 1.2) == 3
    assert chosen(paused(1, 0.5), paused(), remaining=NEEDED * 1.2, mode="min") == 1


def test_trial_with_a_short_rest_is_resumed_before_a_worker_is_busy_for_longer_than_that() -> None:
    held, needed, stretch = paused(round=12), 13.8, 18.4  # seconds of 6 and of 8 rounds, and 15 % to spare
    rungs = (4, 12, 18)
    assert chosen(held, remaining=needed + 0.9 * stretch, rungs=rungs) == 3
    assert chosen(held, remaining=needed + 1.1 * stretch, rungs=rungs) is None


def test_better_trial_that_cannot_be_finished_is_skipped() -> None:
    assert chosen(paused(1, 0.99, round=2), paused(), remaining=NEEDED * 1.2) == 3


@pytest.mark.parametrize(
    ("remaining", "trial"),
    # 38.64 s are 1.4 times what the trial needs: it is resumed so much earlier.
    [(27.5, None), (27.7, 3), (38.6, 3), (38.7, None), (math.inf, None)],
)
def test_trial_is_resumed_neither_too_early_nor_too_late_nor_without_a_deadline(
    remaining: float, trial: int | None
) -> None:
    assert chosen(paused(), remaining=remaining) == trial


def test_nothing_is_said_once_a_trial_is_complete() -> None:
    done = LiveTrial(1, {}, TrialState.COMPLETE, round=18, value=0.8, seconds=2.0)
    assert chosen(done, paused(), remaining=NEEDED * 1.2) is None


@pytest.mark.parametrize("reference", [None, 0])
def test_of_many_trials_only_the_first_are_looked_at(reference: int | None) -> None:
    looked: list[int] = []

    class Watched(dict[int, LiveTrial]):
        def values(self) -> Any:
            for number in self:
                looked.append(number)
                yield self[number]

    many = Watched(
        {n: LiveTrial(n, {}, TrialState.COMPLETE, round=18, value=0.8, seconds=2.0) for n in range(5000)}
    )
    assert resumed_for_deadline(many, reference, "max", rungs=(2, 6, 18), remaining=60.0) is None
    assert len(looked) <= 2


def test_trial_whose_value_is_nan_is_not_chosen() -> None:
    assert chosen(paused(value=math.nan), remaining=NEEDED * 1.2) is None


@pytest.mark.parametrize(
    ("remaining", "trial"), [(1e6, 1), (NEEDED * 1.1, 1), (NEEDED * 0.9, None), (math.inf, None)]
)
def test_reference_is_resumed_wherever_it_pauses_if_it_fits_the_time(
    remaining: float, trial: int | None
) -> None:
    assert chosen(paused(1, 0.5), paused(2, 0.9), remaining=remaining, reference=1) == trial


def test_beside_a_complete_reference_the_best_other_trial_is_finished_too() -> None:
    done = LiveTrial(1, {}, TrialState.COMPLETE, round=18, value=0.8, seconds=2.0)
    assert chosen(done, paused(), remaining=NEEDED * 1.2, reference=1) == 3
    assert chosen(done, paused(), remaining=1e6, reference=1) is None


@pytest.mark.parametrize(("noise", "rounds"), [(0.002, 27), (None, 2)])
def test_first_of_the_portfolio_is_trained_to_its_end_before_many_are_tried(
    noise: float | None, rounds: int
) -> None:
    """Here it is the worst of all, so that successive halving alone leaves it at its first rung."""

    def train(config: Config) -> Iterator[dict[str, float]]:
        while True:
            yield {"accuracy": config["x"], "seconds": 1.0}

    space = ToySpace(({"x": 0.01, "kind": "a"}, {"x": 0.5, "kind": "a"}))
    known = None if noise is None else constant_noise(noise)
    limits = settings(n_trials=None, time_limit=200.0, max_rounds=27, policy="asha", significance=known)
    found = search(train, space, limits)
    first, *others = found.trials
    assert first.rounds == rounds
    assert TrialState.COMPLETE in {trial.state for trial in others}
    if noise is not None:
        assert first.state is TrialState.COMPLETE and len(first.reports) == 27
        assert first.ended is not None and first.ended < 40.0


@pytest.mark.parametrize(("remaining", "late"), [(5.9, True), (6.1, False), (math.inf, False)])
def test_no_trial_is_begun_that_cannot_reach_the_first_rung(remaining: float, late: bool) -> None:
    assert too_late_to_start(rounds=3, round_seconds=2.0, remaining=remaining) is late


def test_first_trial_is_begun_whatever_the_time() -> None:
    assert not too_late_to_start(rounds=3, round_seconds=None, remaining=0.1)


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
