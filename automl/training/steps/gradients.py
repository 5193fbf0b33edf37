"""The gradient of one batch: in one piece, in parts on several threads, or in parts one after the other.

On a CPU, two threads that each take half of a batch through the whole network often train more images a second than
one pass whose every operator is split over two threads: nothing waits at the end of each operator. It is synchronous
data parallelism within a process (as Goyal et al. 2017, section 2.3): the parts' gradients are averaged before the
step. On other processors it is the other way round, so a long training tries both (`contest.py`).

Where a batch does not fit into memory, it goes through in rounds of half as many rows, and so on; the step is still
that of the whole batch. The mean is exact for a loss that is a mean over rows. Only batch norm sees the difference: its
statistics are those of a part ("ghost batches", Hoffer et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from automl.cuda_graphs import Recorder
from automl.training.hardware.fastest_way import Contest
from automl.training.hardware.out_of_memory import Allowance, parts_of

SHARED_BATCH, SHARED_OPERATORS = range(2)  # the ways of a contest
MIN_PART = 16  # images a thread; smaller parts make batch-norm statistics too noisy

LossOf = Callable[[Tensor, Tensor], Tensor]
Part = tuple[Tensor, tuple[Tensor | None, ...]]


def _as_it_is(loss: Tensor) -> Tensor:
    return loss


class Gradients:
    """Puts the gradient of the mean loss of a batch into the parameters' `.grad`.

    `replicas` threads share the rows that are allowed at once (`allowance`), or, where a `contest` finds that faster,
    each operator; the calling thread's number of operator threads is then set. `scale` is applied to the loss before
    the gradient is taken (for half precision); what is returned is the loss without it. `record`: on a GPU, whole
    batches are recorded and replayed (`cuda_graphs.py`).
    """

    def __init__(
        self,
        model: nn.Module,
        loss_of: LossOf,
        replicas: int = 1,
        *,
        allowance: Allowance | None = None,
        scale: Callable[[Tensor], Tensor] = _as_it_is,
        contest: Contest | None = None,
        record: bool = False,
    ) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.loss_of = loss_of
        self.replicas = self.parts = replicas
        self.allowance = allowance or Allowance()
        self.scale = scale
        self.contest = contest if replicas > 1 else None
        self.recorder = Recorder(self._whole, prepare=self._clear) if record else None
        self._lasting: list[Tensor | None] = []  # the gradients of recorded batches
        self.pool = (
            ThreadPoolExecutor(replicas, initializer=torch.set_num_threads, initargs=(1,))
            if replicas > 1
            else None
        )

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of the batch, detached; `.grad` of every parameter is replaced.

        Raises what the loss raises; running out of memory only when two rows do not fit.
        """
        if self.contest is None:
            return self.allowance.fit(len(images), lambda rows: self._batch(images, targets, rows))
        with self.contest.turn() as way:
            torch.set_num_threads(self.replicas if way == SHARED_OPERATORS else 1)
            self.parts = self.replicas if way == SHARED_BATCH else 1
            return self.allowance.fit(len(images), lambda rows: self._batch(images, targets, rows))

    def close(self) -> None:
        """End the threads, and let recorded batches go."""
        self.recorder, self._lasting = None, []
        if self.pool is not None:
            self.pool.shutdown()
        if self.contest is not None:
            torch.set_num_threads(1)

    def _batch(self, images: Tensor, targets: Tensor, rows: int) -> Tensor:
        rounds = parts_of(len(images), rows)
        if rounds == 1 and self.recorder is not None:
            return self._recorded(self.recorder, images, targets)
        self._clear()
        if rounds == 1:
            return self._whole(images, targets)
        parts = zip(images.tensor_split(rounds), targets.tensor_split(rounds), strict=True)
        return torch.stack([self._round(x, y, len(x) / len(images)) for x, y in parts]).sum()

    def _whole(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._round(images, targets, 1.0)

    def _recorded(self, recorder: Recorder, images: Tensor, targets: Tensor) -> Tensor:
        before = recorder.recording
        loss = recorder(images, targets)
        if recorder.recording is None:
            self._lasting = []
            return loss
        if recorder.recording is not before:
            self._lasting = [parameter.grad for parameter in self.parameters]
        for parameter, gradient in zip(self.parameters, self._lasting, strict=True):
            parameter.grad = gradient  # rounds of other batches may have put others there
        return loss

    def _clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def _round(self, images: Tensor, targets: Tensor, share: float) -> Tensor:
        """Adds the gradient of `share` of these rows' mean loss; returns that loss."""
        parts = min(self.parts, len(images) // MIN_PART)
        if self.pool is None or parts < 2:
            loss = self.loss_of(images, targets)
            loss = loss if share == 1.0 else loss * share
            self.scale(loss).backward()
            return loss.detach()
        shares = list(zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True))
        # All are waited for, so that after a failure no thread goes on.
        waiting = [self.pool.submit(self._part, x, y) for x, y in shares]
        errors = [error for error in [future.exception() for future in waiting] if error is not None]
        if errors:
            raise errors[0]
        results = [future.result() for future in waiting]
        weights = [share * len(x) / len(images) for x, _ in shares]
        for i, parameter in enumerate(self.parameters):
            found = [(w, gradients[i]) for w, (_, gradients) in zip(weights, results, strict=True)]
            parameter.grad = _sum(found, parameter.grad)
        return torch.stack([w * loss for w, (loss, _) in zip(weights, results, strict=True)]).sum()

    def _part(self, images: Tensor, targets: Tensor) -> Part:
        loss = self.loss_of(images, targets)
        return loss.detach(), torch.autograd.grad(self.scale(loss), self.parameters, allow_unused=True)


def _sum(parts: list[tuple[float, Tensor | None]], total: Tensor | None) -> Tensor | None:
    """`total` and the weighted sum, in memory that was there; None where no part has a gradient."""
    for weight, gradient in parts:
        if gradient is None:
            continue
        total = gradient.mul_(weight) if total is None else total.add_(gradient, alpha=weight)
    return total
