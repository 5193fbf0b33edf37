"""Keep the state of a training in memory, to return to it."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Resumable(Protocol):
    """A training whose state can be read and restored."""

    def weights(self) -> dict[str, Tensor]:
        """Return all weights and buffers."""

    def state(self) -> dict[str, Any]:
        """Return the other state."""

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from a state."""


# Steps between two copies of a training, by kind of device. A step reads and writes every weight, its gradient and its
# moments, so a copy on a CPU costs about as much as a step. A GPU is fast, but the way from it to the CPU is not.
STEPS_BETWEEN_COPIES = {"cpu": 50, "cuda": 400}


class Snapshot:
    """A copy of a training's weights and state, on the CPU to save GPU memory."""

    def __init__(self, subject: Resumable) -> None:
        self.weights: dict[str, Tensor] = copied(subject.weights())
        self.state: dict[str, Any] = copied(subject.state())

    @classmethod
    def of(cls, weights: dict[str, Tensor], state: dict[str, Any]) -> Snapshot:
        """Return a snapshot of `weights` and `state` without copying them."""
        found = cls.__new__(cls)
        found.weights, found.state = weights, state
        return found

    def restore_to(self, subject: Resumable) -> None:
        """Restore `subject` to this state; the snapshot can be used again."""
        subject.restore(self.weights, copied(self.state))


class LastGood:
    """The last copy of a training on `device` to which it can return. There is none before the first `keep`."""

    def __init__(self, device: str) -> None:
        self._between = STEPS_BETWEEN_COPIES.get(
            torch.device(device).type, max(STEPS_BETWEEN_COPIES.values())
        )
        self._copy: Snapshot | None = None
        self._steps = 0

    def keep(self, subject: Resumable, steps: int) -> None:
        """Copy `subject`, which has taken `steps`, unless the copy is of few steps before.

        Copying 1.4 GB of a large network in each round would cost a GPU more than its training.
        """
        if self._copy is None or not self._steps <= steps < self._steps + self._between:
            self._copy = None  # freed first: two copies may not fit into memory
            self._copy, self._steps = Snapshot(subject), steps

    def hold(self, copy: Snapshot, steps: int) -> None:
        """Use a copy that was made elsewhere, after `steps`."""
        self._copy, self._steps = copy, steps

    def restore_to(self, subject: Resumable) -> None:
        """Return `subject` to the last copy."""
        if self._copy is not None:
            self._copy.restore_to(subject)

    def forget(self) -> None:
        """Drop the copy: `subject` continues from somewhere else."""
        self._copy = None


def copied(value: Any) -> Any:
    """Return a copy of nested dicts and lists that shares no tensor with the original."""
    if isinstance(value, Tensor):
        return torch.clone(value.detach(), memory_format=torch.preserve_format).cpu()
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(inner) for inner in value)
    return value
