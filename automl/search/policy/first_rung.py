"""Where trials should first be compared, judged by what the trials so far have shown. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from automl.search.reasons import Code, Reason

WATCHED = 300  # trials, those of the lowest numbers: later ones lie ever closer together, and ranks say less
FEWEST = 12  # trials that must have reached the first rung before it may move down,
SURE = 0.8  # the least Spearman correlation of their earlier values with those at the rung (95 %, one-sided),
BETTER_HALF = 0.6  # the same within the better half, where ranks matter
FEWEST_LATE = 20  # trials that must have gone on before a rung may be called empty,
EMPTY = 0.5  # the most that its correlation with the later round may be (90 %, one-sided)
Z95, Z90 = 1.645, 1.282


@dataclass(frozen=True)
class Witness:
    """What a trial showed: `losses` by round (smaller is better, infinite is last), and where it was first compared."""

    losses: Mapping[int, float]
    first: int


@dataclass(frozen=True)
class FirstRung:
    """The round at which trials that start now are first compared; `why` is None where it is the usual one."""

    round: int
    why: Reason | None = None


def levels_around(rungs: Sequence[int], factor: int) -> tuple[int, ...]:
    """The rungs, and before them the rounds that the first one may move down to.

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


def choose_first_rung(witnesses: Sequence[Witness], levels: Sequence[int], usual: int) -> FirstRung:
    """Down as long as an earlier level ranks trials as the one above it does; else up as long as a level says nothing.

    `levels` ascend, the full length last; `usual` is one of them. Both answers need many trials, and nothing moves
    where it is not clear. The agreement that a move down rests on is taken over trials among which nothing had been
    selected by then. That of an early with a late round is known only for promoted trials, which are alike at the
    early round: it is corrected for that by Thorndike's case 2 ("Personnel Selection", 1949), with deviations of ranks;
    Spearman's interval is Fisher's with the factor 1.03 (Fieller, Hartley, Pearson, 1957). It is a function of what was
    reported, whatever the order, so that a continued study agrees.
    """
    place = levels.index(usual)
    found = FirstRung(usual)
    while place > 0 and (agreed := _agreement(witnesses, levels[place - 1], levels[place])):
        if _empty(witnesses, levels, place - 1) is not None:
            break
        place -= 1
        found = FirstRung(levels[place], agreed)
    while levels[place] >= usual and place < len(levels) - 2 and (empty := _empty(witnesses, levels, place)):
        place += 1
        found = FirstRung(levels[place], empty)
    return found


def _agreement(witnesses: Sequence[Witness], early: int, late: int) -> Reason | None:
    """Why `early` may stand for `late`; None if it may not."""
    pairs = _pairs([witness for witness in witnesses if witness.first >= late], early, late)
    if len(pairs) < FEWEST:
        return None
    rho = spearman(pairs)
    better = sorted(pairs, key=lambda pair: pair[1])[: len(pairs) // 2]
    if _bound(rho, len(pairs), -Z95) < SURE or spearman(better) < BETTER_HALF:
        return None
    data = {"first": early, "early": early, "late": late, "trials": len(pairs), "spearman": rho}
    return Reason(Code.RUNG_MOVED_DOWN, data)


def _empty(witnesses: Sequence[Witness], levels: Sequence[int], place: int) -> Reason | None:
    """Why the level says nothing about the latest one that enough trials have reached; None if it may."""
    early = levels[place]
    everyone = [witness.losses[early] for witness in witnesses if early in witness.losses]
    for late in reversed(levels[place + 1 :]):
        pairs = _pairs(witnesses, early, late)
        if len(pairs) >= FEWEST_LATE:
            top = corrected(_bound(spearman(pairs), len(pairs), Z90), everyone, [one for one, _ in pairs])
            if top >= EMPTY:
                return None
            known = {"trials": len(pairs), "spearman": top}
            return Reason(
                Code.RUNG_MOVED_UP, {"first": levels[place + 1], "early": early, "late": late, **known}
            )
    return None


def spearman(pairs: Sequence[tuple[float, float]]) -> float:
    """Rank correlation of two columns, ties by their mean rank; 0 where a column is constant or has one row."""
    one, other = _ranks([pair[0] for pair in pairs]), _ranks([pair[1] for pair in pairs])
    middle = (len(pairs) + 1) / 2
    both = math.fsum((a - middle) * (b - middle) for a, b in zip(one, other, strict=True))
    spread = math.fsum((a - middle) ** 2 for a in one) * math.fsum((b - middle) ** 2 for b in other)
    return both / math.sqrt(spread) if spread > 0.0 else 0.0


def corrected(rho: float, everyone: Sequence[float], chosen: Sequence[float]) -> float:
    """The correlation among `everyone` where it is `rho` among those `chosen` by the same values."""
    ranks = dict(zip(everyone, _ranks(everyone), strict=True))
    narrow = _deviation([ranks[value] for value in chosen])
    if narrow <= 0.0:
        return 1.0  # all alike: nothing can be said
    wider = max(1.0, _deviation([ranks[value] for value in everyone]) / narrow)
    return rho * wider / math.sqrt(1.0 + rho * rho * (wider * wider - 1.0))


def _pairs(witnesses: Sequence[Witness], early: int, late: int) -> list[tuple[float, float]]:
    both = (witness.losses for witness in witnesses if early in witness.losses and late in witness.losses)
    return [(losses[early], losses[late]) for losses in both]


def _bound(rho: float, count: int, z: float) -> float:
    """An end of the correlation's interval."""
    inner = math.atanh(min(max(rho, -0.9999), 0.9999))
    return math.tanh(inner + z * 1.03 / math.sqrt(max(count - 3, 1)))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for index in order[begin:end]:
            ranks[index] = (begin + 1 + end) / 2
        begin = end
    return ranks


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
