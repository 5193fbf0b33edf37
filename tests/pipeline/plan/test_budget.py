"""The time limit is divided so that each stage has what it needs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from automl.pipeline.plan.budget import (
    Budget,
    Work,
    beside_delivered,
    closing_seconds,
    make_budget,
    measured_closing,
    part_of_rows,
    retrain_epochs,
    retrain_share,
    shortest_limit,
)

WORK = Work(n_train=3200, n_val=800, n_holdout=2000, images_per_second=400.0, parallel=2)


def test_search_retrain_and_closing_add_up_to_the_time() -> None:
    budget = make_budget(WORK, remaining=170.0, epochs=None)
    assert budget.search_s is not None and budget.retrain_s is not None
    assert budget.search_s + budget.retrain_s + budget.closing_s == pytest.approx(170.0)


def test_a_trial_of_five_networks_costs_five_times_and_the_retrain_and_the_test_do_not() -> None:
    five = replace(WORK, images_per_second=80.0, retrain_speedup=5.0, trainings=5)  # of one of the networks
    assert five.epoch_seconds == pytest.approx(5 * WORK.epoch_seconds)
    assert five.retrain_epoch_seconds == pytest.approx(WORK.retrain_epoch_seconds)
    assert five.closing_seconds == pytest.approx(WORK.closing_seconds)
    whole, part = (make_budget(work, remaining=1700.0, epochs=100) for work in (WORK, five))
    assert part.epochs == pytest.approx(whole.epochs / 5, abs=1)
    assert part.retrain_s == pytest.approx(whole.retrain_s)


def test_time_is_reserved_for_scoring_a_slow_model_that_is_known_already() -> None:
    """A head on features of 224 px takes 20 ms a row: 2,000 rows, and a spare of 30 %."""
    plain = make_budget(WORK, remaining=170.0, epochs=None)
    known = make_budget(replace(WORK, row_seconds=0.02), remaining=170.0, epochs=None)
    assert plain.search_s is not None and plain.retrain_s is not None
    assert known.search_s is not None and known.retrain_s is not None
    assert known.search_s + known.retrain_s == pytest.approx(170.0 - 1.3 * 2000 * 0.02 - 1.7)
    quick = make_budget(replace(WORK, row_seconds=1e-5), remaining=170.0, epochs=None)
    assert quick == plain


@pytest.mark.parametrize("epochs", [None, 100])
def test_short_time_makes_trials_shorter_and_lets_the_retrain_run_longer(epochs: int | None) -> None:
    budget = make_budget(WORK, remaining=170.0, epochs=epochs)
    assert 1 <= budget.epochs < budget.most_epochs
    assert retrain_epochs(budget, best_epoch=budget.epochs) == budget.most_epochs


def test_short_time_of_a_continued_study_holds_a_round_of_its_trials() -> None:
    fresh = make_budget(WORK, remaining=60.0, epochs=None)
    again = make_budget(WORK, remaining=60.0, epochs=None, round_s=15.0)
    assert fresh.search_s is not None and again.search_s is not None and again.retrain_s is not None
    assert fresh.search_s < 15.0 < again.search_s
    assert again.search_s + again.retrain_s == pytest.approx(60.0 - WORK.closing_seconds)
    # A retrain is never left without half of the time.
    longer = make_budget(WORK, remaining=60.0, epochs=None, round_s=500.0)
    assert longer.search_s == pytest.approx(longer.retrain_s)


def test_time_for_less_than_half_of_the_delivered_retrain_goes_to_the_search() -> None:
    budget = make_budget(WORK, remaining=60.0, epochs=None)
    assert budget.search_s is not None and budget.retrain_s is not None
    images = int(budget.retrain_s * WORK.images_per_second)
    assert beside_delivered(budget, WORK, 0) == budget
    assert beside_delivered(budget, WORK, int(1.9 * images)) == budget
    alone = beside_delivered(budget, WORK, int(2.1 * images))
    assert (alone.search_s, alone.retrain_s) == (budget.search_s + budget.retrain_s, 0.0)
    endless = make_budget(WORK, remaining=None, epochs=None)
    assert beside_delivered(endless, WORK, 10**9) == endless


def test_long_time_gives_the_retrain_no_more_than_it_needs() -> None:
    budget = make_budget(WORK, remaining=36_000.0, epochs=20)
    assert budget.epochs == 20
    assert budget.retrain_s == pytest.approx(20 * WORK.retrain_epoch_seconds * 1.15)
    assert retrain_epochs(budget, best_epoch=12) == 12


@pytest.mark.parametrize(
    ("remaining", "n_train", "rows"),
    [
        (600.0, 3200, 1000),  # the fewest that are taken
        (600.0, 8000, 2000),  # a quarter
        (6000.0, 3200, 2412),  # trials have three quarters of the retrain's work
        (600.0, 16_000, 16_000),  # the retrain has only a few epochs of them
        (600.0, 900, 900),
    ],
)
def test_trials_learn_from_a_part_where_the_retrain_sees_its_images_often(
    remaining: float, n_train: int, rows: int
) -> None:
    work = replace(WORK, n_train=n_train, n_val=n_train // 4)
    budget = make_budget(work, remaining=remaining, epochs=None)
    assert part_of_rows(work, budget) * n_train == pytest.approx(rows, rel=0.01)


def test_trials_that_are_counted_in_epochs_or_have_no_end_learn_from_all_rows() -> None:
    counted = make_budget(WORK, remaining=6000.0, epochs=100)
    endless = make_budget(WORK, remaining=None, epochs=None)
    assert part_of_rows(WORK, counted) == part_of_rows(WORK, endless) == 1.0


def test_without_a_limit_nothing_is_cut() -> None:
    assert make_budget(WORK, remaining=None, epochs=7) == Budget(7, None, None, WORK.closing_seconds, 7)


def test_search_time_holds_five_full_trials() -> None:
    budget = make_budget(WORK, remaining=900.0, epochs=None)
    assert budget.search_s is not None and budget.round_s is not None
    assert 5 * budget.epochs * budget.round_s == pytest.approx(budget.search_s * WORK.parallel)


def test_a_person_who_counts_in_epochs_gets_epochs() -> None:
    budget = make_budget(WORK, remaining=900.0, epochs=40)
    assert budget.round_s is None and budget.search_s is not None
    assert 5 * budget.epochs * WORK.epoch_seconds <= budget.search_s * WORK.parallel


def test_retrain_gets_more_of_a_time_that_holds_too_few_epochs() -> None:
    slow, fast = (replace(WORK, images_per_second=rate, retrain_speedup=1.75) for rate in (150.0, 900.0))
    assert retrain_share(slow, 170.0) == 0.85
    assert retrain_share(fast, 170.0) == 0.6
    assert 0.6 < retrain_share(replace(WORK, images_per_second=500.0, retrain_speedup=1.75), 180.0) < 0.85


def test_few_images_are_trained_on_for_all_of_the_time() -> None:
    few = replace(WORK, n_train=200, n_val=50, n_holdout=50)
    budget = make_budget(few, remaining=3000.0, epochs=None)
    assert budget.most_epochs == 400
    assert budget.retrain_s == pytest.approx(400 * few.retrain_epoch_seconds * 1.15)
    assert make_budget(few, remaining=3000.0, epochs=30).most_epochs == 30
    assert make_budget(few, remaining=None, epochs=None).most_epochs == 100


def test_from_scratch_the_retrain_of_many_images_may_take_its_share_of_the_time() -> None:
    many = replace(WORK, n_train=16_000, n_val=4000, images_per_second=4000.0)
    from_scratch = make_budget(many, remaining=600.0, epochs=None)
    tuned = make_budget(replace(many, scratch=False), remaining=600.0, epochs=None)
    assert from_scratch.most_epochs == 100 and tuned.most_epochs == many.default_epochs == 37
    assert from_scratch.retrain_s == pytest.approx(0.6 * (600.0 - many.closing_seconds))
    assert tuned.retrain_s == pytest.approx(37 * many.retrain_epoch_seconds * 1.15)
    assert make_budget(many, remaining=None, epochs=None).most_epochs == 37


def test_trials_of_a_short_search_are_long_enough_to_say_something_of_the_retrain() -> None:
    budget = make_budget(replace(WORK, images_per_second=150.0), remaining=170.0, epochs=None)
    assert budget.search_s is not None and budget.retrain_s is not None and budget.round_s is not None
    assert budget.epochs * budget.round_s >= min(0.75 * budget.search_s, 0.12 * budget.retrain_s)


def test_rounds_are_long_beside_what_it_takes_to_score_them() -> None:
    for n_val in (100, 800, 5000):
        work = replace(WORK, n_val=n_val)
        budget = make_budget(work, remaining=1800.0, epochs=None)
        assert budget.round_s is not None
        assert budget.round_s >= 4 * n_val / (3 * work.images_per_second)


def test_scoring_an_expensive_network_takes_longer_than_planned() -> None:
    budget = make_budget(WORK, remaining=170.0, epochs=None)
    planned = closing_seconds(budget, slowdown=1.0, n_holdout=WORK.n_holdout, rate=WORK.images_per_second)
    assert planned == pytest.approx(budget.closing_s) == closing_seconds(budget, slowdown=1.0)
    expensive = closing_seconds(budget, slowdown=1.0, n_holdout=WORK.n_holdout, rate=40.0)
    assert expensive - planned == pytest.approx(2 * (2000 / 120 - 2000 / 1200))  # images and mirror images


def test_start_of_workers_is_no_time_for_trials() -> None:
    without = make_budget(WORK, remaining=170.0, epochs=None)
    budget = make_budget(replace(WORK, startup=10.0), remaining=180.0, epochs=None)
    assert budget == replace(without, search_s=(without.search_s or 0.0) + 10.0)


def test_shortest_limit_holds_one_epoch_its_retrain_and_the_closing() -> None:
    budget = make_budget(WORK, remaining=shortest_limit(WORK), epochs=None)
    assert budget.epochs == 1
    assert budget.search_s is not None and budget.search_s > 0


@pytest.mark.parametrize(("n_train", "epochs"), [(1000, 100), (20_000, 30), (10**7, 20)])
def test_default_length_falls_with_the_number_of_images(n_train: int, epochs: int) -> None:
    assert Work(n_train, 1, 1, 1.0, 1).default_epochs == epochs


def test_closing_follows_the_measured_scoring_and_what_python_takes_on_this_machine() -> None:
    one = measured_closing(slowdown=1.0, scoring=0.0)
    assert measured_closing(slowdown=0.5, scoring=0.0) == one == pytest.approx(0.5 + 0.6 + 2 * 0.3)
    assert measured_closing(slowdown=2.0, scoring=10.0) == pytest.approx(0.5 + 2 * 1.2 + 13.0)
    assert measured_closing(slowdown=100.0, scoring=0.0) == pytest.approx(0.5 + 3 * 1.2)


def test_closing_holds_what_it_took_to_build_the_network_twice() -> None:
    assert measured_closing(slowdown=2.0, scoring=0.0, built=0.1) == pytest.approx(0.5 + 2 * 0.6 + 2 * 0.1)
    assert measured_closing(slowdown=1.0, scoring=0.0, built=4.0) == pytest.approx(0.5 + 0.6 + 2 * 4.0)


def test_round_is_long_enough_for_a_network_that_takes_long_to_score_but_trials_keep_three() -> None:
    plain = make_budget(WORK, remaining=600.0, epochs=None)
    assert plain.round_s is not None
    full = plain.epochs * plain.round_s
    for least, rounds in ((0.0, plain.epochs), (full / 5, 5), (full / 2, 3), (10 * full, 3)):
        found = make_budget(WORK, remaining=600.0, epochs=None, least_round=least)
        assert found.epochs == rounds and found.epochs * (found.round_s or 0.0) == pytest.approx(full)
        assert (found.search_s, found.retrain_s) == (plain.search_s, plain.retrain_s)
