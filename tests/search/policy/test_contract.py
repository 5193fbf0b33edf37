"""What every policy has to keep to, run over all rows of the registry."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from automl.records import Mode, Report, TrialState
from automl.search.policy import (
    POLICIES,
    Action,
    Decision,
    Next,
    NextKind,
    Policy,
    PolicyContext,
    Significance,
    TrialView,
    make_policy,
)
from automl.search.policy.asha import Asha
from automl.search.policy.significance import judged_again
from automl.search.reasons import Code, Reason
from tests.search.toy import JUDGED

NAMES = sorted(POLICIES)
PROMOTING = ["asha", "asha-watched", "auto", "hyperband"]
MAX_ROUNDS = 12
FINAL = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)
Curve = Callable[[int, int], float]
Known = Significance | None
# Every difference counts; or the trivial answer has 0.2, and a third of what `quality` returns is at chance.
KNOWN = [None, judged_again(JUDGED)]


class Play:
    """Plays a search with a policy: `workers` trials at once, the arrivals in an order drawn from a seed."""

    def __init__(
        self,
        name: str,
        curve: Curve,
        *,
        workers: int = 3,
        seed: int = 0,
        mode: Mode = "max",
        known: Known = None,
    ) -> None:
        self.context = PolicyContext(MAX_ROUNDS, mode, known)
        self.policy: Policy = make_policy(name, self.context)
        self.name = name
        self.curve, self.workers = curve, workers
        self.rng = np.random.default_rng(seed)
        self.rounds: dict[int, int] = {}
        self.states: dict[int, TrialState] = {}
        self.reports: list[Report] = []
        self.decisions: list[tuple[int, int, Decision]] = []
        self.crashes: dict[int, int] = {}
        self.last = Next(NextKind.WAIT, Reason(Code.NOTHING_YET))

    def running(self) -> list[int]:
        return [trial for trial, state in self.states.items() if state is TrialState.RUNNING]

    def fill(self, n_trials: int) -> None:
        while len(self.running()) < self.workers:
            if not self.give(self.policy.next(may_start=len(self.states) < n_trials)):
                return

    def give(self, choice: Next) -> bool:
        """Does what the policy says with a free worker; says whether it has work."""
        self.last = choice
        if choice.kind is NextKind.START:
            trial = len(self.states)
            self.rounds[trial] = 0
        elif choice.kind is NextKind.RESUME and choice.trial is not None:
            trial = choice.trial
            assert self.states[trial] is TrialState.PAUSED
        else:
            return False
        self.policy.started(trial, resumed=choice.kind is NextKind.RESUME)
        self.states[trial] = TrialState.RUNNING
        return True

    def advance(self, trial: int) -> None:
        self.rounds[trial] += 1
        round = self.rounds[trial]
        if self.crashes.get(trial) == round:
            self.states[trial] = TrialState.FAILED
            self.policy.ended(trial, TrialState.FAILED)
            return
        report = Report(trial, round, self.curve(trial, round), 1.0)
        self.reports.append(report)
        decision = self.policy.report(report)
        self.decisions.append((trial, round, decision))
        assert str(decision.reason)
        self.states[trial] = decision.state

    def run(self, n_trials: int, steps: int = 10_000) -> "Play":
        for _ in range(steps):
            self.fill(n_trials)
            running = self.running()
            if not running:
                return self
            self.advance(running[int(self.rng.integers(len(running)))])
        raise RuntimeError("the search does not end")

    def restart(self) -> None:
        """The search stops, whatever runs, and a fresh policy goes on from what is known."""
        fresh = make_policy(self.name, self.context)
        fresh.restore(self.history())
        for trial in self.running():
            self.states[trial] = TrialState.PAUSED
        self.policy = fresh

    def history(self) -> list[TrialView]:
        return [
            TrialView(
                t,
                s,
                self.rounds[t],
                {report.round: report.value for report in self.reports if report.trial == t},
                self.policy.rungs(t)[0],
            )
            for t, s in self.states.items()
        ]


def quality(trial: int, round: int) -> float:
    """Trials differ, and keep their order over rounds; no two are equal."""
    return ((trial * 7919) % 101) / 101 + round / 10_000


def late(trial: int, round: int) -> float:
    """The first round says nothing about the others."""
    return quality(trial, round) if round > 1 else ((trial * 5051) % 97) / 97


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known", KNOWN)
def test_next_asked_twice_answers_the_same_and_changes_nothing(name: str, known: Known) -> None:
    play = Play(name, quality, known=known)
    for _ in range(60):
        play.fill(20)
        for may_start in (True, False):
            first = play.policy.next(may_start=may_start)
            assert [play.policy.next(may_start=may_start) for _ in range(3)] == [first] * 3
        if play.running():
            play.advance(play.running()[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("known", KNOWN)
def test_search_with_a_total_ends_and_forgets_no_trial(name: str, seed: int, known: Known) -> None:
    play = Play(name, quality, seed=seed, known=known).run(20)
    assert play.last.kind is NextKind.FINISH
    assert len(play.states) == 20
    assert all(state in FINAL or state is TrialState.PAUSED for state in play.states.values())
    assert TrialState.COMPLETE in play.states.values()


@pytest.mark.parametrize("name", NAMES)
def test_complete_trials_are_those_that_reached_the_full_length(name: str) -> None:
    play = Play(name, quality).run(20)
    for trial, state in play.states.items():
        assert (state is TrialState.COMPLETE) == (play.rounds[trial] == MAX_ROUNDS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_trials", [1, 2, 3, 4])
def test_few_trials_always_give_a_complete_one(name: str, n_trials: int) -> None:
    play = Play(name, quality, workers=2).run(n_trials)
    assert TrialState.COMPLETE in play.states.values()


@pytest.mark.parametrize("name", NAMES)
def test_every_trial_nan_still_finishes(name: str) -> None:
    assert Play(name, lambda trial, round: math.nan).run(9).last.kind is NextKind.FINISH


@pytest.mark.parametrize("name", ["asha", "stop-asha"])
def test_nan_trials_never_leave_the_first_rung(name: str) -> None:
    play = Play(name, lambda trial, round: math.nan).run(9)
    assert set(play.rounds.values()) == {2}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "none"])
def test_nan_trial_never_beats_a_finite_one(name: str) -> None:
    play = Play(name, lambda t, e: math.nan if t % 2 else quality(t, e), workers=1).run(24)
    finite = [play.rounds[t] for t in play.states if not t % 2]
    broken = [play.rounds[t] for t in play.states if t % 2]
    assert np.mean(broken) < np.mean(finite)


@pytest.mark.parametrize("name", NAMES)
def test_crashed_trial_is_never_chosen_again(name: str) -> None:
    play = Play(name, quality)
    play.crashes = {0: 1, 3: 3, 7: 2, 11: 5}
    play.run(20)
    assert play.last.kind is NextKind.FINISH
    dead = [trial for trial, state in play.states.items() if state is TrialState.FAILED]
    assert set(dead) <= set(play.crashes) and 0 in dead


@pytest.mark.parametrize("name", NAMES)
def test_all_trials_crashed_finishes(name: str) -> None:
    play = Play(name, quality)
    play.crashes = dict.fromkeys(range(6), 1)
    assert play.run(6).last.kind is NextKind.FINISH


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["max", "min"])
def test_mode_min_on_negated_values_decides_the_same(name: str, mode: Mode) -> None:
    sign = 1 if mode == "max" else -1
    play = Play(name, lambda t, e: sign * quality(t, e), mode=mode).run(18)
    reference = Play(name, quality).run(18)
    assert play.states == reference.states and play.rounds == reference.rounds


@pytest.mark.parametrize("name", NAMES)
def test_restored_policy_goes_on_as_the_uninterrupted_one(name: str) -> None:
    play = Play(name, quality, workers=1)
    for _ in range(45):
        play.fill(20)
        play.advance(play.running()[0])
    while play.running():
        play.advance(play.running()[0])
    copy = make_policy(name, PolicyContext(MAX_ROUNDS))
    copy.restore(play.history())
    assert copy.next(may_start=False) == play.policy.next(may_start=False)
    assert copy.next() == play.policy.next()


@pytest.mark.parametrize("curve", [quality, late])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known", KNOWN)
def test_search_in_pieces_decides_as_the_one_in_one_piece(name: str, curve: Curve, known: Known) -> None:
    """Each time when one trial has left, everything is forgotten and restored from the trials alone."""
    whole = Play(name, curve, workers=1, known=known).run(48)
    pieces = Play(name, curve, workers=1, known=known)
    while True:
        pieces.restart()
        pieces.fill(48)
        if not pieces.running():
            break
        while pieces.running():
            pieces.advance(pieces.running()[0])
    assert pieces.last.kind is NextKind.FINISH
    assert (pieces.states, pieces.rounds, pieces.decisions) == (whole.states, whole.rounds, whole.decisions)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("known", KNOWN)
def test_search_that_is_killed_now_and_then_forgets_no_trial(name: str, seed: int, known: Known) -> None:
    play = Play(name, quality, seed=seed, known=known)
    for step in range(10_000):
        if step % 17 == 16:
            play.restart()
        play.fill(24)
        if not play.running():
            break
        play.advance(play.running()[int(play.rng.integers(len(play.running())))])
    assert play.last.kind is NextKind.FINISH and len(play.states) == 24
    assert TrialState.RUNNING not in play.states.values() and TrialState.COMPLETE in play.states.values()
    for trial in play.states:
        own = [report.round for report in play.reports if report.trial == trial]
        assert own == list(range(1, play.rounds[trial] + 1))


@pytest.mark.parametrize("name", NAMES)
def test_interrupted_trial_is_resumed_first(name: str) -> None:
    values = dict.fromkeys((1, 2, 3), 0.1)
    policy = make_policy(name, PolicyContext(MAX_ROUNDS))
    policy.restore([TrialView(0, TrialState.RUNNING, 2, values), TrialView(1, TrialState.RUNNING)])
    assert (policy.next().kind, policy.next().trial) == (NextKind.RESUME, 0)
    policy.started(0, resumed=True)
    assert (policy.next(may_start=False).kind, policy.next(may_start=False).trial) == (NextKind.RESUME, 1)
    policy.started(1, resumed=True)
    assert policy.next(may_start=False).kind is NextKind.WAIT


@pytest.mark.parametrize("name", NAMES)
def test_report_of_a_round_run_again_is_accepted(name: str) -> None:
    policy = make_policy(name, PolicyContext(MAX_ROUNDS))
    first = dict.fromkeys((1, 2, 3), 0.5)
    policy.restore([TrialView(0, TrialState.RUNNING, 0, first)])
    policy.started(0, resumed=True)
    for round in (1, 2, 3):
        assert policy.report(Report(0, round, 0.6, 1.0)).action is Action.CONTINUE


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("max_rounds", [1, 2, 3])
def test_short_full_length_is_reached(name: str, max_rounds: int) -> None:
    policy = make_policy(name, PolicyContext(max_rounds))
    policy.started(0, resumed=False)
    decision = None
    for round in range(1, max_rounds + 1):
        decision = policy.report(Report(0, round, 0.5, 1.0))
        if decision.action is Action.PAUSE:
            policy.started(0, resumed=True)
    assert decision is not None and decision.state is TrialState.COMPLETE


@pytest.mark.parametrize("name", PROMOTING)
@pytest.mark.parametrize("seed", range(6))
def test_at_quiescence_every_rung_has_its_best_third_promoted(name: str, seed: int) -> None:
    play = Play(name, quality, workers=4, seed=seed).run(40)
    assert isinstance(play.policy, Asha)
    for bracket in play.policy.brackets:
        for rung in bracket.rungs.values():
            third = rung.top(len(rung) // bracket.factor)
            assert len(third) == len(rung) // 3
            assert all(rung.is_promoted(trial) for trial in third)


class Witnessed(Play):
    """Checks each promotion by itself, from the reports alone: fewer than a third of its rung are better."""

    def fill(self, n_trials: int) -> None:
        for _ in range(self.workers - len(self.running())):
            choice = self.policy.next(may_start=len(self.states) < n_trials)
            if choice.trial is not None and choice.reason.code is Code.PROMOTED:
                self.check(choice.trial, self.rounds[choice.trial])
            self.give(choice)

    def advance(self, trial: int) -> None:
        super().advance(trial)
        if self.decisions and self.decisions[-1][2].reason.code is Code.PROMOTED_AT_ONCE:
            self.check(*self.decisions[-1][:2])

    def check(self, trial: int, round: int) -> None:
        policy = self.policy
        assert isinstance(policy, Asha)
        there = [
            (-report.value if math.isfinite(report.value) else math.inf, report.trial)
            for report in self.reports
            if report.round == round
            and self.states[report.trial] is not TrialState.FAILED
            and policy.bracket_of(report.trial) is policy.bracket_of(trial)
        ]
        (own,) = (loss for loss, number in there if number == trial)
        assert sum(loss < own for loss, _ in there) < len(there) // 3
        self.promotions += 1

    promotions = 0


@pytest.mark.parametrize("name", PROMOTING)
@pytest.mark.parametrize(
    "curve", [quality, late, lambda t, e: 0.5, lambda t, e: math.nan if t % 4 == 0 else quality(t, e)]
)
def test_every_promotion_is_of_the_best_third_of_that_moment(name: str, curve: Curve) -> None:
    play = Witnessed(name, curve, workers=3, seed=1)
    play.crashes = {5: 3, 9: 2}
    play.run(45)
    assert play.promotions > 8


@pytest.mark.parametrize("name", ["asha", "asha-watched"])
def test_order_of_arrival_is_irrelevant_to_the_best_third_that_is_promoted(name: str) -> None:
    thirds = set()
    for seed in range(8):
        policy = Play(name, late, workers=5, seed=seed).run(42).policy
        assert isinstance(policy, Asha)
        (bracket,) = policy.brackets
        rung = bracket.rungs[2]
        assert len(rung) == 42 and all(rung.is_promoted(trial) for trial in rung.top(14))
        thirds.add(tuple(rung.top(14)))
    assert len(thirds) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("known", KNOWN)
def test_trials_pause_only_where_they_were_to_be_saved(name: str, known: Known) -> None:
    play = Play(name, quality, workers=2, known=known)
    saved: dict[int, tuple[int, ...]] = {}
    for _ in range(10_000):
        play.fill(40)
        for trial in play.running():
            saved.setdefault(trial, play.policy.rungs(trial))
            assert play.policy.rungs(trial) == saved[trial]
            assert saved[trial][-1] == play.policy.rungs()[-1] == MAX_ROUNDS
        if not play.running():
            break
        play.advance(play.running()[0])
    paused = [(t, e) for t, e, decision in play.decisions if decision.action is Action.PAUSE]
    assert all(round in saved[trial] for trial, round in paused)
    assert all(own[-1] == MAX_ROUNDS for own in saved.values())


@pytest.mark.parametrize("seed", range(6))
def test_best_trial_of_all_is_complete_whatever_the_order_of_arrival(seed: int) -> None:
    play = Play("asha", quality, workers=4, seed=seed).run(30)
    best = max(range(30), key=lambda trial: quality(trial, 0))
    assert play.states[best] is TrialState.COMPLETE
