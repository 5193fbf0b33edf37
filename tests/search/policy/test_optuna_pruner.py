"""Optuna's pruners as policies."""

import math
from collections.abc import Callable

import optuna
import pytest
from optuna.pruners import BasePruner

from automl.log import quiet_optuna
from automl.records import Mode, Report, TrialState
from automl.search.policy import Action, NextKind, PolicyContext, TrialView
from automl.search.policy.optuna_pruner import PrunerPolicy
from automl.search.tune import tune
from tests.search.policy.test_contract import FINAL, MAX_ROUNDS, Play, quality
from tests.search.toy import ToySpace, climb

MAKERS: dict[str, Callable[[], BasePruner]] = {
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=3),
    "percentile": lambda: optuna.pruners.PercentilePruner(25.0, n_startup_trials=3),
    "halving": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=2),
    "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=2, max_resource=MAX_ROUNDS),
    "patient": lambda: optuna.pruners.PatientPruner(None, patience=1),
    "threshold": lambda: optuna.pruners.ThresholdPruner(lower=0.3),
    "wilcoxon": lambda: optuna.pruners.WilcoxonPruner(),
    "nop": lambda: optuna.pruners.NopPruner(),
}


def pruner(name: str) -> BasePruner:
    with quiet_optuna():
        return MAKERS[name]()


def play(name: str, *, mode: Mode = "max", curve: Callable[[int, int], float] = quality) -> Play:
    game = Play("none", curve, mode=mode)
    game.policy = PrunerPolicy(PolicyContext(MAX_ROUNDS, mode), pruner(name))
    return game


@pytest.mark.parametrize("name", MAKERS)
def test_search_with_a_pruner_ends_and_every_trial_is_final(name: str) -> None:
    game = play(name).run(20)
    assert game.last.kind is NextKind.FINISH
    assert all(state in FINAL for state in game.states.values())
    assert TrialState.COMPLETE in game.states.values()


@pytest.mark.parametrize("name", ["median", "percentile", "halving", "threshold"])
def test_pruner_stops_the_worse_trials(name: str) -> None:
    game = play(name).run(30)
    pruned = [quality(t, 1) for t, state in game.states.items() if state is TrialState.PRUNED]
    complete = [quality(t, 1) for t, state in game.states.items() if state is TrialState.COMPLETE]
    assert pruned and sum(pruned) / len(pruned) < sum(complete) / len(complete)


def test_smaller_is_better_where_the_mode_says_so() -> None:
    game = play("median", mode="min").run(30)
    pruned = [quality(t, 1) for t, state in game.states.items() if state is TrialState.PRUNED]
    complete = [quality(t, 1) for t, state in game.states.items() if state is TrialState.COMPLETE]
    assert sum(pruned) / len(pruned) > sum(complete) / len(complete)


@pytest.mark.parametrize("name", MAKERS)
def test_value_that_is_not_finite_is_stopped(name: str) -> None:
    game = play(name, curve=lambda trial, round: math.nan).run(4)
    assert set(game.rounds.values()) == {1}


@pytest.mark.parametrize("name", ["median", "halving"])
def test_restored_policy_decides_as_the_uninterrupted_one(name: str) -> None:
    game = play(name).run(12)
    again = PrunerPolicy(PolicyContext(MAX_ROUNDS), pruner(name))
    again.restore(game.history())
    for policy in (game.policy, again):
        policy.started(12, resumed=False)
    for round in range(1, MAX_ROUNDS):
        report = Report(12, round, 0.05 + round / 1000, 1.0)
        decision = game.policy.report(report)
        assert again.report(report) == decision
        if decision.action is Action.STOP:
            return
    pytest.fail("the trial was to be stopped")


def test_second_restore_replaces_the_first() -> None:
    policy = PrunerPolicy(PolicyContext(MAX_ROUNDS), pruner("median"))
    history = [TrialView(t, TrialState.PRUNED, 1, {1: 0.5}) for t in range(3)]
    policy.restore(history)
    policy.restore(history)
    assert len(policy._study.trials) == 3


def test_tune_takes_a_pruner() -> None:
    found = tune(
        climb,
        ToySpace(),
        metric="accuracy",
        max_epochs=9,
        n_trials=20,
        engine="simulated",
        sampler="random",
        policy=pruner("median"),
    )
    assert {"pruned", "complete"} == set(found.trials.state)
