"""Rungs: the rounds at which trials are compared, and the trials that reached them."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass

from automl.search.reasons import Code, Reason

# Measured on LCBench and on image studies: docs/benchmarks/history.md.
FACTOR = 3
FIRST_RUNG_SHARE = 0.06


def rung_rounds(max_rounds: int, first: int | None = None, factor: int = FACTOR) -> tuple[int, ...]:
    """Return the rungs `first * factor**k` below the full length, and the full length.

    `first` defaults to 6 % of the full length, at least 2: before that, values of image models mostly show how the
    learning rate warms up. With one or two rounds there is nothing to compare early.

    >>> rung_rounds(50)
    (3, 9, 27, 50)
    >>> rung_rounds(2)
    (2,)
    """
    rung = max(2, round(FIRST_RUNG_SHARE * max_rounds)) if first is None else first
    rounds = []
    while rung < max_rounds:
        rounds.append(rung)
        rung *= factor
    return (*rounds, max_rounds)


@dataclass(frozen=True)
class Standing:
    """A trial's place on a rung: `rank` counts from 1 among `size` trials."""

    round: int
    rank: int
    size: int

    def reason(self, code: Code) -> Reason:
        """Return a reason with the place as its data."""
        return Reason(code, {"rank": self.rank, "trials": self.size, "round": self.round})


class Rung:
    """The trials that reached one round, ordered by loss (ties: the earlier trial), infinite losses last."""

    def __init__(self, round: int) -> None:
        self.round = round
        self._ranking: list[tuple[float, int]] = []
        self._losses: dict[int, float] = {}
        self._promoted: set[int] = set()
        # Those of the ranking that were not promoted: a free worker asks for the best of them.
        self._open: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._ranking)

    def record(self, trial: int, loss: float) -> None:
        """Put the trial on the rung. A second report of the same trial replaces the first."""
        self._forget(trial)
        self._losses[trial] = loss
        insort(self._ranking, (loss, trial))
        if trial not in self._promoted:
            insort(self._open, (loss, trial))

    def drop(self, trial: int) -> None:
        """Take a trial off the rung. Its place goes to the next best."""
        self._forget(trial)
        self._promoted.discard(trial)

    def promote(self, trial: int) -> None:
        """Mark the trial as promoted from here."""
        self._promoted.add(trial)
        if trial in self._losses:
            self._close((self._losses[trial], trial))

    def is_promoted(self, trial: int) -> bool:
        """Return whether the trial was promoted from here."""
        return trial in self._promoted

    def standing(self, trial: int) -> Standing:
        """Return the place of a trial that is on the rung."""
        rank = bisect_left(self._ranking, (self._losses[trial], trial)) + 1
        return Standing(self.round, rank, len(self._ranking))

    def top(self, count: int) -> list[int]:
        """Return the best `count` trials with a finite loss, best first."""
        return [trial for loss, trial in self._ranking[:count] if loss < math.inf]

    def open_among(self, count: int) -> Iterator[int]:
        """Yield those of the best `count` trials that have a finite loss and were not promoted, best first."""
        last = self._ranking[count - 1] if count else (-math.inf, 0)
        for place in self._open:
            if place > last or place[0] == math.inf:
                return
            yield place[1]

    def _forget(self, trial: int) -> None:
        loss = self._losses.pop(trial, None)
        if loss is not None:
            del self._ranking[bisect_left(self._ranking, (loss, trial))]
            self._close((loss, trial))

    def _close(self, place: tuple[float, int]) -> None:
        index = bisect_left(self._open, place)
        if index < len(self._open) and self._open[index] == place:
            del self._open[index]


class Bracket:
    """The rungs of one version of successive halving. The last of `rounds` is the full length, which is no rung."""

    def __init__(self, rounds: tuple[int, ...], factor: int = FACTOR) -> None:
        self.rounds = rounds
        self.factor = factor
        self.rungs = {round: Rung(round) for round in rounds[:-1]}

    def earns_promotion(self, standing: Standing) -> bool:
        """Return whether the place is among the best 1/factor, rounded down, of its rung."""
        return standing.rank <= standing.size // self.factor
