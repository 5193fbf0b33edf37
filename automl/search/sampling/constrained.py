"""Constraints for samplers that do not support them."""

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

ASKED = 3  # times that the sampler inside is asked,
CHANGED = 300  # then changed copies of its last suggestion,
DRAWN = 20_000  # then random draws


class ConstrainedSampler(WrappedSampler):
    """Asks the sampler inside for whole configurations until one keeps the constraints.

    A walk through the space chooses the configuration before Optuna asks for its first parameter, and hands it over as
    a joint suggestion. So the study records what runs, and no trial begins only to be discarded. If the sampler repeats
    a suggestion that is not allowed, a similar one that is allowed takes its place, and the sampler learns from it.
    """

    def __init__(
        self, inside: BaseSampler, suggest: Suggest, allows: Callable[[Config], bool], *, seed: int
    ) -> None:
        """`suggest` draws a configuration of the space, `allows` returns whether one keeps the constraints."""
        super().__init__(inside)
        self._suggest = suggest
        self._allows = allows
        self._rng = np.random.default_rng(seed)
        self._chosen: tuple[int, Walk] | None = None

    def reseed_rng(self) -> None:
        super().reseed_rng()
        self._rng = np.random.default_rng()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Choose the configuration. Return its parameters."""
        if GIVEN in trial.system_attrs:
            return super().infer_relative_search_space(study, trial)
        chosen = self._choose(study, trial)
        self._chosen = trial.number, chosen
        return dict(chosen.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._chosen is None or self._chosen[0] != trial.number:
            return super().sample_relative(study, trial, search_space)
        return dict(self._chosen[1].params)

    def _choose(self, study: optuna.Study, trial: FrozenTrial) -> Walk:
        for _ in range(ASKED):
            wanted = self._suggestion(study, trial)
            if self._allows(wanted.config):
                return wanted
        steps = np.linspace(0.05, 0.5, CHANGED)
        changed = [
            walk(self._suggest, near(wanted.params, self._rng, width=step, rate=0.2 + step)) for step in steps
        ]
        allowed = [one for one in changed if self._allows(one.config)]
        if allowed:
            return min(allowed, key=lambda one: _distance(wanted, one))
        for _ in range(DRAWN):
            drawn = walk(self._suggest, at_random(self._rng))
            if self._allows(drawn.config):
                return drawn
        raise SpaceError(
            f"none of {DRAWN} random configurations keeps the constraints of the search space: loosen one"
        )

    def _suggestion(self, study: optuna.Study, trial: FrozenTrial) -> Walk:
        """Return what the sampler inside would suggest now."""
        known = self._inside.infer_relative_search_space(study, trial)
        joint = self._inside.sample_relative(study, trial, known)

        def choose(name: str, distribution: BaseDistribution) -> Any:
            if name in joint and holds(distribution, joint[name]):
                return joint[name]
            if distribution.single():
                return from_unit(distribution, 0.0)
            return self._inside.sample_independent(study, trial, name, distribution)

        return walk(self._suggest, choose)


def _distance(one: Walk, other: Walk) -> float:
    """Return the sum of the differences as shares of ranges, and of a half for each other or absent choice."""
    apart = 0.5 * len(one.params.keys() ^ other.params.keys())
    for name in one.params.keys() & other.params.keys():
        a, b = one.params[name], other.params[name]
        if isinstance(one.distributions[name], CategoricalDistribution):
            apart += 0.5 * (a != b)
        else:
            apart += abs(to_unit(one.distributions[name], a) - to_unit(one.distributions[name], b))
    return apart
