"""Where trials are first compared."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from automl.records import Report, TrialState
from automl.search.policy import Action, PolicyContext
from automl.search.policy.adaptive_asha import AdaptiveAsha
from automl.search.policy.first_rung import (
    Curve,
    choose_first_rung,
    corrected,
    levels_around,
    spearman,
)
from automl.search.reasons import Code, Reason
from tests.search.toy import constant_noise

LEVELS = (1, 3, 9, 27, 50)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=25))
def test_spearman_agrees_with_scipy_also_on_ties(rows: list[tuple[int, int]]) -> None:
    pairs = [(float(a), float(b)) for a, b in rows]
    if len({a for a, _ in pairs}) == 1 or len({b for _, b in pairs}) == 1:
        assert spearman(pairs) == 0.0
    else:
        assert spearman(pairs) == pytest.approx(spearmanr(pairs).statistic)


def test_infinite_losses_rank_last() -> None:
    assert spearman([(0.1, 0.2), (0.2, 0.3), (math.inf, math.inf), (math.inf, math.inf)]) == pytest.approx(
        1.0
    )


def test_correlation_of_a_selection_is_corrected_towards_that_of_everyone() -> None:
    rng = random.Random(3)
    everyone = []
    for _ in range(3000):
        x = rng.gauss(0, 1)
        everyone.append((x, x + rng.gauss(0, 0.75)))
    chosen = sorted(everyone)[:1000]
    true, seen = spearman(everyone), spearman(chosen)
    assert seen < true - 0.2
    better = corrected(seen, [x for x, _ in everyone], [x for x, _ in chosen])
    assert abs(better - true) < 0.12
    assert corrected(0.0, [x for x, _ in everyone], [x for x, _ in chosen]) == 0.0


def test_levels_below_the_usual_rungs() -> None:
    assert levels_around((3, 9, 27, 50), 3) == LEVELS
    assert levels_around((18, 54, 162, 300), 3) == (2, 6, 18, 54, 162, 300)
    assert levels_around((2,), 3) == (2,)


def full(quality: float, early: float) -> Curve:
    """A trial that was trained to its end, with a value of its own at the first round."""
    return Curve({1: early, 3: quality, 9: quality, 27: quality, 50: quality}, 3)


def test_first_rung_moves_down_where_the_first_round_ranks_as_well() -> None:
    found = choose_first_rung([full(i / 40, i / 41) for i in range(40)], LEVELS, 3)
    assert found.round == 1 and "round 1 ranks 40 trials as round 3 does (Spearman 1.00)" in str(found.why)


@pytest.mark.parametrize(("count", "round"), [(0, 3), (1, 3), (11, 3), (12, 1)])
def test_fewer_than_twelve_trials_move_nothing(count: int, round: int) -> None:
    assert choose_first_rung([full(i / 40, i / 41) for i in range(count)], LEVELS, 3).round == round


def test_first_round_that_says_nothing_leaves_the_rung_where_it_is() -> None:
    rng = random.Random(0)
    found = choose_first_rung([full(i / 40, rng.random()) for i in range(40)], LEVELS, 3)
    assert found.round == 3 and found.why is None


def test_agreement_among_hopeless_trials_alone_is_not_enough() -> None:
    rng = random.Random(0)
    good = [full(rng.random(), rng.random()) for _ in range(10)]
    hopeless = [full(2.0 + i, 2.0 + i) for i in range(40)]
    half = [full(rng.random(), rng.random()) for _ in range(40)]
    assert choose_first_rung([*good, *half, *hopeless], LEVELS, 3).round == 3


def test_selected_trials_do_not_count_for_a_move_down() -> None:
    later = [Curve(full(i / 40, i / 41).losses, 1) for i in range(40)]
    assert choose_first_rung(later, LEVELS, 3).round == 3


def promoted(count: int, noise: float, seed: int = 1) -> list[Curve]:
    """Of `count` trials at round 3 the best third went on to 9, where `noise` is mixed into their values."""
    rng = random.Random(seed)
    found = []
    for i in range(count):
        losses = {1: rng.random(), 3: i / count}
        if i < count // 3:
            losses[9] = (1 - noise) * i / count + noise * rng.random()
        found.append(Curve(losses, 3))
    return found


def backwards(count: int) -> list[Curve]:
    """The promoted trials come out in the opposite order at round 9."""
    curves = promoted(count, noise=1.0)
    return [Curve({**w.losses, 9: -w.losses[3]}, 3) if 9 in w.losses else w for w in curves]


def test_first_rung_moves_up_where_it_says_nothing_about_what_comes_later() -> None:
    found = choose_first_rung(backwards(90), LEVELS, 3)
    assert found.round == 9 and "round 3 says nothing about round 9" in str(found.why)
    noise = [choose_first_rung(promoted(300, noise=1.0, seed=seed), LEVELS, 3).round for seed in range(20)]
    assert 10 <= noise.count(9) < 20


def test_first_rung_stays_where_selection_alone_explains_a_low_correlation() -> None:
    for seed in range(10):
        assert choose_first_rung(promoted(240, noise=0.3, seed=seed), LEVELS, 3).round == 3


@pytest.mark.parametrize(("promoted", "round"), [(19, 3), (20, 9)])
def test_first_rung_moves_up_from_twenty_promoted_trials_on(promoted: int, round: int) -> None:
    assert choose_first_rung(backwards(3 * promoted), LEVELS, 3).round == round


def test_order_of_curves_is_irrelevant() -> None:
    curves = [full(i / 40, i / 41) for i in range(40)]
    shuffled = curves.copy()
    random.Random(1).shuffle(shuffled)
    assert choose_first_rung(shuffled, LEVELS, 3) == choose_first_rung(curves, LEVELS, 3)


def played(trials: int) -> AdaptiveAsha:
    """Fine-tuning: the first round ranks as all others do."""
    policy = AdaptiveAsha(PolicyContext(50))
    for trial in range(trials):
        policy.started(trial, resumed=False)
        for round in range(1, 4):
            decision = policy.report(Report(trial, round, ((trial * 37) % 101) / 101, 1.0))
            if decision.action is not Action.CONTINUE:
                break
        if decision.action is Action.CONTINUE:
            policy.ended(trial, TrialState.PRUNED)
    return policy


def test_trials_that_start_later_are_compared_earlier_and_those_that_run_are_not() -> None:
    policy = played(30)
    assert policy.rungs(0) == (3, 9, 27, 50) and policy.rungs() == (1, 3, 9, 27, 50)
    assert "first compared at round 1" in str(policy.start_reason())
    policy.started(30, resumed=False)
    assert policy.rungs(30) == (1, 3, 9, 27, 50)
    worst = policy.report(Report(30, 1, -1.0, 1.0))
    assert (worst.action, worst.rung) == (Action.PAUSE, 1)
    assert worst.reason == Reason(Code.PAUSED_AT_RUNG, {"rank": 31, "trials": 31, "round": 1})
    policy.started(31, resumed=False)
    best = policy.report(Report(31, 1, 2.0, 1.0))
    assert best.action is Action.CONTINUE and (best.reason.data["rank"], best.reason.data["trials"]) == (
        1,
        32,
    )


def test_restored_policy_knows_where_each_trial_is_compared() -> None:
    policy = played(30)
    policy.started(30, resumed=False)
    past = [replace(view, first_rung=policy.rungs(number)[0]) for number, view in policy.trials.items()]
    copy = AdaptiveAsha(PolicyContext(50))
    copy.restore(past)
    assert [copy.rungs(number) for number in range(31)] == [policy.rungs(number) for number in range(31)]
    assert copy.first_rung() == policy.first_rung()
    copy.started(30, resumed=True)
    assert copy.report(Report(30, 1, -1.0, 1.0)) == policy.report(Report(30, 1, -1.0, 1.0))


def test_crashed_trials_are_no_curves() -> None:
    policy = played(14)
    assert policy.first_rung().round == 1
    for trial in range(5):
        policy.ended(trial, TrialState.FAILED)
    assert policy.first_rung().round == 3


def at_chance(*rounds: int) -> Curve:
    return Curve({round: 0.9 for round in (1, *rounds)}, 3, frozenset(rounds))


def moved(*rounds: int) -> Curve:
    return Curve({round: 0.5 for round in (1, *rounds)}, 3)


@pytest.mark.parametrize(
    ("curves", "first"),
    [
        ([at_chance(3)], 3),
        ([at_chance(3), at_chance(3)], 9),
        ([at_chance(3), moved(3)], 3),
        ([at_chance(3), at_chance(3), moved(3)], 9),
        ([at_chance(3, 9), at_chance(3, 9), moved(3)], 27),
        ([at_chance(3, 9, 27), at_chance(3, 9, 27)], 27),  # the last rung
        ([Curve({3: math.inf}, 3), at_chance(3)], 3),  # NaN says nothing
    ],
)
def test_first_rung_moves_up_by_itself_where_fewer_than_half_have_moved(
    curves: list[Curve], first: int
) -> None:
    for order in (curves, curves[::-1]):
        assert choose_first_rung(order, LEVELS, 3).round == first


def test_reason_of_the_move_counts_who_has_moved() -> None:
    found = choose_first_rung([at_chance(3), at_chance(3), moved(3)], LEVELS, 3)
    assert str(found.why) == (
        "it is first compared at round 9: at round 3 only 1 of 3 trials are better than the trivial answer by more "
        "than chance"
    )


def test_first_rung_never_moves_down_to_a_level_at_chance() -> None:
    ranks = [Curve({1: i / 41, 3: i / 40, 9: i / 40}, 3) for i in range(40)]
    assert choose_first_rung(ranks, LEVELS, 3).round == 1
    lost = [Curve(curve.losses, 3, frozenset({1})) for curve in ranks]
    assert choose_first_rung(lost, LEVELS, 3).round == 3


def test_short_study_compares_later_after_two_trials_at_chance_and_comes_back() -> None:
    policy = AdaptiveAsha(PolicyContext(50, "max", constant_noise(0.01, trivial=0.1)))
    for trial in range(6):
        policy.started(trial, resumed=False)
    for trial, (value, first) in enumerate([(0.1, 3), (0.11, 9), (0.4, 9), (0.5, 3)]):
        for round in (1, 2, 3):
            policy.report(Report(trial, round, value, 1.0))
        assert policy.first_rung().round == first
    policy.started(6, resumed=False)
    assert policy.rungs(6)[0] == 3
