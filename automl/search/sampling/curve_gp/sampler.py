"""The curve sampler: expected improvement at the full length, learnt from all partial curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from scipy.special import ndtr
from threadpoolctl import ThreadpoolController

from automl.records import Config
from automl.search.sampling.curve_gp.candidates import Candidates
from automl.search.sampling.curve_gp.curves import Curves
from automl.search.sampling.curve_gp.encoding import Array, Encoding
from automl.search.sampling.curve_gp.model import CurveModel
from automl.spaces.draw import GIVEN, NO_PRIORS, Params, Suggest, discover
from automl.spaces.priors import Prior

# Chosen on LCBench (docs/benchmarks/history.md).
START_TRIALS = 10
PARENTS = 6
REFINED = 5
REFINEMENTS = 2
REFINED_EACH = 10


class CurveGPSampler(BaseSampler):
    """Suggests the configuration with the largest expected improvement at the full length.

    A Gaussian process over (configuration, log round) learns from every trial's curve, so that a trial that was paused
    after a few rounds counts, too. Running trials count with the value that the model predicts, so that parallel
    workers try other configurations. The first ten trials are a scrambled Sobol sequence. Priors matter at the
    beginning, and less with every trial. A configuration that breaks a constraint is no candidate (`candidates.py`).

    Source: the acquisition is that of Jones, Schonlau, Welch (1998); to model partial curves jointly, Swersky et al.
    (2014) and Klein et al., "Model-based Asynchronous Hyperparameter and Neural Architecture Search" (2020).
    """

    def __init__(
        self,
        suggest: Suggest,
        *,
        levels: Sequence[int],
        seed: int,
        start_trials: int = START_TRIALS,
        priors: Mapping[str, Prior] = NO_PRIORS,
        allows: Callable[[Config], bool] | None = None,
    ) -> None:
        """`suggest` draws a configuration of the space through an Optuna trial. `levels` are the rounds whose values
        count, beside each trial's last one; the last level is the full length. `priors` are by Optuna's names of
        parameters. `allows` returns whether a configuration may be suggested.
        """
        self._priors, self._allows = priors, allows
        self._suggest = suggest
        self._levels = tuple(levels)
        self._start_trials = start_trials
        self._blas = ThreadpoolController().select(user_api="blas")
        self._independent = RandomSampler(seed=seed)
        self._seed(seed)

    def reseed_rng(self) -> None:
        """Take new random numbers. Optuna calls it on copies in other processes."""
        self._independent.reseed_rng()
        self._seed(int(np.random.SeedSequence().generate_state(1)[0]))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return all parameters of the space, those of all branches."""
        return self._encoding.distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the suggestion: names and values of its active parameters."""
        trials = study.get_trials(deepcopy=False)
        # Usually the trial is the last one; slicing is quicker than a loop over thousands.
        if trials and trials[-1].number == trial.number:
            others = trials[:-1]
        else:
            others = [other for other in trials if other.number != trial.number]
        self._curves.update(others, maximize=study.direction is StudyDirection.MAXIMIZE)
        if self._curves.count < self._start_trials:
            if trial.number not in self._begun:  # a second call for the same trial gives the same answer
                drawn = sum(GIVEN not in other.system_attrs for other in others)
                self._begun[trial.number] = self._candidates.first(drawn)
            chosen = self._begun[trial.number]
        else:
            # One thread is quicker for matrices of this size, and trials need the other cores.
            with self._blas.limit(limits=1):
                running = self._curves.running
                chosen = self._improve([running[n] for n in sorted(running) if n != trial.number])
        return {name: value for name, value in chosen.items() if name in search_space}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a parameter that no walk through the space has met."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    # ------------------------------------------------------------------------------------------------------

    def _seed(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        known = discover(self._suggest, self._rng)
        self._encoding = Encoding(known)
        self._model = CurveModel(self._encoding.groups, self._rng)
        self._curves = Curves(self._encoding, self._levels, self._rng)
        self._candidates = Candidates(
            self._suggest, self._rng, known, priors=self._priors, allows=self._allows
        )
        self._begun: dict[int, Params] = {}

    def _improve(self, running: Sequence[Params]) -> Params:
        x, y = self._curves.data()
        self._model.fit(x, y)
        best = float(y.max())
        if running:
            there = self._finished(running)
            believed, _ = self._model.predict(there)
            self._model.condition(np.vstack([x, there]), np.concatenate([y, believed]))
        pool = self._candidates.pool(self._curves.best(PARENTS), self._curves.count)
        scores = self._scores(pool, best)
        for _ in range(REFINEMENTS):
            top = [pool[i] for i in np.argsort(-scores)[:REFINED]]
            fresh = [child for parent in top for child in self._candidates.children(parent, REFINED_EACH)]
            if not fresh:
                break
            pool = [*pool, *fresh]
            scores = np.concatenate([scores, self._scores(fresh, best)])
        return pool[int(np.argmax(scores))]

    def _scores(self, pool: Sequence[Params], best: float) -> Array:
        """Return the log expected improvement over `best` at the full length."""
        mean, deviation = self._model.predict(self._finished(pool))
        z = (mean - best) / deviation
        density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
        improvement: Array = np.log(deviation * (z * ndtr(z) + density) + 1e-12)
        return improvement

    def _finished(self, pool: Sequence[Params]) -> Array:
        """Return the points of configurations at the full length."""
        points = self._encoding.encode(pool)
        return np.hstack([points, np.ones((len(points), 1))])
