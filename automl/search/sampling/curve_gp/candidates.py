"""The configurations that the sampler chooses from, which follow the space, its priors and its constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from optuna.distributions import BaseDistribution
from scipy.stats.qmc import Sobol

from automl.errors import SpaceError
from automl.records import Config
from automl.spaces.draw import (
    NO_PRIORS,
    Choose,
    Params,
    Suggest,
    at_peak,
    at_point,
    at_random,
    near,
    walk,
)
from automl.spaces.priors import Prior

# The pool, chosen on LCBench (docs/benchmarks/history.md).
RANDOM = 100
QUASI_RANDOM = 100
LOCAL = 100
CHANGE_RATE = 0.5
WIDTHS = (0.045, 0.15)
MAX_SOBOL_DIMENSIONS = 1000
PLAIN_EACH = 3  # each third of the first draws ignores the priors, which may be wrong
BELIEVED = 10  # observed trials after which half of the candidates still follow the priors
TRIES, MOST_TRIES = 3, 20_000  # draws for a candidate within the constraints; at most, to have one at all
PRIOR_TRIES = 100  # the same by priors, which may favour what the constraints forbid


class Candidates:
    """Draws configurations that follow the space's conditions and keep its constraints.

    The first is at the peaks of the priors. Then come points of a scrambled Sobol sequence, two of three of them
    transformed by the priors. Of the random candidates, the share that follows the priors falls with the observed
    trials, as in PriorBand (Mallik et al. 2023) and πBO (Hvarfner et al. 2022).
    """

    def __init__(
        self,
        suggest: Suggest,
        rng: np.random.Generator,
        known: Mapping[str, BaseDistribution],
        *,
        priors: Mapping[str, Prior] = NO_PRIORS,
        allows: Callable[[Config], bool] | None = None,
    ) -> None:
        """`known` are all parameters of the space. `allows` returns whether a configuration keeps the constraints."""
        self._suggest = suggest
        self._rng = rng
        self._priors = priors
        self._allows = allows
        self._names = list(known)[:MAX_SOBOL_DIMENSIONS]
        self._sobol = Sobol(max(len(self._names), 1), rng=rng)

    def first(self, index: int | None = None) -> Params:
        """Return draw number `index` (from 0) of the first trials. None: the next point, without priors."""
        made: list[Params] = []
        if index is None:
            return self._one(lambda: self._quasi(NO_PRIORS))
        if self._priors and index == 0:
            made = self._drawn(1, lambda: at_peak(self._priors, self._quasi(self._priors)))
        if self._priors and not made and index % PLAIN_EACH < PLAIN_EACH - 1:
            made = self._drawn(1, lambda: self._quasi(self._priors), PRIOR_TRIES)
        return made[0] if made else self._one(lambda: self._quasi(NO_PRIORS))

    def pool(self, parents: Sequence[Params], observed: int) -> list[Params]:
        """Return candidates after `observed` trials: random, evenly spread, and near the best so far."""
        believed = round(RANDOM * BELIEVED / (BELIEVED + observed)) if self._priors else 0
        pool = self._drawn(believed, lambda: at_random(self._rng, self._priors))
        pool += self._drawn(RANDOM - believed, lambda: at_random(self._rng))
        pool += self._spread()
        each = -(-LOCAL // max(len(parents), 1))
        pool += [child for parent in parents for child in self.children(parent, each)]
        return pool or [self._one(lambda: at_random(self._rng))]

    def children(self, parent: Params, count: int) -> list[Params]:
        """Return changed copies of a configuration, fewer if constraints leave little room around it."""
        return self._drawn(
            count,
            lambda: near(parent, self._rng, width=WIDTHS[self._rng.integers(len(WIDTHS))], rate=CHANGE_RATE),
        )

    def _spread(self) -> list[Params]:
        # Two draws, because scipy warns of a first one that is no power of two.
        points = np.concatenate([self._sobol.random(1), self._sobol.random(QUASI_RANDOM - 1)])
        shares = [dict(zip(self._names, point, strict=False)) for point in points.tolist()]
        walks = [walk(self._suggest, at_point(share, self._rng)) for share in shares]
        return [one.params for one in walks if self._allows is None or self._allows(one.config)]

    def _quasi(self, priors: Mapping[str, Prior]) -> Choose:
        point = self._sobol.random(1)[0].tolist()
        return at_point(dict(zip(self._names, point, strict=False)), self._rng, priors)

    def _drawn(self, count: int, choose: Callable[[], Choose], tries: int = TRIES) -> list[Params]:
        """Return `count` configurations, fewer if constraints refuse too many."""
        found: list[Params] = []
        for _ in range(count if self._allows is None else count * tries):
            drawn = walk(self._suggest, choose())
            if self._allows is None or self._allows(drawn.config):
                found.append(drawn.params)
                if len(found) == count:
                    break
        return found

    def _one(self, choose: Callable[[], Choose]) -> Params:
        found = self._drawn(1, choose, MOST_TRIES)
        if not found:
            raise SpaceError(
                f"none of {MOST_TRIES} random configurations keeps the constraints of the search space: loosen one"
            )
        return found[0]
