"""How much of a search goes to trials that are no better than the trivial answer."""

from __future__ import annotations

# Such trials are not compared, so something else has to bound what a trial costs that never learns.
SHARE = 0.2


class RoundsAtChance:
    """Counts the rounds that trials at chance have run beyond their first rung, as a share of all rounds.

    A trial counts while its last value is no better than the trivial answer by more than chance, with all its rounds
    beyond its first rung. Its first rounds are what every trial costs.
    """

    def __init__(self) -> None:
        self._reached: dict[int, int] = {}
        self._beyond: dict[int, int] = {}
        self._all = self._at_chance = 0

    @property
    def share(self) -> float:
        """The share, 0 before the first round."""
        return self._at_chance / self._all if self._all else 0.0

    def report(self, trial: int, round: int, *, beyond: int, at_chance: bool) -> None:
        """Take in that a trial reached a round, `beyond` so many rounds from its first rung on."""
        reached = self._reached.get(trial, 0)
        if round < reached:
            return  # run again after a crash
        self._reached[trial] = round
        self._all += round - reached
        self.drop(trial)
        if at_chance and beyond > 0:
            self._beyond[trial] = beyond
            self._at_chance += beyond

    def drop(self, trial: int) -> None:
        """Count the trial as one that is not at chance any more, or has failed."""
        self._at_chance -= self._beyond.pop(trial, 0)

    def allow_more(self) -> bool:
        """Return whether a trial at chance may go on now."""
        return self.share <= SHARE
