"""The exponential moving average of the weights, which is the model that is evaluated."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

DENSE = 128  # steps after each of which the average is updated; after that it is every fourth
SPARSE = 4


class Average:
    """A copy of a model whose weights and buffers are exponential moving averages of the model's.

    The decay at step s is 1 - (1 + s)^(-2/3), at most `decay` (the warm-up of timm's ModelEmaV3), so that the start of
    a training counts little. After `DENSE` steps the average is updated every fourth step with the fourth power of the
    decay: a quarter of the cost, and nearly the same result.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        # Training and loading keep the tensors in place, so they are looked up once.
        pairs = list(zip(self.module.state_dict().values(), model.state_dict().values(), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update after step number `step`, counted from 0."""
        if step >= DENSE and (step + 1) % SPARSE:
            return
        kept = decay_at(step, self.decay) ** (SPARSE if step >= DENSE else 1)
        averages: list[Tensor] = [average for average, _ in self._floats]
        get_ema_multi_avg_fn(kept)(averages, [tensor.detach() for _, tensor in self._floats], step)
        for average, tensor in self._others:
            average.copy_(tensor)


def decay_at(step: int, decay: float) -> float:
    """Return the weight of the old average at step `step`."""
    return min(decay, 1.0 - float((1.0 + step) ** (-2.0 / 3.0)))
