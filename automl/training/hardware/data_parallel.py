"""Workers that train one model together: each takes its part of every batch (synchronous data parallelism).

All of them draw the same batches, with the same augmentation, from the same seed, so that N workers see what one would.
A worker takes its rows of each batch through the network; gradients are summed with the share of rows as weight (Goyal
et al. 2017, section 2.3), which is the gradient of the whole batch for a loss that is a mean over rows. Batch norm sees
a worker's own rows (as with parts on threads, gradients.py); its running statistics are averaged in every step.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn

from automl.training.steps.gradients import MIN_PART, Gradients


def most_workers(batch_size: int) -> int:
    """How many workers a batch can be shared between: parts below 16 rows make batch-norm statistics too noisy.

    >>> most_workers(64), most_workers(20)
    (4, 1)
    """
    return max(1, batch_size // MIN_PART)


def agreed(value: float, device: str) -> float:
    """The first worker's value, for all."""
    told = torch.tensor([value], dtype=torch.float64, device=device)
    dist.broadcast(told, src=0)
    return float(told)


class Peers:
    """This process's place among the workers of torch's default process group, which must be up.

    Every method is called by all of them in the same order, and raises RuntimeError when another one died.
    """

    def __init__(self, model: nn.Module, averaged: nn.Module, device: str) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.device = device
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.buffers = [b for b in model.buffers() if b.is_floating_point()]
        # The same seed made the same weights; where an operation on some device did not, the first worker's hold.
        for network in (model, averaged):
            for tensor in (*network.parameters(), *network.buffers()):
                dist.broadcast(tensor.data, src=0)

    def lead(self, over: bool, progress: float) -> tuple[bool, float]:
        """What the first worker says: whether to stop, and how far the training is. Clocks differ, steps must not."""
        told = torch.tensor([float(over), progress], dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        stop, done = told.tolist()
        return bool(stop), done

    def gradient(self, gradients: Gradients, images: Tensor, targets: Tensor) -> Tensor:
        """Put the gradient of the whole batch's mean loss into `.grad`; returns that loss.

        The batch must have a row for each worker.
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
