"""Priors for samplers that do not support them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from automl.search.sampling.wrapper import WrappedSampler
from automl.spaces.draw import GIVEN, at_peak, at_random
from automl.spaces.priors import Prior


class PriorSampler(WrappedSampler):
    """Draws the first `trials` configurations by the priors, the very first at their peaks, the others by the sampler
    inside, which learns from them. With `trials` None, all are drawn by the priors, none at their peaks.

    Given configurations, such as those of a portfolio, do not count. Distributions stay Optuna's plain ones.
    """

    def __init__(
        self, inside: BaseSampler, priors: Mapping[str, Prior], *, seed: int, trials: int | None = None
    ) -> None:
        """`priors` are by Optuna's names of parameters."""
        super().__init__(inside)
        self._priors = priors
        self._trials = trials
        self._rng = np.random.default_rng(seed)

    def reseed_rng(self) -> None:
        super().reseed_rng()
        self._rng = np.random.default_rng()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {} if self._draws(study, trial) else super().infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {} if self._draws(study, trial) else super().sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        if not self._draws(study, trial):
            return super().sample_independent(study, trial, param_name, param_distribution)
        drawn = at_random(self._rng, self._priors)
        if self._trials is not None and self._before(study, trial) == 0:
            drawn = at_peak(self._priors, drawn)
        return drawn(param_name, param_distribution)

    def _draws(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        return self._trials is None or self._before(study, trial) < self._trials

    def _before(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """Return how many configurations were drawn before this one."""
        others = study.get_trials(deepcopy=False)
        return sum(other.number < trial.number and GIVEN not in other.system_attrs for other in others)
