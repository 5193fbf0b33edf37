"""The gradient of one batch: in one piece, or in equal parts on several threads.

On a CPU, two threads that each take half of a batch through the whole network train more images a second than one
pass whose every operator is split over two threads: nothing waits at the end of each operator. It is synchronous data
parallelism within a process (as Goyal et al. 2017, section 2.3): the parts' gradients are averaged before the step.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

LEAST_PART = 16  # images; smaller parts make batch-norm statistics too noisy

LossOf = Callable[[Tensor, Tensor], Tensor]


class Gradients:
    """Puts the gradient of the mean loss of a batch into the parameters' `.grad`."""

    def __init__(self, model: nn.Module, loss_of: LossOf, replicas: int = 1) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.loss_of = loss_of
        self.replicas = replicas
        self.pool = (
            ThreadPoolExecutor(replicas, initializer=torch.set_num_threads, initargs=(1,))
            if replicas > 1
            else None
        )

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of the batch, detached; `.grad` of every parameter is replaced."""
        parts = min(self.replicas, len(images) // LEAST_PART)
        if self.pool is None or parts < 2:
            for parameter in self.parameters:
                parameter.grad = None
            loss = self.loss_of(images, targets)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            return loss.detach()
        shares = list(zip(images.chunk(parts), targets.chunk(parts), strict=True))
        results = list(self.pool.map(self._part, *zip(*shares, strict=True)))
        weights = [len(part) / len(images) for part, _ in shares]
        for i, parameter in enumerate(self.parameters):
            parts_of = [(w, grads[i]) for w, (_, grads) in zip(weights, results, strict=True)]
            parameter.grad = _mean(parts_of)
        return torch.stack([w * loss for w, (loss, _) in zip(weights, results, strict=True)]).sum()

    def close(self) -> None:
        """End the threads."""
        if self.pool is not None:
            self.pool.shutdown()

    def _part(self, images: Tensor, targets: Tensor) -> tuple[Tensor, tuple[Tensor | None, ...]]:
        loss = self.loss_of(images, targets)
        return loss.detach(), torch.autograd.grad(loss, self.parameters, allow_unused=True)


def _mean(parts: list[tuple[float, Tensor | None]]) -> Tensor | None:
    """The weighted sum, written into the first part's memory; None where no part has a gradient."""
    present = [(w, g) for w, g in parts if g is not None]
    if not present:
        return None
    total = present[0][1].mul_(present[0][0])
    for weight, gradient in present[1:]:
        total.add_(gradient, alpha=weight)
    return total
