"""Where trials should first be compared, judged by the curves that the study has shown so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.search.reasons import Code, Reason

# Chosen on recorded and simulated searches: docs/benchmarks/history.md, and docs/explanation/decisions.
RANKED_TRIALS = 300  # only the first trials count: later ones lie closer together, and their ranks say less
FEWEST_AT_CHANCE = 2  # trials that must have reached a level before it is skipped because they are at chance
FEWEST = 12  # trials that must have reached the first rung before it may move down,
SURE = 0.8  # the least Spearman correlation of their earlier values with those at the rung (95 %, one-sided),
BETTER_HALF = 0.6  # the same within the better half, where ranks matter
FEWEST_LATE = 20  # trials that must have trained on before a rung may be skipped,
EMPTY = 0.5  # the most that its correlation with the later round may be (90 %, one-sided)
Z95, Z90 = 1.645, 1.282


@dataclass(frozen=True)
class Curve:
    """A trial's `losses` by round (infinite is last), and the round at which it was `first` compared.

    `at_chance` are the rounds at which it was no better than the trivial answer by more than chance.
    """

    losses: Mapping[int, float]
    first: int
    at_chance: frozenset[int] = frozenset()


@dataclass(frozen=True)
class FirstRung:
    """The round at which new trials are first compared. `why` is None where it is the usual one."""

    round: int
    why: Reason | None = None


def levels_around(rungs: Sequence[int], factor: int) -> tuple[int, ...]:
    """Return the rungs, and before them the rounds that the first one may move down to.

    >>> levels_around((6, 18, 50), 3)
    (2, 6, 18, 50)
    >>> levels_around((2, 6, 9), 3)
    (1, 2, 6, 9)
    """
    below: list[int] = []
    round = rungs[0]
    while len(rungs) > 1 and round > 1:
        round = max(1, round // factor)
        below.append(round)
        if round < factor:
            break
    return (*reversed(below), *rungs)


def choose_first_rung(curves: Sequence[Curve], levels: Sequence[int], usual: int) -> FirstRung:
    """Move the first rung down while an earlier level ranks trials as the next one does, else up over empty levels.

    `levels` ascend, the full length last; `usual` is one of them. A level is empty if fewer than half of the trials
    there are better than the trivial answer by more than chance, or if its ranks say nothing about a later one. Other
    moves than the first kind need many trials and a clear answer. The result depends on the reported values alone, not
    on their order, so that a continued study agrees.

    A move down rests on trials that were not selected before the later level. A move up compares an early with a late
    round, which only promoted trials have reached. They are alike at the early round; Thorndike's case 2 ("Personnel
    Selection", 1949) corrects for that, with deviations of ranks. The interval of Spearman's correlation is Fisher's
    with the factor 1.03 (Fieller, Hartley, Pearson, 1957).
    """
    place = levels.index(usual)
    found = FirstRung(usual)
    while place > 0 and (agreed := _agreement(curves, levels[place - 1], levels[place])):
        if _empty(curves, levels, place - 1) is not None:
            break
        place -= 1
        found = FirstRung(levels[place], agreed)
    while levels[place] >= usual and place < len(levels) - 2 and (empty := _empty(curves, levels, place)):
        place += 1
        found = FirstRung(levels[place], empty)
    return found


def _agreement(curves: Sequence[Curve], early: int, late: int) -> Reason | None:
    """Return why `early` may stand for `late`, None if it may not."""
    pairs = _pairs([curve for curve in curves if curve.first >= late], early, late)
    if len(pairs) < FEWEST:
        return None
    rho = spearman(pairs)
    better = sorted(pairs, key=lambda pair: pair[1])[: len(pairs) // 2]
    if _bound(rho, len(pairs), -Z95) < SURE or spearman(better) < BETTER_HALF:
        return None
    data = {"first": early, "early": early, "late": late, "trials": len(pairs), "spearman": rho}
    return Reason(Code.RUNG_MOVED_DOWN, data)


def _empty(curves: Sequence[Curve], levels: Sequence[int], place: int) -> Reason | None:
    """Return why the level says nothing: at all, or about the latest one that enough trials have reached. Else None."""
    early = levels[place]
    reached = [curve for curve in curves if math.isfinite(curve.losses.get(early, math.inf))]
    moved = sum(early not in curve.at_chance for curve in reached)
    if len(reached) >= FEWEST_AT_CHANCE and 2 * moved < len(reached):
        counts = {"round": early, "moved": moved, "trials": len(reached)}
        return Reason(Code.RUNG_AT_CHANCE, {"first": levels[place + 1], **counts})
    everyone = [curve.losses[early] for curve in curves if early in curve.losses]
    for late in reversed(levels[place + 1 :]):
        pairs = _pairs(curves, early, late)
        if len(pairs) >= FEWEST_LATE:
            top = corrected(_bound(spearman(pairs), len(pairs), Z90), everyone, [one for one, _ in pairs])
            if top >= EMPTY:
                return None
            data = {"first": levels[place + 1], "early": early, "late": late}
            return Reason(Code.RUNG_MOVED_UP, {**data, "trials": len(pairs), "spearman": top})
    return None


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the rank correlation of two columns, ties by their mean rank; 0 where a column is constant."""
    if len(pairs) < 2:
        return 0.0
    one, other = (_ranks(column) for column in zip(*pairs, strict=True))
    one, other = one - one.mean(), other - other.mean()
    spread = math.sqrt((one @ one) * (other @ other))
    return float(one @ other) / spread if spread > 0.0 else 0.0


def corrected(rho: float, everyone: Sequence[float], chosen: Sequence[float]) -> float:
    """Return the correlation among `everyone`, where it is `rho` among those `chosen` by the same values."""
    ranks = _ranks(everyone)
    rank_of = dict(zip(everyone, ranks.tolist(), strict=True))
    narrow = _ranks_spread([rank_of[value] for value in chosen])
    if narrow <= 0.0:
        return 1.0  # all alike: nothing can be said
    wider = max(1.0, _ranks_spread(ranks) / narrow)
    return rho * wider / math.sqrt(1.0 + rho * rho * (wider * wider - 1.0))


def _pairs(curves: Sequence[Curve], early: int, late: int) -> list[tuple[float, float]]:
    both = (curve.losses for curve in curves if early in curve.losses and late in curve.losses)
    return [(losses[early], losses[late]) for losses in both]


def _bound(rho: float, count: int, z: float) -> float:
    """Return an end of the correlation's interval."""
    inner = math.atanh(min(max(rho, -0.9999), 0.9999))
    return math.tanh(inner + z * 1.03 / math.sqrt(max(count - 3, 1)))


def _ranks(values: Sequence[float]) -> Any:
    """Return the ranks from 1 on, ties by their mean rank, as `scipy.stats.rankdata` does in three times the time."""
    _, places, counts = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[places]


def _ranks_spread(ranks: Any) -> float:
    return float(np.std(ranks))
