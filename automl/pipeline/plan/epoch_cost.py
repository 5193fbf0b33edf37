"""Predict how long an epoch of a configuration takes, from a measurement of another and their work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.pipeline.plan.constants import (
    CPU_PRICES,
    DRAWS,
    FEWEST_PASSES,
    GPU_PRICES,
    LEARNING,
    SCORED_ROWS,
    SCORED_TIMES,
)
from automl.records import Config, DatasetInfo
from automl.search.round_time import Expect, Expected
from automl.spaces import SearchSpace
from automl.spaces.architectures.capability import Capability
from automl.spaces.architectures.families import capabilities
from automl.spaces.draw import at_random, walk
from automl.training.models.build import input_size, model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.rounds import MIN_SHARE, STEP_COST


@dataclass(frozen=True)
class Prices:
    """The work besides multiplications, in billions of multiplications.

    `writing`: per million numbers that a layer writes. `layers`: per call of a layer. `parameters`: per million
    parameters, for the optimizer. A GPU multiplies so fast that small networks cost their layer calls, and large
    ones their writing.
    """

    writing: float
    layers: float
    parameters: float


ON_CPU, ON_GPU = Prices(*CPU_PRICES), Prices(*GPU_PRICES)


def prices(kind: str) -> Prices:
    """Return the prices for "cpu" or "cuda"."""
    return ON_CPU if kind == "cpu" else ON_GPU


def epoch_work(config: Config, info: DatasetInfo, of: Prices = ON_CPU) -> float:
    """Return the work of an epoch of training and validation, in about billions of multiplications.

    Multiplications are those of timm's network at its own size, scaled to its input, patches and width. Raises
    SpaceError for an unknown model.
    """
    recipe = Recipe.from_config(config)
    steps = math.ceil(info.n_train / max(1, recipe.batch_size))
    return steps * step_work(recipe, info, of) + info.n_val * _forward(recipe, info, of.writing)


def step_work(recipe: Recipe, info: DatasetInfo, of: Prices = ON_CPU) -> float:
    """Return the work of a training step on a full batch, in about billions of multiplications."""
    can = capabilities(recipe.model)
    learning = LEARNING.get(recipe.freeze, 1.0) if recipe.pretrained else 1.0
    rows = min(recipe.batch_size, max(1, info.n_train))
    both = 1.0 + (STEP_COST - 1.0) * learning
    each = rows * both * _forward(recipe, info, of.writing) + both * of.layers * can.layers
    return each + learning * of.parameters * can.params * _width(recipe, can) ** 2


def _forward(recipe: Recipe, info: DatasetInfo, writing: float) -> float:
    """Return the work of a forward pass of one image."""
    can = capabilities(recipe.model)
    patch = 0 if recipe.pretrained else int(model_arguments(recipe, info).get("patch_size", 0))
    seen = input_size(recipe, info) * (can.patch_size / patch if patch else 1.0)
    width = _width(recipe, can)
    return (seen / can.input_size) ** 2 * (can.macs * width**2 + writing * can.writes * width)


def _width(recipe: Recipe, can: Capability) -> float:
    return recipe.width if can.channels and not recipe.pretrained else 1.0


def expected_seconds(
    space: SearchSpace, info: DatasetInfo, measured: Config, seconds: float, of: Prices = ON_CPU
) -> Expect:
    """Return a function that predicts seconds of an epoch, if one of `measured` takes `seconds`."""
    families = {model: family for family, members in space.families.items() for model in members}
    unit = seconds / epoch_work(measured, info, of)

    def expect(config: Config) -> Expected:
        model = str(config["model"])
        return Expected(families.get(model, model), unit * epoch_work(config, info, of))

    return expect


def in_rounds(expect: Expect, info: DatasetInfo, seconds: float, *, scored: float = 1.0) -> Expect:
    """Return a function that predicts seconds of a round of `seconds`, or longer if scoring needs more time.

    Pretrained networks are `scored` on this part of the validation rows.
    """
    scoring = info.n_val / STEP_COST / (info.n_train + info.n_val / STEP_COST)

    def expect_round(config: Config) -> Expected:
        epoch, recipe = expect(config), Recipe.from_config(config)
        steps = max(1, info.n_train // max(1, recipe.batch_size))
        training = max(epoch.seconds * (1.0 - scoring) / steps, MIN_SHARE * seconds)
        rows = scored if recipe.pretrained else 1.0
        return replace(epoch, seconds=max(seconds, epoch.seconds * scoring * rows + training))

    return expect_round


def part_scored(planned: Config, tuned: Config, info: DatasetInfo, of: Prices = ON_CPU) -> float:
    """Return the part of the validation rows on which trials with pretrained weights are scored.

    A round is long enough for scoring all rows with the network that it was `planned` for. A pretrained one at its own
    size may take a hundred times as long for them. So it gets rows for `SCORED_TIMES` as long, at least `SCORED_ROWS`.
    """
    least = SCORED_ROWS / max(1, info.n_val)
    return min(1.0, max(least, SCORED_TIMES / scoring_times(planned, tuned, info, of)))


def scoring_times(planned: Config, other: Config, info: DatasetInfo, of: Prices = ON_CPU) -> float:
    """Return how many times as long as the `planned` network the other one takes to score a row."""
    one, two = (_forward(Recipe.from_config(config), info, of.writing) for config in (planned, other))
    return two / one


def largest_fitting_first(
    portfolio: Sequence[Config], passes: Callable[[Config], float]
) -> tuple[Config, ...]:
    """Return the portfolio with the fine-tuning at the largest size that the time holds before the other fine-tunings.

    `passes(config)` is how many epochs a retrain would make. Weights are worth most near the size that they were
    trained at, but a few passes are needed. Without one that fits, and for equal sizes, the given order stays.
    """
    places = [k for k, config in enumerate(portfolio) if config.get("pretrained")]
    fitting = [k for k in places if passes(portfolio[k]) >= FEWEST_PASSES]
    if not fitting:
        return tuple(portfolio)
    chosen = max(fitting, key=lambda k: (int(portfolio[k].get("size") or 0), -k))
    order = [chosen, *(k for k in places if k != chosen)]
    moved = dict(zip(places, order, strict=True))
    return tuple(portfolio[moved.get(k, k)] for k in range(len(portfolio)))


def spread(space: SearchSpace, expect: Callable[[Config], Expected], seed: int) -> tuple[float, float]:
    """Return the 10 % and 90 % quantiles of the seconds of an epoch in the space."""
    low, high = np.quantile([expect(config).seconds for config in drawn(space, seed)], [0.1, 0.9])
    return float(low), float(high)


def drawn(space: SearchSpace, seed: int) -> list[Config]:
    """Return random configurations of the space."""
    rng = np.random.default_rng(seed)
    return [walk(space.suggest, at_random(rng)).config for _ in range(DRAWS)]
