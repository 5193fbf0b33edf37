"""Asha: rungs, ties, who goes on."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.records import Report, TrialState
from automl.search.policy import Action, NextKind, PolicyContext
from automl.search.policy.asha import Asha, asha, hyperband, interleaved
from automl.search.policy.rungs import Rung, rung_rounds
from automl.search.reasons import Code, Reason
from tests.search.toy import constant_noise


@pytest.mark.parametrize(
    ("max_rounds", "expected"),
    [
        (1, (1,)),
        (2, (2,)),
        (3, (2, 3)),
        (6, (2, 6)),
        (9, (2, 6, 9)),
        (50, (3, 9, 27, 50)),
        (100, (6, 18, 54, 100)),
        (300, (18, 54, 162, 300)),
    ],
)
def test_rungs_triple_from_six_percent_to_the_full_length(max_rounds: int, expected: tuple[int, ...]) -> None:
    assert rung_rounds(max_rounds) == expected


def paused(policy: Asha, values: list[float], round: int = 2) -> None:
    """Brings one trial a value to the rung, all of them before any is promoted at once."""
    for trial, value in enumerate(values):
        policy.started(trial, resumed=False)
        for step in range(1, round + 1):
            policy.report(Report(trial, step, value, 1.0))


def test_third_trial_that_is_best_goes_on_without_a_pause() -> None:
    policy = asha(PolicyContext(9))
    paused(policy, [0.1, 0.2])
    policy.started(2, resumed=False)
    policy.report(Report(2, 1, 0.3, 1.0))
    decision = policy.report(Report(2, 2, 0.3, 1.0))
    assert (decision.action, decision.rung) == (Action.CONTINUE, 2)
    assert decision.reason == Reason(Code.PROMOTED_AT_ONCE, {"rank": 1, "trials": 3, "round": 2})


def test_third_trial_that_is_worst_pauses_and_the_best_is_promoted() -> None:
    policy = asha(PolicyContext(9))
    paused(policy, [0.3, 0.2, 0.1])
    assert policy.trials[2].state is TrialState.PAUSED
    choice = policy.next()
    assert (choice.kind, choice.trial) == (NextKind.RESUME, 0)
    assert choice.reason == Reason(Code.PROMOTED, {"rank": 1, "trials": 3, "round": 2})


def test_equal_values_are_no_order() -> None:
    policy = asha(PolicyContext(9))
    paused(policy, [0.5, 0.5])
    policy.started(2, resumed=False)
    policy.report(Report(2, 1, 0.5, 1.0))
    decision = policy.report(Report(2, 2, 0.5, 1.0))
    assert decision.reason == Reason(Code.PROMOTED_AT_ONCE, {"rank": "1-3", "trials": 3, "round": 2})
    for trial in (0, 1):
        choice = policy.next()
        assert (choice.trial, choice.reason.data["rank"]) == (trial, "1-3")
        policy.started(trial, resumed=True)
    assert policy.next().kind is NextKind.START


def test_promotion_counts_only_when_the_trial_runs() -> None:
    policy = asha(PolicyContext(9))
    paused(policy, [0.3, 0.2, 0.1])
    assert [policy.next().trial for _ in range(3)] == [0, 0, 0]
    policy.started(0, resumed=True)
    assert policy.next().kind is NextKind.START


def test_higher_rung_is_served_first() -> None:
    policy = asha(PolicyContext(18))
    paused(policy, [0.9, 0.8, 0.7, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    for trial in (0, 1, 2):
        policy.started(trial, resumed=True)
        for round in range(3, 7):
            policy.report(Report(trial, round, 1 - trial / 10, 1.0))
    for trial in (9, 10, 11):
        policy.started(trial, resumed=False)
        policy.report(Report(trial, 1, 0.75, 1.0))
        policy.report(Report(trial, 2, 0.75, 1.0))
    assert policy.next().trial == 0
    assert policy.next().reason.data["round"] == 6


def test_crashed_trial_leaves_its_place_to_the_next_best() -> None:
    policy = asha(PolicyContext(9))
    paused(policy, [0.4, 0.3, 0.2, 0.1])
    policy.started(0, resumed=True)
    policy.ended(0, TrialState.FAILED)
    assert policy.next().trial == 1


def test_stopped_trial_keeps_its_place_but_is_not_promoted() -> None:
    policy = asha(PolicyContext(9))
    paused(policy, [0.3, 0.2, 0.1])
    policy.ended(0, TrialState.PRUNED)
    assert policy.next().kind is NextKind.START


def test_nan_in_the_best_third_is_not_promoted() -> None:
    policy = asha(PolicyContext(9))
    paused(policy, [math.nan, math.inf, math.nan])
    assert policy.next(may_start=False).kind is NextKind.FINISH


def test_last_resort_is_taken_only_while_nothing_is_complete() -> None:
    policy = asha(PolicyContext(9))
    paused(policy, [0.2, 0.1])
    choice = policy.next(may_start=False)
    assert (choice.kind, choice.trial) == (NextKind.RESUME, 0)
    assert choice.reason.code is Code.LAST_RESORT
    policy.started(0, resumed=True)
    assert policy.next(may_start=False).kind is NextKind.WAIT
    policy.ended(0, TrialState.COMPLETE)
    assert policy.next(may_start=False).kind is NextKind.FINISH


def test_trial_that_no_other_beats_is_promoted_once_no_trial_may_start() -> None:
    policy = asha(PolicyContext(9, "max", constant_noise(0.01)))
    paused(policy, [0.2, 0.1])
    assert policy.next().kind is NextKind.START
    choice = policy.next(may_start=False)
    assert (choice.kind, choice.trial) == (NextKind.RESUME, 0)
    assert choice.reason == Reason(Code.UNBEATEN, {"rank": 1, "trials": 2, "round": 2})
    policy.started(0, resumed=True)
    policy.ended(0, TrialState.COMPLETE)
    assert policy.next(may_start=False).kind is NextKind.FINISH
    assert policy.beaten(0) is None
    assert policy.beaten(1) == Reason(
        Code.BEATEN, {"rank": 2, "trials": 2, "round": 2, "better": 1, "best": 0}
    )


def test_hyperband_brackets_begin_at_later_rungs() -> None:
    policy = hyperband(PolicyContext(50))
    assert [bracket.rounds for bracket in policy.brackets] == [(3, 9, 27, 50), (9, 27, 50), (27, 50), (50,)]


def test_interleaving_keeps_the_proportions_in_every_prefix() -> None:
    order = interleaved([27, 12, 6, 4])
    assert [order.count(index) for index in range(4)] == [27, 12, 6, 4]
    for end in range(1, len(order)):
        assert abs(order[:end].count(0) - end * 27 / 49) <= 1.5


@given(st.lists(st.floats(width=32) | st.just(math.inf), max_size=30))
@settings(max_examples=60, deadline=None)
def test_rung_ranks_agree_with_sorting(losses: list[float]) -> None:
    rung = Rung(3)
    clean = [math.inf if math.isnan(loss) else loss for loss in losses]
    for trial, loss in enumerate(clean):
        rung.record(trial, 0.0)
        rung.record(trial, loss)
    order = sorted(range(len(clean)), key=lambda trial: (clean[trial], trial))
    for trial, loss in enumerate(clean):
        standing = rung.standing(trial)
        assert standing.rank == 1 + sum(other < loss for other in clean)
        assert standing.last == sum(other <= loss for other in clean)
    assert rung.top(5) == [trial for trial in order[:5] if clean[trial] < math.inf]
    for trial in order[::2]:
        rung.drop(trial)
    assert len(rung) == len(order) // 2
