"""Where priors put their mass, and what can be wrong with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import SpaceError
from automl.spaces import SearchSpace
from automl.spaces.draw import at_random, walk
from automl.spaces.parameters import Categorical, Float, Int, Parameter
from automl.spaces.priors import NormalPrior, WeightedPrior
from automl.spaces.units import from_unit

_PARAMETERS: list[Parameter] = [
    Float("x", (), 1e-5, 1e-1, True, None, 3e-4),
    Float("x", (), -1.0, 3.0, False, None, 3.0),
    Float("x", (), 0.0, 1.0, False, 0.1, 0.7),
    Float("x", (), 2.0, 2.0, False, None, 2.0),
    Int("x", (), 1, 64, True, None, 8),
    Int("x", (), 1, 2, True, None, 1),
    Int("x", (), 10, 40, False, 10, 30),
]


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    way = walk(lambda trial: {"x": parameter.suggest(trial)}, at_random(np.random.default_rng(0)))
    return way.distributions["x"]


@pytest.mark.parametrize("parameter", _PARAMETERS, ids=str)
def test_share_of_a_value_leads_back_to_it(parameter: Parameter) -> None:
    belief = parameter.belief()
    assert isinstance(belief, NormalPrior) and belief.value == parameter.prior
    found = from_unit(_distribution(parameter), min(belief.centre, 1 - 1e-9))
    assert found == pytest.approx(parameter.prior, rel=1e-6)


@given(st.integers(1, 200), st.integers(1, 200), st.booleans(), st.integers(0, 200))
def test_share_of_any_whole_number_leads_back_to_it(low: int, length: int, log: bool, place: int) -> None:
    value = low + place % (length + 1)
    parameter = Int("x", (), low, low + length, log, None, value)
    assert from_unit(_distribution(parameter), parameter.share(value)) == value


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_normal_stays_in_the_range_and_keeps_order(centre: float, one: float, other: float) -> None:
    prior = NormalPrior(0.0, centre)
    low, high = sorted((one, other))
    assert 0 <= prior.share(low) <= prior.share(high) < 1


def test_mass_lies_around_the_prior_on_the_scale_of_the_range() -> None:
    parameter = Float("lr", (), 1e-5, 1e-1, True, None, 1e-3)
    prior, rng = parameter.belief(), np.random.default_rng(0)
    assert prior is not None
    shares = np.array([prior.share(each) for each in rng.random(4000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.std() == pytest.approx(0.15, abs=0.01)
    # of four decades, two thirds lie within 0.6 of a decade
    assert np.mean(np.abs(shares - 0.5) < 0.15) == pytest.approx(0.68, abs=0.03)


def test_weights_are_proportions() -> None:
    prior, rng = WeightedPrior((1.0, 3.0, 6.0)), np.random.default_rng(0)
    places = [int(prior.share(each) * 3) for each in rng.random(6000)]
    assert np.bincount(places) / 6000 == pytest.approx([0.1, 0.3, 0.6], abs=0.02)
    assert prior.share(1.0) < 1


def test_prior_of_a_categorical_is_as_likely_as_all_others_together() -> None:
    belief = Categorical("x", (), ("a", "b", "c", "d"), (), "c").belief()
    assert belief == WeightedPrior((1.0, 1.0, 4.0, 1.0), "c")


def test_space_names_its_priors_as_optuna_does() -> None:
    space = SearchSpace.from_dict(
        {
            "families": {"resnet": {"models": "resnet18", "weight": 3}, "vit": "vit_tiny_patch16_224"},
            "parameters": {
                "opt": {"type": "categorical", "choices": ["adamw", "sgd"], "weights": [2, 1]},
                "lr": [
                    {
                        "type": "float",
                        "low": 1e-3,
                        "high": 1,
                        "log": True,
                        "prior": 0.1,
                        "when": {"opt": "sgd"},
                    },
                    {"type": "float", "low": 1e-5, "high": 1e-2, "log": True},
                ],
            },
        }
    )
    assert set(space.priors) == {"family", "opt", "lr.sgd"}
    assert space.priors["family"] == WeightedPrior((3.0, 1.0))
    assert space.priors["lr.sgd"].value == 0.1
    assert SearchSpace.load("default").priors == {}


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"type": "float", "low": 0, "high": 1, "prior": 2}, "x.prior: must be a value of 0 to 1, not 2"),
        (
            {"type": "float", "low": 0, "high": 1, "step": 0.5, "prior": 0.4},
            "x.prior: must be a value of 0 to 1",
        ),
        ({"type": "float", "low": 0, "high": 1, "prior": "a"}, "x.prior: must be a number, not 'a'"),
        ({"type": "int", "low": 1, "high": 9, "prior": 1.5}, "x.prior: must be an integer, not 1.5"),
        ({"type": "int", "low": 1, "high": 9, "weights": [1]}, "x.weights: unknown key for a int"),
        (
            {"type": "categorical", "choices": ["a", "b"], "prior": "c"},
            "x.prior: must be one of the choices (a, b)",
        ),
        (
            {"type": "categorical", "choices": ["a", "b"], "weights": [1]},
            "x.weights: must be a list of 2 numbers",
        ),
        (
            {"type": "categorical", "choices": ["a", "b"], "weights": [1, 0]},
            "x.weights: must be numbers above 0, not 0",
        ),
        ({"type": "categorical", "choices": ["a"], "weights": [True]}, "must be numbers above 0, not True"),
        (
            {"type": "categorical", "choices": ["a", "b"], "weights": [1, 2], "prior": "a"},
            "x.prior: cannot be combined with weights",
        ),
    ],
)
def test_prior_that_cannot_be_is_named(spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpaceError, match="has 1 problem") as caught:
        SearchSpace.from_dict({"parameters": {"x": spec}})
    assert f"parameters.{problem}" in str(caught.value) or problem in str(caught.value)


@pytest.mark.parametrize(
    ("family", "problem"),
    [
        ({"models": "resnet18", "weight": 0}, "families.r.weight: must be a number above 0, not 0"),
        ({"models": "resnet18", "wieght": 2}, "families.r: unknown key 'wieght': did you mean 'weight'"),
        ({"weight": 2}, "families.r: must be a model, a pattern or a list of them, not None"),
    ],
)
def test_weight_of_a_family_that_cannot_be_is_named(family: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpaceError, match="has 1 problem") as caught:
        SearchSpace.from_dict({"families": {"r": family}})
    assert problem in str(caught.value)


def test_description_shows_what_is_believed() -> None:
    spec = {
        "lr": {"type": "float", "low": 1e-4, "high": 1, "log": True, "prior": 0.01},
        "layers": {"type": "int", "low": 1, "high": 9, "prior": 3},
        "opt": {"type": "categorical", "choices": ["a", "b"], "weights": [2, 1]},
        "act": {"type": "categorical", "choices": ["a", "b"], "prior": "b"},
    }
    rows = SearchSpace.from_dict({"parameters": spec}).describe()
    assert [values for _, values, _ in rows] == [
        "0.0001 to 1, log, around 0.01",
        "1 to 9, whole, around 3",
        "a (weight 2), b (weight 1)",
        "a, b; likely b",
    ]
