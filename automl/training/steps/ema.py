"""The moving average of the weights, which is what is evaluated."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

DENSE = 128  # steps in which the average follows every one; after them it follows every fourth
SPARSE = 4


class Average:
    """A copy of a model whose weights and buffers follow those of the model as an exponential moving average.

    The decay at step s is 1 - (1 + s)^(-2/3), at most `decay`: so the average spans a share of a short training
    and is not ruled by its start (the warm-up that timm's ModelEmaV3 uses). After `DENSE` steps it is moved only every
    fourth step, by as much as four steps would move it, which costs a quarter and changes it little.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(model).eval().requires_grad_(False)
        # The tensors stay the same ones while the model is trained or loaded, so they are looked up once.
        pairs = list(zip(self.module.state_dict().values(), model.state_dict().values(), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """The model took its step number `step`, counted from 0."""
        if step >= DENSE and (step + 1) % SPARSE:
            return
        kept = decay_at(step, self.decay) ** (SPARSE if step >= DENSE else 1)
        averages: list[Tensor] = [average for average, _ in self._floats]
        get_ema_multi_avg_fn(kept)(averages, [tensor.detach() for _, tensor in self._floats], step)
        for average, tensor in self._others:
            average.copy_(tensor)


def decay_at(step: int, decay: float) -> float:
    """The share of the old average that is kept at step `step`."""
    return min(decay, 1.0 - float((1.0 + step) ** (-2.0 / 3.0)))
