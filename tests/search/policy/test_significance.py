"""What a difference of values is worth: nothing is cut at chance, ties are no order, and many rows decide sharply."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.log import quiet_optuna
from automl.records import DatasetInfo, Mode, Report, TrialState
from automl.search.policy import (
    POLICIES,
    Action,
    Decision,
    NextKind,
    Policy,
    PolicyContext,
    Significance,
    make_policy,
)
from automl.search.policy.asha import asha
from automl.search.policy.optuna_pruner import PrunerPolicy
from automl.search.policy.rungs import Rung
from automl.search.policy.significance import judged_again, judged_by
from automl.search.reasons import Code, Reason
from tests.search.policy.test_contract import MAX_ROUNDS, Play
from tests.search.toy import JUDGED, constant_noise

TEN = DatasetInfo(
    name="ten",
    task="classification",
    classes=tuple("0123456789"),
    in_chans=3,
    img_size=32,
    mean=(0.5,) * 3,
    std=(0.2,) * 3,
    class_counts=(300,) * 10,
    fingerprint="",
    n_train=3000,
    n_val=600,
    n_holdout=0,
    n_skipped=0,
)


# What a score tells --------------------------------------------------------------------------------------


def test_score_has_moved_when_it_is_more_than_two_and_a_third_standard_errors_better() -> None:
    known = judged_by("accuracy", "max", 0.1, TEN)
    assert known is not None
    error = known.noise(0.1)
    assert error == pytest.approx(math.sqrt(0.1 * 0.9 / 600), rel=0.02)
    assert known.threshold() == pytest.approx(0.1 + 2.33 * error)
    assert not known.moved(0.1) and not known.moved(0.128) and known.moved(0.130)
    assert not known.moved(math.nan) and not known.moved(0.0)


def test_smaller_scores_are_better_where_the_mode_says_so() -> None:
    known = judged_by("rmse", "min", 2.0, TEN)
    assert known is not None
    assert known.threshold() == pytest.approx(2.0 - 2.33 * 2.0 / math.sqrt(1200))
    assert known.moved(1.5) and not known.moved(1.9) and not known.moved(30.0) and not known.moved(math.nan)


def test_metric_that_is_not_defined_on_the_validation_rows_judges_nothing() -> None:
    assert judged_by("roc_auc", "max", math.nan, TEN) is None


def test_significance_is_made_again_from_what_a_search_logs() -> None:
    known = judged_by("balanced_accuracy", "max", 0.1, TEN)
    assert known is not None
    again = judged_again(Reason.from_json(Reason(Code.JUDGED_BY, known.source).to_json()).data)
    assert again.threshold() == known.threshold() and again.noise(0.7) == known.noise(0.7)
    assert str(Reason(Code.JUDGED_BY, known.source)) == (
        "scores of 600 rows, compared with the trivial answer's, 0.1"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_score_that_is_not_finite_has_no_noise(value: float) -> None:
    assert judged_again(JUDGED).noise(value) == 0.0
    assert Significance(0.0, lambda value, rows: math.nan).noise(0.5) == 0.0


# Scores of a part of the rows ----------------------------------------------------------------------------


def test_score_of_fewer_rows_is_worth_less() -> None:
    known = judged_by("accuracy", "max", 0.1, TEN)
    assert known is not None
    assert known.noise(0.7, 20) == pytest.approx(math.sqrt(0.7 * 0.3 / 20), rel=0.05)
    assert known.noise(0.7, 600) == known.noise(0.7, 0) == known.noise(0.7)
    assert known.moved(0.2) and not known.moved(0.2, 20) and known.moved(0.5, 20)
    assert known.threshold(20) > known.threshold()


def test_recorded_study_without_a_version_counts_every_score_as_one_of_all_rows() -> None:
    before = judged_again(JUDGED)
    assert (before.version, before.noise(0.7, 20)) == (1, before.noise(0.7))
    now = judged_again({**JUDGED, "version": 2})
    assert now.noise(0.7) == before.noise(0.7) < now.noise(0.7, 20)


def scored_on(policy: Policy, *values: tuple[float, int]) -> list[Decision]:
    """One trial after another reaches round 2, with a value on so many rows (0: all of them)."""
    decisions = []
    for trial, (value, rows) in enumerate(values):
        metrics = {"val_rows": float(rows)} if rows else {}
        policy.started(trial, resumed=False)
        policy.report(Report(trial, 1, value, 1.0, metrics))
        decisions.append(policy.report(Report(trial, 2, value, 1.0, metrics)))
    return decisions


@pytest.mark.parametrize(("rows", "beaten"), [(0, True), (150, True), (20, False)])
def test_lucky_scores_of_a_few_rows_beat_nothing(rows: int, beaten: bool) -> None:
    """.7 on 200 rows is worse than .82 on as many, but not than .82 on 20 of them, whose standard error is .09."""
    policy = asha(PolicyContext(MAX_ROUNDS, "max", judged_again({**JUDGED, "version": 2})))
    scored_on(policy, (0.7, 0), (0.78, rows), (0.78, rows), (0.78, rows))
    assert (policy.beaten(0) is not None) is beaten


@pytest.mark.parametrize(("rows", "beaten"), [(0, True), (20, False)])
def test_unlucky_score_of_a_few_rows_is_not_beaten(rows: int, beaten: bool) -> None:
    policy = asha(PolicyContext(MAX_ROUNDS, "max", judged_again({**JUDGED, "version": 2})))
    scored_on(policy, (0.7, rows), (0.78, 0), (0.78, 0), (0.78, 0))
    assert (policy.beaten(0) is not None) is beaten


def test_best_of_those_that_beat_a_trial_is_named_and_not_a_lucky_score() -> None:
    policy = asha(PolicyContext(MAX_ROUNDS, "max", judged_again({**JUDGED, "version": 2})))
    scored_on(policy, (0.7, 0), (0.8, 0), (0.82, 5), (0.79, 0))
    why = policy.beaten(0)
    assert why is not None and (why.data["better"], why.data["best"]) == (2, 1)


@pytest.mark.parametrize("name", ["auto", "asha", "stop-asha", "median"])
def test_value_at_chance_for_its_rows_is_not_compared(name: str) -> None:
    """.35 on 200 rows is better than .2 beyond chance; on 20 rows it is not."""
    for rows, compared in ((0, True), (20, False)):
        policy = make_policy(name, PolicyContext(MAX_ROUNDS, "max", judged_again({**JUDGED, "version": 2})))
        for trial in range(5):  # for the median
            for round in range(1, MAX_ROUNDS + 1):
                policy.report(Report(trial, round, 0.9, 1.0))
        metrics = {"val_rows": float(rows)} if rows else {}
        policy.started(5, resumed=False)
        decision = [policy.report(Report(5, round, 0.35, 1.0, metrics)) for round in (1, 2)][-1]
        told = {Code.NOT_MOVED, Code.WAITS_TO_MOVE}
        assert (decision.reason.code not in told) is compared, str(decision.reason)


@pytest.mark.parametrize(("value", "stopped"), [(0.66, False), (0.55, True)])
def test_pruner_stops_no_trial_within_the_noise_of_its_score(value: float, stopped: bool) -> None:
    """The median is .68; on 200 rows the standard error is .034."""
    for version, sharp in ((2, False), (1, True)):
        with quiet_optuna():
            pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
        policy = PrunerPolicy(
            PolicyContext(MAX_ROUNDS, "max", judged_again({**JUDGED, "version": version})), pruner
        )
        for trial in range(5):
            policy.started(trial, resumed=False)
            for round in range(1, MAX_ROUNDS + 1):
                policy.report(Report(trial, round, 0.68, 1.0))
        policy.started(5, resumed=False)
        decision = policy.report(Report(5, 1, value, 1.0))
        assert (decision.action is Action.STOP) is (stopped or sharp)
        if not stopped and not sharp:
            assert decision.reason.code is Code.PRUNER_IN_DOUBT


def test_second_question_to_a_pruner_leaves_no_notes_of_its_own() -> None:
    with quiet_optuna():
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    policy = PrunerPolicy(PolicyContext(MAX_ROUNDS, "max", judged_again({**JUDGED, "version": 2})), pruner)
    for trial, value in enumerate((0.9, 0.8, 0.7)):
        policy.started(trial, resumed=False)
        policy.report(Report(trial, 1, value, 1.0))
    notes = [trial.system_attrs.get("completed_rung_0") for trial in policy._study.trials]
    assert notes == [0.9, 0.8, 0.7]


# Nothing is cut at chance --------------------------------------------------------------------------------


def scattered(trial: int, round: int) -> float:
    """An eighth of the trials never leaves chance, an eighth does so late, the others at once; all of them scatter."""
    noise = random.Random(trial * 100 + round).gauss(0.0, 0.02)
    late = trial % 8 == 1 and round < 7
    return 0.2 + noise if trial % 8 == 0 or late else 0.3 + 0.6 * ((trial * 37) % 11) / 11 + noise


def with_pruner(make: Callable[[], optuna.pruners.BasePruner]) -> Callable[[PolicyContext], Policy]:
    def policy(context: PolicyContext) -> Policy:
        with quiet_optuna():
            return PrunerPolicy(context, make())

    return policy


POLICIES_AND_PRUNERS: dict[str, Callable[[PolicyContext], Policy]] = {
    **{name: row.make for name, row in POLICIES.items()},
    "median pruner": with_pruner(lambda: optuna.pruners.MedianPruner(n_startup_trials=3)),
    "halving pruner": with_pruner(lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=2)),
}


def cut(play: Play, known: Significance) -> list[tuple[float, TrialState]]:
    """The value of each trial that was stopped or paused, and stays so when the search ends."""
    values = {(report.trial, report.round): report.value for report in play.reports}
    found = []
    for trial, state in play.states.items():
        beaten = state is TrialState.PAUSED and play.policy.beaten(trial) is not None
        if state is TrialState.PRUNED or beaten:
            found.append((values[trial, play.rounds[trial]], state))
    return found


@pytest.mark.parametrize("name", POLICIES_AND_PRUNERS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["max", "min"])
def test_no_trial_is_cut_at_a_value_that_chance_explains(name: str, seed: int, mode: Mode) -> None:
    sign = 1.0 if mode == "max" else -1.0
    known = Significance(
        sign * 0.2, judged_again(JUDGED).noise if mode == "max" else (lambda value, rows: 0.028), mode
    )
    play = Play("none", lambda t, r: sign * scattered(t, r), seed=seed, known=known, mode=mode)
    play.policy = POLICIES_AND_PRUNERS[name](play.context)
    play.run(80)
    values = cut(play, known)
    assert all(known.moved(value) for value, _ in values)
    assert bool(values) is (name != "none")
    codes = {decision.reason.code for _, _, decision in play.decisions}
    assert bool(codes & {Code.NOT_MOVED, Code.WAITS_TO_MOVE}) is (name != "none")
    # Nor do any wait to the end.
    final = {trial: play.reports[-1].value for trial in play.states}
    final |= {report.trial: report.value for report in play.reports}
    assert all(known.moved(final[t]) for t, s in play.states.items() if s is not TrialState.COMPLETE)


def test_demo_whose_first_rung_is_at_chance_cuts_nothing_there() -> None:
    """Seen in a study of 14 trials: ten had exactly 0.1010 at the first rung, the later winner too."""
    known = judged_by("accuracy", "max", 0.1045, TEN)
    assert known is not None

    def curve(trial: int, round: int) -> float:
        return 0.1010 if round < 3 and trial != 5 else min(0.95, 0.12 * round + (0.2 if trial == 9 else 0.0))

    before = Play("auto", curve, workers=1).run(14)
    assert sum(state is TrialState.PAUSED for state in before.states.values()) == 0  # ties are no order
    play = Play("auto", curve, workers=1, known=known).run(14)
    first = [decision.reason for _, round, decision in play.decisions if round == 2]
    codes = {reason.code for reason in first}
    assert codes <= {Code.NOT_MOVED, Code.WAITS_TO_MOVE, Code.BEFORE_FIRST_RUNG, Code.PROMOTED_AT_ONCE}
    assert str(first[0]) == (
        "0.101 is not yet better than the trivial answer, 0.1045, by more than chance: waits"
    )
    assert play.states[9] is TrialState.COMPLETE
    assert all(value > 0.2 for value, _ in cut(play, known))


@pytest.mark.parametrize("name", ["stop-asha", "median"])
@pytest.mark.parametrize("known", [None, judged_again(JUDGED)])
def test_trial_without_a_value_is_told_so_and_not_a_rank(name: str, known: Significance | None) -> None:
    policy = POLICIES_AND_PRUNERS[name](PolicyContext(6, "max", known))
    if name == "median":
        for trial in range(5):
            for round in range(1, 7):
                policy.report(Report(trial, round, 0.5, 1.0))
    policy.started(9, resumed=False)
    policy.report(Report(9, 1, math.nan, 1.0))
    decision = policy.report(Report(9, 2, math.nan, 1.0))
    assert decision.action is Action.STOP
    assert str(decision.reason) == "its value was nan"


def test_paused_trial_without_a_value_is_pruned_for_that() -> None:
    policy = asha(PolicyContext(MAX_ROUNDS))
    reached(policy, 0.5, math.nan)
    assert str(policy.beaten(1)) == "its value was nan" and policy.beaten(0) is None


# Ties ----------------------------------------------------------------------------------------------------


def test_standing_tells_ties_honestly() -> None:
    rung = Rung(9)
    for trial, loss in enumerate([0.1, 0.2, 0.3, 0.3, 0.32, 0.36, 0.5, math.inf]):
        rung.record(trial, loss)
    assert str(rung.standing(0).reason(Code.PAUSED_AT_RUNG)) == "rank 1 of 8 at round 9"
    assert str(rung.standing(2).reason(Code.PAUSED_AT_RUNG)) == "rank 3-4 of 8 at round 9"
    assert str(rung.standing(4, lambda rows: 0.05).reason(Code.PAUSED_AT_RUNG)) == "rank 3-6 of 8 at round 9"
    assert str(rung.standing(6, lambda rows: 0.05).reason(Code.PAUSED_AT_RUNG)) == "rank 7 of 8 at round 9"
    assert str(rung.standing(7).reason(Code.PAUSED_AT_RUNG)) == "rank 8 of 8 at round 9"


def reached(policy: Policy, *values: float) -> list[Decision]:
    """One trial after another reaches round 2."""
    decisions = []
    for trial, value in enumerate(values):
        policy.started(trial, resumed=False)
        policy.report(Report(trial, 1, value, 1.0))
        decisions.append(policy.report(Report(trial, 2, value, 1.0)))
    return decisions


@pytest.mark.parametrize(("noise", "promoted"), [(0.0, [0]), (0.015, [0, 1]), (0.025, [0, 1, 2])])
def test_trials_within_a_standard_error_of_the_third_are_promoted_with_it(
    noise: float, promoted: list[int]
) -> None:
    policy = asha(PolicyContext(MAX_ROUNDS, "max", constant_noise(noise)))
    assert all(d.action is Action.PAUSE for d in reached(policy, 0.5, 0.49, 0.48)[:2])
    found = [t for t in range(3) if policy.trials[t].state is TrialState.RUNNING]
    while (choice := policy.next(may_start=False)).kind is NextKind.RESUME:
        assert choice.trial is not None
        policy.started(choice.trial, resumed=True)
        found.append(choice.trial)
    assert sorted(found) == promoted


def test_stop_asha_and_median_stop_nothing_within_a_standard_error() -> None:
    context = PolicyContext(MAX_ROUNDS, "max", constant_noise(0.02))
    actions = [d.action for d in reached(make_policy("stop-asha", context), 0.5, 0.49, 0.4)]
    assert actions == [Action.CONTINUE, Action.CONTINUE, Action.STOP]
    policy = make_policy("median", context)
    for trial in range(5):
        for round in range(1, MAX_ROUNDS + 1):
            policy.report(Report(trial, round, 0.5, 1.0))
    assert policy.report(Report(5, 2, 0.485, 1.0)).action is Action.CONTINUE
    assert policy.report(Report(6, 2, 0.475, 1.0)).action is Action.STOP


class Classic:
    """Algorithm 2 of Li et al. (2020), written down from the paper for one bracket: who pauses, who is promoted."""

    def __init__(self, rungs: tuple[int, ...]) -> None:
        self.rungs = rungs
        self.values: dict[int, dict[int, float]] = {round: {} for round in rungs}
        self.gone: set[tuple[int, int]] = set()

    def best_third(self, round: int) -> list[int]:
        there = self.values[round]
        return sorted(there, key=lambda trial: -there[trial])[: len(there) // 3]

    def goes_on(self, trial: int, round: int, value: float) -> bool:
        self.values[round][trial] = value
        if trial in self.best_third(round):
            self.gone.add((round, trial))
        return (round, trial) in self.gone

    def promotion(self) -> int | None:
        for round in reversed(self.rungs):
            for trial in self.best_third(round):
                if (round, trial) not in self.gone:
                    return trial
        return None


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=40, unique=True), st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_with_many_rows_it_is_classic_successive_halving(heights: list[int], seed: int) -> None:
    """Distinct values and a standard error of (almost) nothing: the same pauses and promotions as in the paper."""
    policy = asha(PolicyContext(9, "max", Significance(-1.0, lambda value, rows: 1e-9)))
    classic, rng = Classic((2, 6)), random.Random(seed)
    rounds = dict.fromkeys(range(len(heights)), 0)
    running: list[int] = []
    waiting = list(rounds)
    for _ in range(20 * len(heights)):
        while len(running) < 3:
            choice = policy.next()
            assert choice.trial == classic.promotion()
            if choice.trial is None:
                if not waiting:
                    return
                choice_number = waiting.pop(0)
            else:
                choice_number = choice.trial
                classic.gone.add((rounds[choice_number], choice_number))
            policy.started(choice_number, resumed=choice.trial is not None)
            running.append(choice_number)
        trial = rng.choice(running)
        rounds[trial] += 1
        value = heights[trial] / 10**6 + rng.random() * rounds[trial]
        decision = policy.report(Report(trial, rounds[trial], value, 1.0))
        if rounds[trial] in (2, 6):
            assert (decision.action is Action.CONTINUE) is classic.goes_on(trial, rounds[trial], value)
        if decision.action is not Action.CONTINUE:
            running.remove(trial)
