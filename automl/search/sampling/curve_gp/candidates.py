"""The configurations that the sampler chooses from: drawn through the space, by priors, within constraints."""

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

RANDOM = 100
QUASI_RANDOM = 100
LOCAL = 100
CHANGE_RATE = 0.5
WIDTHS = (0.045, 0.15)
MAX_SOBOL_DIMENSIONS = 1000
# Of the draws that begin a search, each third passes the priors over: they may be wrong.
PLAIN_EACH = 3
# After so many observed trials, half of what priors say is still believed.
BELIEVED = 10
# For one candidate within the constraints, so many are drawn at most; to have one at all, so many.
TRIES, MOST_TRIES = 3, 20_000
# Priors may speak for what the constraints forbid.
PRIOR_TRIES = 100


class Candidates:
    """Draws configurations in four ways, all of which follow the space's conditions and keep its constraints.

    The first is where the priors have their peaks. Then come points of a scrambled Sobol sequence, two of three of
    them bent by the priors. Of the random candidates, the share that follows the priors falls with the observed trials
    as in PriorBand (Mallik et al. 2023) and πBO (Hvarfner et al. 2022). Without priors and constraints, nothing is
    drawn more or less than without them.
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
        """`known` are all parameters of the space; `allows` says whether a configuration keeps the constraints."""
        self._suggest = suggest
        self._rng = rng
        self._priors = priors
        self._allows = allows
        self._names = list(known)[:MAX_SOBOL_DIMENSIONS]
        self._sobol = Sobol(max(len(self._names), 1), rng=rng)

    def first(self, index: int | None = None) -> Params:
        """What a search tries as its draw number `index`, from 0, before there is anything to learn from; None: the
        next point of the sequence, whatever is believed.
        """
        made: list[Params] = []
        if index is None:
            return self._one(lambda: self._quasi(NO_PRIORS))
        if self._priors and index == 0:
            made = self._drawn(1, lambda: at_peak(self._priors, self._quasi(self._priors)))
        if self._priors and not made and index % PLAIN_EACH < PLAIN_EACH - 1:
            made = self._drawn(1, lambda: self._quasi(self._priors), PRIOR_TRIES)
        return made[0] if made else self._one(lambda: self._quasi(NO_PRIORS))

    def pool(self, parents: Sequence[Params], observed: int) -> list[Params]:
        """Candidates after so many observed trials: at random, evenly spread, and near the best so far."""
        believed = round(RANDOM * BELIEVED / (BELIEVED + observed)) if self._priors else 0
        pool = self._drawn(believed, lambda: at_random(self._rng, self._priors))
        pool += self._drawn(RANDOM - believed, lambda: at_random(self._rng))
        pool += self._spread()
        each = -(-LOCAL // max(len(parents), 1))
        pool += [child for parent in parents for child in self.children(parent, each)]
        return pool or [self._one(lambda: at_random(self._rng))]

    def children(self, parent: Params, count: int) -> list[Params]:
        """Changed copies of a configuration; perhaps fewer, where constraints leave little room around it."""
        return self._drawn(
            count,
            lambda: near(parent, self._rng, width=WIDTHS[self._rng.integers(len(WIDTHS))], rate=CHANGE_RATE),
        )

    def _spread(self) -> list[Params]:
        # scipy warns of a first draw that is no power of two.
        points = np.concatenate([self._sobol.random(1), self._sobol.random(QUASI_RANDOM - 1)])
        shares = [dict(zip(self._names, point, strict=False)) for point in points.tolist()]
        ways = [walk(self._suggest, at_point(share, self._rng)) for share in shares]
        return [way.params for way in ways if self._allows is None or self._allows(way.config)]

    def _quasi(self, priors: Mapping[str, Prior]) -> Choose:
        point = self._sobol.random(1)[0].tolist()
        return at_point(dict(zip(self._names, point, strict=False)), self._rng, priors)

    def _drawn(self, count: int, choose: Callable[[], Choose], tries: int = TRIES) -> list[Params]:
        """So many configurations; fewer, where constraints refuse too many."""
        found: list[Params] = []
        for _ in range(count if self._allows is None else count * tries):
            way = walk(self._suggest, choose())
            if self._allows is None or self._allows(way.config):
                found.append(way.params)
                if len(found) == count:
                    break
        return found

    def _one(self, choose: Callable[[], Choose]) -> Params:
        found = self._drawn(1, choose, MOST_TRIES)
        if not found:
            raise SpaceError(
                f"the constraints of the search space must allow some configurations, but none of {MOST_TRIES} "
                "that were drawn keeps them: loosen one"
            )
        return found[0]
