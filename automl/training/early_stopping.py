"""End a trial that no longer improves, and return to its best round."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from automl.records import Mode
from automl.training import checkpoint
from automl.training.snapshot import Resumable, Snapshot

Metrics = Mapping[str, float | bool]


class Patience:
    """Keeps the best round of a trial, and tells when the last `rounds` did not improve on it.

    Equal values are no improvement, and neither is NaN.
    """

    def __init__(self, rounds: int, *, metric: str, mode: Mode) -> None:
        self.rounds, self.metric = rounds, metric
        self._sign = 1.0 if mode == "max" else -1.0
        self.round = self.best_round = 0
        self.best: dict[str, float] = {}
        self._snapshot: Snapshot | None = None

    def report(self, metrics: Metrics, subject: Resumable) -> bool:
        """Add a round of `subject`, and return whether it should end."""
        self.round += 1
        value = self._sign * float(metrics[self.metric])
        if math.isfinite(value) and (not self.best or value > self._sign * self.best[self.metric]):
            self.best_round = self.round
            self.best = {name: float(number) for name, number in metrics.items()}
            self._snapshot = Snapshot(subject)
        return bool(self.best) and self.round - self.best_round >= self.rounds

    def restore_best(self, subject: Resumable) -> str:
        """Return `subject` to its best round, and return the reason as text."""
        if self._snapshot is not None:
            self._snapshot.restore_to(subject)
        return f"no improvement for {self.rounds} rounds; ends at its best round, {self.best_round}"

    def save(self, directory: Path) -> None:
        """Write what another process needs to continue."""
        if self._snapshot is None:
            return
        state = {"round": self.round, "best_round": self.best_round, "best": self.best}
        checkpoint.write(directory, self._snapshot.weights, {**state, "state": self._snapshot.state})

    def load(self, directory: Path) -> None:
        """Continue from `directory`, if it exists. Raises StorageError if it is damaged."""
        if not directory.is_dir():
            return
        weights, state = checkpoint.read(directory)
        self.round, self.best_round, self.best = state["round"], state["best_round"], state["best"]
        self._snapshot = Snapshot.of(weights, state["state"])
