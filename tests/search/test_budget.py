"""Time is shared out so that each stage has what it needs."""

from __future__ import annotations

import pytest

from automl.search.budget import Budget, Work, make_budget, retrain_epochs, shortest_limit

WORK = Work(n_train=3200, n_val=800, n_holdout=2000, images_per_second=400.0, parallel=2)


def test_search_retrain_and_closing_add_up_to_the_time() -> None:
    budget = make_budget(WORK, remaining=170.0, epochs=None)
    assert budget.search_s is not None and budget.retrain_s is not None
    assert budget.search_s + budget.retrain_s + budget.closing_s == pytest.approx(170.0)


def test_short_time_makes_trials_shorter_and_lets_the_retrain_run_longer() -> None:
    budget = make_budget(WORK, remaining=170.0, epochs=None)
    assert 1 <= budget.epochs < budget.most_epochs
    assert retrain_epochs(budget, best_epoch=budget.epochs) == budget.most_epochs


def test_long_time_gives_the_retrain_no_more_than_it_needs() -> None:
    budget = make_budget(WORK, remaining=36_000.0, epochs=20)
    assert budget.epochs == 20
    assert budget.retrain_s == pytest.approx(20 * WORK.retrain_epoch_seconds * 1.15)
    assert retrain_epochs(budget, best_epoch=12) == 12


def test_without_a_limit_nothing_is_cut() -> None:
    assert make_budget(WORK, remaining=None, epochs=7) == Budget(7, None, None, WORK.closing_seconds, 7)


def test_search_time_holds_five_full_trials() -> None:
    budget = make_budget(WORK, remaining=600.0, epochs=None)
    assert budget.search_s is not None
    assert 5 * budget.epochs * WORK.epoch_seconds <= budget.search_s * WORK.parallel


def test_shortest_limit_holds_one_epoch_its_retrain_and_the_closing() -> None:
    budget = make_budget(WORK, remaining=shortest_limit(WORK), epochs=None)
    assert budget.epochs == 1
    assert budget.search_s is not None and budget.search_s > 0


@pytest.mark.parametrize(("n_train", "epochs"), [(1000, 100), (20_000, 30), (10**7, 20)])
def test_default_length_falls_with_the_number_of_images(n_train: int, epochs: int) -> None:
    assert Work(n_train, 1, 1, 1.0, 1).default_epochs == epochs
