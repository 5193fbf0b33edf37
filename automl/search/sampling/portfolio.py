"""Portfolios: which configurations to try first, learnt from earlier studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from automl.errors import SpaceError
from automl.records import Config, Mode
from automl.search.policy.rungs import rung_rounds
from automl.search.sampling.curve_gp.curves import Curves, Trace
from automl.search.sampling.curve_gp.encoding import Array, Encoding
from automl.search.sampling.curve_gp.model import CurveModel
from automl.search.space import Space
from automl.spaces.draw import discover

MIN_TRIALS = 5
ENOUGH_STUDIES = 4  # with fewer, a portfolio may be good for their data only
CANDIDATES_EACH = 25
WORST_REGRET = 1.5  # a median configuration has 1; regret above this says no more


@dataclass(frozen=True)
class PastStudy:
    """An earlier study: each trial's configuration with its values by round.

    `weight` is how much it counts, for example how similar its data are.
    """

    name: str
    mode: Mode
    max_rounds: int
    trials: Sequence[tuple[Config, Mapping[int, float]]]
    weight: float = 1.0


@dataclass(frozen=True)
class Portfolio:
    """Configurations to try in this order, and the studies that they were learnt from.

    `regret[i]` is the weighted mean regret of the best of the first i + 1 configurations.
    """

    configs: tuple[Config, ...]
    regret: tuple[float, ...]
    studies: tuple[str, ...]


def learn_portfolio(studies: Sequence[PastStudy], space: Space, *, size: int = 8) -> Portfolio:
    """Return the configurations that together do best on the studies: each next one lowers the mean regret most.

    Regret is (best - value) / (best - median) of a study, at its full length. Studies did not try each other's
    configurations, so a Gaussian process over each study's curves predicts them. Only configurations of `space` count;
    a study with fewer than five of them that have a value is left out.

    Source: greedy portfolios as in Feurer et al., "Auto-sklearn 2.0" (JMLR 2022), section 3.1.
    """
    encoding = Encoding(discover(space.suggest, np.random.default_rng(0)))
    views = [view for study in studies if (view := _View.of(study, space, encoding)) is not None]
    pool = _candidates(views)
    if not pool:
        return Portfolio((), (), ())
    points = encoding.encode([space.to_params(config) for config in pool])
    weights = np.array([view.study.weight for view in views])
    regret = np.stack([view.regret(points) for view in views])
    reached = np.full(len(views), WORST_REGRET)
    chosen: list[int] = []
    means: list[float] = []
    for _ in range(min(size, len(pool))):
        together = weights @ np.minimum(reached[:, None], regret) / weights.sum()
        best = int(np.argmin(together))
        if chosen and together[best] >= means[-1] - 1e-9:
            break
        chosen.append(best)
        means.append(float(together[best]))
        reached = np.minimum(reached, regret[:, best])
    names = tuple(view.study.name for view in views)
    return Portfolio(tuple(pool[i] for i in chosen), tuple(means), names)


class _View:
    """A study's trials within the space, and a model that predicts the values of configurations."""

    def __init__(self, study: PastStudy, configs: list[Config], curves: Curves, encoding: Encoding) -> None:
        self.study = study
        self.configs = configs
        self._model = CurveModel(encoding.groups, np.random.default_rng(0))
        x, y = curves.data()
        self._model.fit(x, y)
        self._ends = self._at_end(curves.points())

    @classmethod
    def of(cls, study: PastStudy, space: Space, encoding: Encoding) -> _View | None:
        """Return None if the study has too few trials within the space."""
        curves = Curves(encoding, rung_rounds(study.max_rounds), np.random.default_rng(0))
        configs = []
        for number, (config, values) in enumerate(study.trials):
            try:
                params = space.to_params(config)
            except SpaceError:
                continue
            if curves.add(Trace(number, params, values), maximize=study.mode == "max"):
                configs.append(config)
        return cls(study, configs, curves, encoding) if len(configs) >= MIN_TRIALS else None

    def best(self, count: int) -> list[Config]:
        """Return the configurations with the best predicted final values."""
        return [self.configs[i] for i in np.argsort(-self._ends, kind="stable")[:count]]

    def regret(self, points: Array) -> Array:
        """Return the regret of points of the space: 0 for the best here, 1 for the median, or more."""
        best, middle = float(self._ends.max()), float(np.median(self._ends))
        found: Array = (best - self._at_end(points)) / max(best - middle, 1e-9)
        return np.clip(found, 0.0, WORST_REGRET)

    def _at_end(self, points: Array) -> Array:
        mean, _ = self._model.predict(np.hstack([points, np.ones((len(points), 1))]))
        return mean


def _candidates(views: Sequence[_View]) -> list[Config]:
    """Return the best of every study, each configuration once."""
    pool: list[Config] = []
    for view in views:
        pool.extend(config for config in view.best(CANDIDATES_EACH) if config not in pool)
    return pool
