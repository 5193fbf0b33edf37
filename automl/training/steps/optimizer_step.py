"""Apply the gradient: unscale it, clip it, step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from automl.training.plan import Precision


class OptimizerStep:
    """Applies the gradients in `.grad`.

    The norm of the whole gradient is clipped to `clip_grad` (0: not at all). In fp16, where small gradients would
    vanish, the loss is scaled up (`scale`) and the gradient down again; if the gradient overflows, the step is skipped
    and the scale halved (Micikevicius et al. 2018, section 3.2).
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        clip_grad: float,
        precision: Precision = "fp32",
        device: str = "cpu",
    ) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer, self.clip_grad = optimizer, clip_grad
        kind = torch.device(device).type
        self.scaler = torch.amp.GradScaler(kind) if precision == "fp16" else None

    def scale(self, loss: Tensor) -> Tensor:
        """Return the loss whose gradient is taken."""
        if self.scaler is None:
            return loss
        scaled: Tensor = self.scaler.scale(loss)
        return scaled

    def __call__(self) -> None:
        """Take one step of the optimizer."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        self._clip()
        if self.scaler is None:
            self.optimizer.step()
            return
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _clip(self) -> None:
        if self.clip_grad <= 0:
            return
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients, foreach=True)
        # On a CPU, reading the norm is free, and small gradients need no clipping.
        if norm.device.type != "cpu" or not norm <= self.clip_grad:
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip_grad, norm, foreach=True)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint needs besides the optimizer's own state."""
        return {} if self.scaler is None else dict(self.scaler.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state`."""
        if self.scaler is not None and state:
            self.scaler.load_state_dict(state)
