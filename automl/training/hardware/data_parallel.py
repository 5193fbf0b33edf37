"""Synchronous data parallelism: workers train one model together, each on its part of every batch.

All workers draw the same batches and augmentation from the same seed, so N workers see the same images as one. Their
gradients are summed, weighted by their share of rows (Goyal et al. 2017, section 2.3): the gradient of the whole batch,
since the loss is a mean over rows. Batch norm sees only a worker's own rows, as with threads (gradients.py); its
running statistics are averaged in every step.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from automl.training.steps.gradients import MIN_PART, Gradients


def most_workers(batch_size: int) -> int:
    """Return how many workers can share a batch: with less than 16 rows each, batch norm is too noisy.

    >>> most_workers(64), most_workers(20)
    (4, 1)
    """
    return max(1, batch_size // MIN_PART)


def broadcast(value: float, device: str) -> float:
    """Return the first worker's value in all workers."""
    shared = torch.tensor([value], dtype=torch.float64, device=device)
    dist.broadcast(shared, src=0)
    return float(shared)


class DataParallel:
    """This process as one of the workers of torch's default process group, which must exist.

    All workers must call its methods in the same order. A method raises RuntimeError if another worker died.
    """

    def __init__(self, model: nn.Module, averaged: nn.Module, device: str) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.device = device
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.buffers = [b for b in model.buffers() if b.is_floating_point()]
        # The same seed gives the same weights, except where a device computes differently.
        for network in (model, averaged):
            for tensor in (*network.parameters(), *network.buffers()):
                dist.broadcast(tensor.data, src=0)

    def sync(self, over: bool, progress: float) -> tuple[bool, float]:
        """Return the first worker's values: clocks differ between workers, steps must not."""
        values = torch.tensor([float(over), progress], dtype=torch.float64, device=self.device)
        dist.broadcast(values, src=0)
        stop, done = values.tolist()
        return bool(stop), done

    def gradient(self, gradients: Gradients, images: Tensor, targets: Tensor) -> Tensor:
        """Put the gradient of the whole batch's mean loss into `.grad`; return that loss.

        The batch must have at least a row for each worker.
        """
        mine = images.tensor_split(self.size)[self.rank], targets.tensor_split(self.size)[self.rank]
        share = len(mine[0]) / len(images)
        value = gradients(*mine)
        missing = [p.grad is None for p in self.parameters]
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        flat = torch.cat(
            [value.reshape(1).float(), *(t.reshape(-1).float() for t in (*found, *self.buffers))]
        )
        flat.mul_(share)
        dist.all_reduce(flat)
        parts = torch.split(flat[1:], [t.numel() for t in (*found, *self.buffers)])
        for parameter, gradient, part, none in zip(self.parameters, found, parts, missing, strict=False):
            gradient.copy_(part.view_as(gradient))
            parameter.grad = None if none else gradient
        for buffer, part in zip(self.buffers, parts[len(found) :], strict=True):
            buffer.copy_(part.view_as(buffer))
        return flat[0].clone()
