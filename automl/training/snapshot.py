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


def copied(value: Any) -> Any:
    """Return a copy of nested dicts and lists that shares no tensor with the original."""
    if isinstance(value, Tensor):
        return torch.clone(value.detach(), memory_format=torch.preserve_format).cpu()
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(inner) for inner in value)
    return value
