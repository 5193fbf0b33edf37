"""Walks through a space without Optuna."""

import numpy as np
import optuna
import pytest

from automl.log import quiet_optuna
from automl.spaces.draw import Params, at_point, at_random, near, walk
from tests.search.toy import ToySpace

SUGGEST = ToySpace().suggest


def test_walk_asks_for_what_the_conditions_ask_for() -> None:
    rng = np.random.default_rng(0)
    drawn = [walk(SUGGEST, at_random(rng)).params for _ in range(50)]
    assert all(("extra" in params) == (params["kind"] == "b") for params in drawn)
    assert len({params["kind"] for params in drawn}) == 2


def test_walk_asks_for_the_same_distributions_as_an_optuna_trial() -> None:
    with quiet_optuna():
        trial = optuna.create_study().ask(fixed_distributions=None)
        SUGGEST(trial)
    way = walk(SUGGEST, near(trial.params, np.random.default_rng(0), width=0.1, rate=0.0))
    assert way.distributions == trial.distributions
    assert way.params == trial.params


def test_point_gives_its_shares_by_name() -> None:
    rng = np.random.default_rng(0)
    params = walk(SUGGEST, at_point({"x": 0.25, "kind": 0.9, "extra": 0.5}, rng)).params
    assert params == {"x": 0.25, "kind": "b", "extra": 0.5}


@pytest.mark.parametrize("width", [0.02, 0.2])
def test_neighbour_keeps_most_and_moves_numbers_by_the_width(width: float) -> None:
    rng = np.random.default_rng(0)
    parent: Params = {"x": 0.5, "kind": "b", "extra": 0.5}
    children = [walk(SUGGEST, near(parent, rng, width=width, rate=0.5)).params for _ in range(400)]
    moves = np.array([child["x"] - 0.5 for child in children if child["x"] != 0.5])
    assert 120 < len(moves) < 280
    assert moves.std() == pytest.approx(width, rel=0.2)
    assert 50 < sum(child["kind"] == "a" for child in children) < 150


def test_neighbour_draws_what_its_parent_lacks() -> None:
    rng = np.random.default_rng(0)
    children = [
        walk(SUGGEST, near({"x": 0.5, "kind": "a"}, rng, width=0.1, rate=1.0)).params for _ in range(50)
    ]
    drawn = {child["extra"] for child in children if "extra" in child}
    assert len(drawn) > 10
