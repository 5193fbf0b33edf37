"""What trials may cost that chance may have kept from the best third of their rung."""

from __future__ import annotations

import random

import pytest

from automl.records import TrialState
from automl.search.policy import Action, NextKind, PolicyContext
from automl.search.policy.asha import SHARE_OF_DOUBT, Asha, asha
from automl.search.policy.rungs import Bracket
from automl.search.policy.significance import judged_again
from automl.search.reasons import Code
from tests.search.policy.test_contract import MAX_ROUNDS, PROMOTING, Play
from tests.search.policy.test_significance import reached
from tests.search.toy import JUDGED, constant_noise


def test_surplus_counts_the_rounds_beyond_the_best_thirds() -> None:
    bracket = Bracket((2, 6, 18, 50))
    rung = bracket.rungs[6]
    for trial in range(7):
        rung.record(trial, float(trial))
    rung.promote(0)
    rung.promote(1)
    rung.promote(6, compared=False)
    assert bracket.surplus() == 0 and bracket.surplus(rung, 1) == 12
    rung.promote(2)
    assert bracket.surplus() == 12 and bracket.surplus(bracket.rungs[2], 1) == 12 + 4
    rung.drop(0)
    rung.drop(6)
    assert rung.promotions == 2 and bracket.surplus() == 12  # a third of five trials is one


def lively(trial: int, round: int) -> float:
    """Every third trial never learns, the others are equally good but for a scatter within noise."""
    return 0.2 if trial % 3 == 0 else 0.5 + 0.02 * random.Random(trial * 100 + round).random()


@pytest.mark.parametrize("name", PROMOTING)
def test_doubt_takes_a_fifth_of_the_rounds_and_waits_while_new_trials_may_start(name: str) -> None:
    play = Play(name, lively, workers=1, known=judged_again(JUDGED))
    for _ in range(600):
        play.fill(10_000)
        play.advance(play.running()[0])
    policy = play.policy
    assert isinstance(policy, Asha)
    surplus = sum(bracket.surplus() for bracket in policy.brackets)
    assert 0.1 * 600 < surplus <= SHARE_OF_DOUBT * 600 + MAX_ROUNDS
    waiting = [trial for trial, state in play.states.items() if state is TrialState.PAUSED]
    dead = [trial for trial in waiting if trial % 3 == 0]
    assert dead and not any(policy.beaten(trial) for trial in waiting)
    # When no new trial may start, all of them go on, and none is cut.
    play.run(len(play.states))
    assert set(play.states.values()) == {TrialState.COMPLETE}


def test_trial_at_chance_waits_where_it_would_take_too_much_and_says_so() -> None:
    policy = asha(PolicyContext(18, "max", constant_noise(0.01, trivial=0.1)))
    (first,) = reached(policy, 0.11)
    assert (first.action, first.state, first.rung) == (Action.PAUSE, TrialState.PAUSED, 2)
    assert str(first.reason) == (
        "0.11 is not yet better than the trivial answer, 0.1, by more than chance: waits"
    )
    assert policy.next().kind is NextKind.START and policy.beaten(0) is None
    late = policy.next(may_start=False)
    assert (late.kind, late.trial) == (NextKind.RESUME, 0)
    assert str(late.reason) == (
        "not compared at round 2, since it was not better than the trivial answer by more than chance"
    )


@pytest.mark.parametrize(("others", "goes_on"), [(6, False), (7, True)])
def test_trial_at_chance_goes_on_where_its_next_rounds_are_a_fifth_of_all(others: int, goes_on: bool) -> None:
    """Four rounds to the next rung are a fifth of twenty, of which it has run two itself. The best third come first."""
    policy = asha(PolicyContext(18, "max", constant_noise(0.0, trivial=0.1)))
    *_, last = reached(policy, *(0.9 - trial / 100 for trial in range(others)), 0.1)
    assert (last.action is Action.CONTINUE) is goes_on
    assert last.reason.code is (Code.NOT_MOVED if goes_on else Code.WAITS_TO_MOVE)
    choice = policy.next()
    assert (choice.trial, choice.reason.code) == (0, Code.PROMOTED)
