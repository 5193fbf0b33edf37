"""Rungs: the rounds at which trials are compared, and the trials that reached them."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from automl.search.reasons import Code, Reason, Value

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
    """A trial's place on a rung among `size` trials, by how many others are better and how many no worse.

    `rank` is 1 more than the number of trials that are better by more than noise. `last` is the rank that it would have
    if all that it ties with were better.
    """

    round: int
    rank: int
    size: int
    last: int

    def reason(self, code: Code, **data: Value) -> Reason:
        """Return a reason with the place as its data: `rank` is a number, or a text such as "3-7" for a tie."""
        place = self.rank if self.rank == self.last else f"{self.rank}-{self.last}"
        return Reason(code, {"rank": place, "trials": self.size, "round": self.round, **data})


def _certain(rows: int) -> float:
    return 0.0


class Rung:
    """The trials that reached one round, ordered by loss, infinite losses last. Equal losses have the same rank.

    Losses may come from different numbers of validation rows.
    """

    def __init__(self, round: int) -> None:
        self.round = round
        self._ranking: list[tuple[float, int]] = []
        self._losses: dict[int, float] = {}
        self._rows: dict[int, int] = {}
        self._by_rows: dict[int, list[float]] = {}  # the losses on so many rows, in order
        self._promoted: set[int] = set()
        self._uncompared: set[int] = set()
        # Those of the ranking that were not promoted: a free worker asks for the best of them.
        self._open: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._ranking)

    @property
    def row_counts(self) -> tuple[int, ...]:
        """The different numbers of validation rows that its losses come from, the fewest first."""
        return tuple(sorted(self._by_rows))

    def record(self, trial: int, loss: float, rows: int = 0) -> None:
        """Put the trial on the rung. A second report of the same trial replaces the first."""
        self._forget(trial)
        self._losses[trial], self._rows[trial] = loss, rows
        insort(self._by_rows.setdefault(rows, []), loss)
        insort(self._ranking, (loss, trial))
        if trial not in self._promoted:
            insort(self._open, (loss, trial))

    def drop(self, trial: int) -> None:
        """Take a trial off the rung. Its place goes to the next best."""
        self._forget(trial)
        self._promoted.discard(trial)
        self._uncompared.discard(trial)

    def promote(self, trial: int, *, compared: bool = True) -> None:
        """Mark the trial as promoted from here. `compared`: it would have paused here, had it not been good enough."""
        self._promoted.add(trial)
        if not compared:
            self._uncompared.add(trial)
        if trial in self._losses:
            self._close((self._losses[trial], trial))

    @property
    def promotions(self) -> int:
        """The number of trials that were compared here and promoted."""
        return len(self._promoted) - len(self._uncompared)

    def is_promoted(self, trial: int) -> bool:
        """Return whether the trial was promoted from here."""
        return trial in self._promoted

    def standing(self, trial: int, noise: Callable[[int], float] = _certain) -> Standing:
        """Return the place of a trial that is on the rung.

        Losses on so many rows are a tie with its own within `noise(rows)`.
        """
        loss, better, no_worse = self._losses[trial], 0, 0
        for rows, losses in self._by_rows.items():
            width = noise(rows)
            better += bisect_left(losses, loss - width)
            no_worse += bisect_right(losses, loss + width)
        return Standing(self.round, better + 1, len(self._ranking), no_worse)

    def top(self, count: int) -> list[int]:
        """Return the best `count` trials with a finite loss, best first."""
        return [trial for loss, trial in self._ranking[:count] if loss < math.inf]

    def open(self, start: float = -math.inf) -> Iterator[int]:
        """Yield the trials with a finite loss of at least `start` that were not promoted, best first."""
        for place in range(bisect_left(self._open, (start, -1)), len(self._open)):
            loss, trial = self._open[place]
            if loss == math.inf:
                return
            yield trial

    def _forget(self, trial: int) -> None:
        loss = self._losses.pop(trial, None)
        if loss is not None:
            del self._ranking[bisect_left(self._ranking, (loss, trial))]
            losses = self._by_rows[rows := self._rows.pop(trial)]
            del losses[bisect_left(losses, loss)]
            if not losses:
                del self._by_rows[rows]
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

    def earns_promotion(self, standing: Standing, *, fewest: int = 0) -> bool:
        """Return whether fewer than 1/factor (rounded down) of the rung's trials, or than `fewest`, are better."""
        return standing.rank <= max(fewest, standing.size // self.factor)

    def surplus(self, where: Rung | None = None, more: int = 0) -> int:
        """Return the rounds from rung to rung that go to more trials than the best 1/factor of each rung.

        `more`: as if so many more trials were promoted from the rung `where`.
        """
        total = 0
        for rung, after in zip(self.rungs.values(), self.rounds[1:], strict=True):
            gone = rung.promotions + (more if rung is where else 0)
            total += (after - rung.round) * max(0, gone - len(rung) // self.factor)
        return total

    def stretch(self, rung: Rung) -> int:
        """Return the rounds from a rung to the next one."""
        return self.rounds[self.rounds.index(rung.round) + 1] - rung.round
