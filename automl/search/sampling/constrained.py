"""Constraints for samplers that know of none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from automl.errors import SpaceError
from automl.records import Config
from automl.search.sampling.wrapper import WrappedSampler
from automl.spaces.draw import GIVEN, Suggest, Walk, at_random, holds, near, walk
from automl.spaces.units import from_unit, to_unit

# So often the sampler inside is asked; then its last wish is changed, in so many ways.
ASKED = 3
CHANGED = 300
# Then anything is drawn, at random.
DRAWN = 20_000


class ConstrainedSampler(WrappedSampler):
    """Asks the sampler inside for whole configurations until one keeps the constraints.

    The configuration is settled before Optuna asks for its first parameter, by a walk through the space, and is handed
    over as a joint suggestion: what the study records is what is run, and no trial is begun to be thrown away. A
    sampler that wishes for the same again is answered with something near its wish that is allowed; it learns from
    that as if it had been its own.
    """

    def __init__(
        self, inside: BaseSampler, suggest: Suggest, allows: Callable[[Config], bool], *, seed: int
    ) -> None:
        """`suggest` draws a configuration of the space, `allows` says whether one keeps the constraints."""
        super().__init__(inside)
        self._suggest = suggest
        self._allows = allows
        self._rng = np.random.default_rng(seed)
        self._settled: tuple[int, Walk] | None = None

    def reseed_rng(self) -> None:
        """New random numbers here and inside."""
        super().reseed_rng()
        self._rng = np.random.default_rng()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters of the configuration that is going to be suggested."""
        if GIVEN in trial.system_attrs:
            return super().infer_relative_search_space(study, trial)
        way = self._settle(study, trial)
        self._settled = trial.number, way
        return dict(way.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The configuration."""
        if self._settled is None or self._settled[0] != trial.number:
            return super().sample_relative(study, trial, search_space)
        return dict(self._settled[1].params)

    def _settle(self, study: optuna.Study, trial: FrozenTrial) -> Walk:
        for _ in range(ASKED):
            wish = self._wish(study, trial)
            if self._allows(wish.config):
                return wish
        steps = np.linspace(0.05, 0.5, CHANGED)
        changed = [
            walk(self._suggest, near(wish.params, self._rng, width=step, rate=0.2 + step)) for step in steps
        ]
        allowed = [way for way in changed if self._allows(way.config)]
        if allowed:
            return min(allowed, key=lambda way: _distance(wish, way))
        for _ in range(DRAWN):
            drawn = walk(self._suggest, at_random(self._rng))
            if self._allows(drawn.config):
                return drawn
        raise SpaceError(
            f"the constraints of the search space must allow some configurations, but none of {DRAWN} that were "
            "drawn keeps them: loosen one"
        )

    def _wish(self, study: optuna.Study, trial: FrozenTrial) -> Walk:
        """What the sampler inside would suggest now."""
        known = self._inside.infer_relative_search_space(study, trial)
        joint = self._inside.sample_relative(study, trial, known)

        def choose(name: str, distribution: BaseDistribution) -> Any:
            if name in joint and holds(distribution, joint[name]):
                return joint[name]
            if distribution.single():
                return from_unit(distribution, 0.0)
            return self._inside.sample_independent(study, trial, name, distribution)

        return walk(self._suggest, choose)


def _distance(wish: Walk, other: Walk) -> float:
    """How far two configurations are apart: shares of ranges, and a half for another choice or one that is absent."""
    apart = 0.5 * len(wish.params.keys() ^ other.params.keys())
    for name in wish.params.keys() & other.params.keys():
        one, two = wish.params[name], other.params[name]
        if isinstance(wish.distributions[name], CategoricalDistribution):
            apart += 0.5 * (one != two)
        else:
            apart += abs(to_unit(wish.distributions[name], one) - to_unit(wish.distributions[name], two))
    return apart
