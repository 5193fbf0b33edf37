"""How long an epoch of a configuration should take, from one measurement of another and what their networks compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from automl.records import Config, DatasetInfo
from automl.search.round_time import Expect, Expected
from automl.spaces import SearchSpace
from automl.spaces.architectures.capability import Capability
from automl.spaces.architectures.families import capabilities
from automl.spaces.draw import at_random, walk
from automl.training.models.build import input_size, model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.rounds import MIN_SHARE, STEP_COST

# How much of the backward pass is left where layers are frozen; layers are counted alike.
LEARNING = {"none": 1.0, "half": 0.5, "stages": 0.25, "head": 0.0}
DRAWS = 48


@dataclass(frozen=True)
class Prices:
    """What there is to pay beside multiplications, in billions of them.

    `writing` for a million numbers that a layer writes, `layers` for a call of a layer whatever it computes, and
    `parameters` for what the optimizer does to a million of them.
    """

    writing: float
    layers: float
    parameters: float


# Fitted to measured steps (docs/benchmarks/history.md, "Seconds of an epoch"). A GPU multiplies so fast that small
# networks cost what their layers do, and large ones what they write.
ON_CPU = Prices(writing=0.1, layers=0.005, parameters=2.7)
ON_GPU = Prices(writing=0.8, layers=3.0, parameters=2.7)


def prices(kind: str) -> Prices:
    """Those of a kind of device: "cpu" or "cuda"."""
    return ON_CPU if kind == "cpu" else ON_GPU


def epoch_work(config: Config, info: DatasetInfo, of: Prices = ON_CPU) -> float:
    """What an epoch of training and validation computes, in about billions of multiplications.

    Multiplications are those of timm's network at its own size, scaled to the pictures that it sees, the number of its
    patches and its width; raises SpaceError for a model that there is not.
    """
    recipe = Recipe.from_config(config)
    steps = math.ceil(info.n_train / max(1, recipe.batch_size))
    return steps * step_work(recipe, info, of) + info.n_val * _forward(recipe, info, of.writing)


def step_work(recipe: Recipe, info: DatasetInfo, of: Prices = ON_CPU) -> float:
    """What one step of training on a full batch computes, in about billions of multiplications."""
    can = capabilities(recipe.model)
    learning = LEARNING.get(recipe.freeze, 1.0) if recipe.pretrained else 1.0
    rows = min(recipe.batch_size, max(1, info.n_train))
    both = 1.0 + (STEP_COST - 1.0) * learning
    each = rows * both * _forward(recipe, info, of.writing) + both * of.layers * can.layers
    return each + learning * of.parameters * can.params * _width(recipe, can) ** 2


def _forward(recipe: Recipe, info: DatasetInfo, writing: float) -> float:
    """The work of one picture on its way through the network."""
    can = capabilities(recipe.model)
    patch = 0 if recipe.pretrained else int(model_arguments(recipe, info).get("patch_size", 0))
    seen = input_size(recipe, info) * (can.patch_size / patch if patch else 1.0)
    width = _width(recipe, can)
    return (seen / can.input_size) ** 2 * (can.macs * width**2 + writing * can.writes * width)


def _width(recipe: Recipe, can: Capability) -> float:
    return recipe.width if can.channels and not recipe.pretrained else 1.0


def expectation(
    space: SearchSpace, info: DatasetInfo, measured: Config, seconds: float, of: Prices = ON_CPU
) -> Expect:
    """Seconds of an epoch, where one of the `measured` configuration takes `seconds`; families are the space's."""
    families = {model: family for family, members in space.families.items() for model in members}
    unit = seconds / epoch_work(measured, info, of)

    def expect(config: Config) -> Expected:
        model = str(config["model"])
        return Expected(families.get(model, model), unit * epoch_work(config, info, of))

    return expect


def in_rounds(expect: Expect, info: DatasetInfo, seconds: float) -> Expect:
    """Seconds of a round that is to take `seconds`: more only where scoring and a third of training take longer."""
    scoring = info.n_val / STEP_COST / (info.n_train + info.n_val / STEP_COST)

    def expect_round(config: Config) -> Expected:
        epoch = expect(config)
        steps = max(1, info.n_train // max(1, Recipe.from_config(config).batch_size))
        training = max(epoch.seconds * (1.0 - scoring) / steps, MIN_SHARE * seconds)
        return replace(epoch, seconds=max(seconds, epoch.seconds * scoring + training))

    return expect_round


def spread(space: SearchSpace, expect: Callable[[Config], Expected], seed: int) -> tuple[float, float]:
    """Seconds of an epoch that nine tenths of the space's configurations exceed, and that one tenth does."""
    low, high = np.quantile([expect(config).seconds for config in drawn(space, seed)], [0.1, 0.9])
    return float(low), float(high)


def drawn(space: SearchSpace, seed: int) -> list[Config]:
    """Some configurations of the space, at random."""
    rng = np.random.default_rng(seed)
    return [walk(space.suggest, at_random(rng)).config for _ in range(DRAWS)]
