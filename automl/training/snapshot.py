"""The state of a training kept in memory, to go back to."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Resumable(Protocol):
    """What a snapshot can be taken of: a training that can tell its state and take it up again."""

    def weights(self) -> dict[str, Tensor]:
        """All weights and buffers."""

    def state(self) -> dict[str, Any]:
        """Everything else."""

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Go on from a state."""


class Snapshot:
    """A copy of a training's weights and state, on the CPU so that it takes no memory of a GPU."""

    def __init__(self, subject: Resumable) -> None:
        self.weights: dict[str, Tensor] = copied(subject.weights())
        self.state: dict[str, Any] = copied(subject.state())

    @classmethod
    def of(cls, weights: dict[str, Tensor], state: dict[str, Any]) -> Snapshot:
        """One that was written down before; nothing is copied."""
        found = cls.__new__(cls)
        found.weights, found.state = weights, state
        return found

    def give_back(self, subject: Resumable) -> None:
        """Let `subject` go on from here; the snapshot can be used again."""
        subject.restore(self.weights, copied(self.state))


def copied(value: Any) -> Any:
    """A copy of nested dicts and lists in which no tensor is shared with the original."""
    if isinstance(value, Tensor):
        return torch.clone(value.detach(), memory_format=torch.preserve_format).cpu()
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(inner) for inner in value)
    return value
