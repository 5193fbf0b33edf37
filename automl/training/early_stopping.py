"""Ending a trial that no longer gets better, at its best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from automl.records import Mode
from automl.training import checkpoint
from automl.training.snapshot import Resumable, Snapshot

Metrics = Mapping[str, float | bool]


class Patience:
    """Remembers the best epoch of a trial, and says when none of the last `epochs` came up to it.

    Equal values are no improvement; NaN is none either.
    """

    def __init__(self, epochs: int, *, metric: str, mode: Mode) -> None:
        self.epochs, self.metric = epochs, metric
        self._sign = 1.0 if mode == "max" else -1.0
        self.epoch = self.best_epoch = 0
        self.best: dict[str, float] = {}
        self._snapshot: Snapshot | None = None

    def report(self, metrics: Metrics, subject: Resumable) -> bool:
        """Take in an epoch of `subject`; whether it should end."""
        self.epoch += 1
        value = self._sign * float(metrics[self.metric])
        if math.isfinite(value) and (not self.best or value > self._sign * self.best[self.metric]):
            self.best_epoch = self.epoch
            self.best = {name: float(number) for name, number in metrics.items()}
            self._snapshot = Snapshot(subject)
        return bool(self.best) and self.epoch - self.best_epoch >= self.epochs

    def back_to_best(self, subject: Resumable) -> str:
        """Put `subject` where it was best; returns the reason in words."""
        if self._snapshot is not None:
            self._snapshot.give_back(subject)
        return f"no better for {self.epochs} epochs; ends at its best, that of epoch {self.best_epoch}"

    def save(self, directory: Path) -> None:
        """Write what a later process needs to go on."""
        if self._snapshot is None:
            return
        state = {"epoch": self.epoch, "best_epoch": self.best_epoch, "best": self.best}
        checkpoint.write(directory, self._snapshot.weights, {**state, "state": self._snapshot.state})

    def load(self, directory: Path) -> None:
        """Go on from what was written, if anything was. Raises StorageError when it is damaged."""
        if not directory.is_dir():
            return
        weights, state = checkpoint.read(directory)
        self.epoch, self.best_epoch, self.best = state["epoch"], state["best_epoch"], state["best"]
        self._snapshot = Snapshot.of(weights, state["state"])
