"""Hyperparameters and their defaults."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from automl.errors import ConfigError
from automl.training.models.hyperparameters import PARAMETERS, Recipe


def test_absent_hyperparameters_have_their_defaults_and_other_keys_are_ignored() -> None:
    recipe = Recipe.from_config({"family": "small", "model": "resnet18", "lr": 0.1, "rows": 3})
    assert recipe == Recipe("resnet18", lr=0.1)
    assert (recipe.opt, recipe.batch_size, recipe.ema, recipe.clip_grad) == ("adamw", 64, 0.99, 5.0)
    assert (recipe.sched, recipe.warmup, recipe.upscale) == (None, None, None)


def test_recipe_of_its_own_fields_is_the_same() -> None:
    recipe = replace(Recipe("resnet18", lr=0.1), sched="cosine", warmup=0.0, upscale=2.0, rot90=True)
    assert Recipe.from_config(asdict(recipe)) == recipe


def test_values_get_the_type_of_their_field() -> None:
    recipe = Recipe.from_config({"model": "resnet18", "lr": 1, "batch_size": 32.0, "upscale": 2, "hflip": 1})
    values = (recipe.lr, recipe.batch_size, recipe.upscale, recipe.hflip)
    assert values == (1.0, 32, 2.0, True)
    assert [type(value) for value in values] == [float, int, float, bool]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model": "resnet18"}, "a configuration must have lr, got"),
        ({}, "a configuration must have model and lr"),
        ({"model": "resnet18", "lr": "fast"}, "lr must be of the type float, got 'fast'"),
        (
            {"model": "resnet18", "lr": 0.1, "batch_size": None},
            "batch_size must be of the type int, got None",
        ),
    ],
)
def test_configuration_that_cannot_be_trained_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Recipe.from_config(config)


def test_space_may_search_over_everything_but_the_model_and_the_features_of_a_head() -> None:
    assert set(asdict(Recipe("resnet18", lr=0.1))) - {"model", "depths"} == PARAMETERS
