"""Draw configurations from a search space without an Optuna study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from automl.records import Config
from automl.spaces.priors import Prior
from automl.spaces.units import from_unit, to_unit

NO_PRIORS: Mapping[str, Prior] = MappingProxyType({})
Params = dict[str, Any]
Choose = Callable[[str, BaseDistribution], Any]
Suggest = Callable[[optuna.Trial], Config]

DISCOVERY = 256
# Optuna's key for the parameters that a trial was enqueued with, such as those of a portfolio.
GIVEN = "fixed_params"


class Walk:
    """Replaces an Optuna trial while a space asks for its parameters one by one, following its conditions.

    `params` and `distributions` record what was asked for, `config` is the result.
    """

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self.params: Params = {}
        self.distributions: dict[str, BaseDistribution] = {}
        self.config: Config = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """As of an Optuna trial."""
        return float(self._take(name, _float(low, high, log, step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """As of an Optuna trial."""
        return int(self._take(name, _int(low, high, log, step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As of an Optuna trial."""
        return self._take(name, CategoricalDistribution(choices))

    def _take(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self.params:
            self.params[name] = self._choose(name, distribution)
            self.distributions[name] = distribution
        return self.params[name]


# A suggestion walks through the space about four hundred times, and making a distribution takes time for its checks.
_float = lru_cache(4096)(lambda low, high, log, step: FloatDistribution(low, high, log=log, step=step))
_int = lru_cache(4096)(lambda low, high, log, step: IntDistribution(low, high, log=log, step=step))


def walk(suggest: Suggest, choose: Choose) -> Walk:
    """Walk through the space once, with every value from `choose`."""
    made = Walk(choose)
    made.config = suggest(cast(optuna.Trial, made))
    return made


def discover(suggest: Suggest, rng: np.random.Generator) -> dict[str, BaseDistribution]:
    """Return the distributions of all parameters that many random walks through the space meet, by name."""
    known: dict[str, BaseDistribution] = {}
    for _ in range(DISCOVERY):
        known.update(walk(suggest, at_random(rng)).distributions)
    return known


def at_random(rng: np.random.Generator, priors: Mapping[str, Prior] = NO_PRIORS) -> Choose:
    """Choose every value independently: uniformly on its scale, or by its prior."""
    return at_point({}, rng, priors)


def at_point(
    point: Mapping[str, float], rng: np.random.Generator, priors: Mapping[str, Prior] = NO_PRIORS
) -> Choose:
    """Choose values at the coordinates of a point of the unit cube, by name, and random values for other parameters.

    Priors transform the coordinates, so that uniform points become dense where good values are expected.
    """

    def choose(name: str, distribution: BaseDistribution) -> Any:
        share = point[name] if name in point else rng.random()
        return from_unit(distribution, priors[name].share(share) if name in priors else share)

    return choose


def at_peak(priors: Mapping[str, Prior], otherwise: Choose) -> Choose:
    """Choose the values that priors name, and those of `otherwise` for other parameters."""

    def choose(name: str, distribution: BaseDistribution) -> Any:
        value = priors[name].value if name in priors else None
        return otherwise(name, distribution) if value is None else value

    return choose


def holds(distribution: BaseDistribution, value: Any) -> bool:
    """Return whether a value lies within a distribution. Raises ValueError for an unknown choice.

    >>> holds(FloatDistribution(0.0, 1.0), 1.5), holds(IntDistribution(2, 10, step=4), 6)
    (False, True)
    """
    inside = distribution.to_internal_repr(value)
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return True
    if not distribution.low <= inside <= distribution.high:
        return False
    steps = 0.0 if distribution.step is None else (inside - distribution.low) / distribution.step
    return abs(steps - round(steps)) < 1e-8


def near(params: Mapping[str, Any], rng: np.random.Generator, *, width: float, rate: float) -> Choose:
    """Choose the values of a known configuration, each changed with probability `rate`.

    Numbers change by a normal step of `width` of their range, choices to any. Missing parameters are drawn at random.
    """

    def choose(name: str, distribution: BaseDistribution) -> Any:
        if name not in params or not holds(distribution, params[name]):
            return from_unit(distribution, rng.random())
        if rng.random() >= rate:
            return params[name]
        if isinstance(distribution, CategoricalDistribution):
            return from_unit(distribution, rng.random())
        share = to_unit(distribution, params[name]) + width * rng.standard_normal()
        return from_unit(distribution, min(max(share, 0.0), 1.0 - 1e-9))

    return choose
