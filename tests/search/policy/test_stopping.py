"""Policies that stop for good."""

import math

from automl.records import Report, TrialState
from automl.search.policy import Action, PolicyContext
from automl.search.policy.stopping import MedianStop, StopAsha
from automl.search.reasons import Code, Reason


def at_rung(policy: StopAsha, trial: int, value: float) -> Action:
    policy.started(trial, resumed=False)
    policy.report(Report(trial, 1, value, 1.0))
    return policy.report(Report(trial, 2, value, 1.0)).action


def test_stop_asha_lets_the_first_go_on_and_stops_the_worse() -> None:
    policy = StopAsha(PolicyContext(9))
    assert at_rung(policy, 0, 0.5) is Action.CONTINUE
    assert at_rung(policy, 1, 0.4) is Action.STOP
    assert at_rung(policy, 2, 0.6) is Action.CONTINUE
    assert at_rung(policy, 3, 0.55) is Action.CONTINUE
    assert at_rung(policy, 4, 0.5) is Action.STOP
    assert policy.trials[4].state is TrialState.PRUNED


def test_stop_asha_stops_nan_even_when_it_is_first() -> None:
    policy = StopAsha(PolicyContext(9))
    assert at_rung(policy, 0, math.nan) is Action.STOP
    assert at_rung(policy, 1, 0.1) is Action.CONTINUE


def complete(policy: MedianStop, trial: int, value: float) -> None:
    policy.started(trial, resumed=False)
    for round in range(1, 7):
        policy.report(Report(trial, round, value + round / 100, 1.0))


def test_median_compares_only_after_five_complete_trials() -> None:
    policy = MedianStop(PolicyContext(6))
    for trial in range(4):
        complete(policy, trial, 0.5)
    assert policy.report(Report(9, 2, 0.0, 1.0)).action is Action.CONTINUE
    complete(policy, 4, 0.5)
    decision = policy.report(Report(9, 3, 0.0, 1.0))
    assert decision.reason == Reason(Code.WORSE_THAN_MEDIAN, {"trials": 5, "round": 3})


def test_median_counts_the_best_value_so_far() -> None:
    policy = MedianStop(PolicyContext(6))
    for trial in range(5):
        complete(policy, trial, 0.5)
    policy.report(Report(9, 1, 0.9, 1.0))
    assert policy.report(Report(9, 2, 0.0, 1.0)).action is Action.CONTINUE


def test_median_stops_a_trial_without_a_finite_value() -> None:
    policy = MedianStop(PolicyContext(6))
    for trial in range(5):
        complete(policy, trial, math.nan)
    policy.report(Report(9, 1, math.nan, 1.0))
    assert policy.report(Report(9, 2, math.nan, 1.0)).action is Action.STOP
