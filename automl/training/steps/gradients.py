"""The gradient of one batch: as a whole, in parts on several threads, or in parts one after the other.

On some CPUs, two threads that each process half of a batch train more images per second than one forward pass whose
operators use two threads, because threads need not wait for each other after every operator. It is synchronous data
parallelism within a process (as Goyal et al. 2017, section 2.3): gradients are averaged before the step. On other CPUs
it is slower, and beside other programs one thread alone may be the fastest, so a long training measures all three
(autotune.py).

A batch that does not fit into memory is processed in micro-batches; the step is still that of the whole batch. The
gradient is exact, since the loss is a mean over rows, except that batch norm sees only a part ("ghost batches", Hoffer
et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from automl.cuda_graphs import Recorder
from automl.machine import slowdown
from automl.torch_setup import set_threads
from automl.training.hardware.autotune import Autotune
from automl.training.hardware.out_of_memory import MicroBatch, parts_of
from automl.training.hardware.random_layers import drawing, separate

SPLIT_BATCH, SPLIT_OPERATORS, ONE_THREAD = range(3)  # the options of autotune
BUSY = 1.5  # times as long as alone: operators whose threads wait for each other then take many times as long
MIN_PART = 16  # images per thread; smaller parts make batch norm statistics too noisy

LossOf = Callable[[Tensor, Tensor], Tensor]
Part = tuple[Tensor, tuple[Tensor | None, ...]]


def _identity(loss: Tensor) -> Tensor:
    return loss


def _closed(*_: Tensor) -> Tensor:
    raise RuntimeError("these gradients are closed")


class Gradients:
    """Puts the gradient of the mean loss of a batch into the parameters' `.grad`.

    `replicas` threads share the rows of a `micro_batch`; or they share the operators, or one thread does all the work,
    if `autotune` finds that faster. It then sets the number of operator threads. `scale` multiplies the loss before the
    gradient is taken (for half precision).
    `record`: on a GPU, whole batches are recorded and replayed (`cuda_graphs.py`).
    """

    def __init__(
        self,
        model: nn.Module,
        loss_of: LossOf,
        replicas: int = 1,
        *,
        micro_batch: MicroBatch | None = None,
        scale: Callable[[Tensor], Tensor] = _identity,
        autotune: Autotune | None = None,
        record: bool = False,
    ) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.loss_of = loss_of
        self.replicas = self.parts = replicas
        self.micro_batch = micro_batch or MicroBatch()
        self.scale = scale
        self.autotune = autotune if replicas > 1 else None
        self._random = replicas > 1 and separate(model)
        self.recorder = Recorder(self._whole, prepare=self._clear) if record else None
        self._recorded_gradients: list[Tensor | None] = []
        self.pool = (
            ThreadPoolExecutor(replicas, initializer=torch.set_num_threads, initargs=(1,))
            if replicas > 1
            else None
        )

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """Replace `.grad` of every parameter; return the mean loss of the batch, detached and unscaled.

        Raises what the loss raises, and an out-of-memory error only if two rows do not fit.
        """
        if self.autotune is None:
            return self.micro_batch.fit(len(images), lambda rows: self._batch(images, targets, rows))
        with self.autotune.measured() as option:
            set_threads(self.replicas if option == SPLIT_OPERATORS else 1)
            self.parts = self.replicas if option == SPLIT_BATCH else 1
            return self.micro_batch.fit(len(images), lambda rows: self._batch(images, targets, rows))

    def close(self) -> None:
        """End the threads, free recorded batches, and let go of the loss, which belongs to what holds this object."""
        self.recorder, self._recorded_gradients = None, []
        self.loss_of = _closed
        if self.pool is not None:
            self.pool.shutdown()
        if self.autotune is not None:
            torch.set_num_threads(1)

    def _batch(self, images: Tensor, targets: Tensor, rows: int) -> Tensor:
        rounds = parts_of(len(images), rows)
        if rounds == 1 and self.recorder is not None:
            return self._recorded(self.recorder, images, targets)
        self._clear()
        if rounds == 1:
            return self._whole(images, targets)
        parts = zip(images.tensor_split(rounds), targets.tensor_split(rounds), strict=True)
        return torch.stack([self._micro_batch_loss(x, y, len(x) / len(images)) for x, y in parts]).sum()

    def _whole(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._micro_batch_loss(images, targets, 1.0)

    def _recorded(self, recorder: Recorder, images: Tensor, targets: Tensor) -> Tensor:
        before = recorder.recording
        loss = recorder(images, targets)
        if recorder.recording is None:
            self._recorded_gradients = []
            return loss
        if recorder.recording is not before:
            self._recorded_gradients = [parameter.grad for parameter in self.parameters]
        for parameter, gradient in zip(self.parameters, self._recorded_gradients, strict=True):
            parameter.grad = gradient  # another batch may have replaced it
        return loss

    def _clear(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def _micro_batch_loss(self, images: Tensor, targets: Tensor, share: float) -> Tensor:
        """Add the gradient of `share` times the mean loss of these rows; return that loss."""
        parts = min(self.parts, len(images) // MIN_PART)
        if self.pool is None or parts < 2:
            loss = self.loss_of(images, targets)
            loss = loss if share == 1.0 else loss * share
            self.scale(loss).backward()
            return loss.detach()
        shares = list(zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True))
        seeds = torch.randint(2**62, (parts,)).tolist() if self._random else [None] * parts
        # Wait for all, so that no thread continues after a failure.
        waiting = [
            self.pool.submit(self._part, x, y, seed) for (x, y), seed in zip(shares, seeds, strict=True)
        ]
        errors = [error for error in [future.exception() for future in waiting] if error is not None]
        if errors:
            raise errors[0]
        results = [future.result() for future in waiting]
        weights = [share * len(x) / len(images) for x, _ in shares]
        for i, parameter in enumerate(self.parameters):
            found = [(w, gradients[i]) for w, (_, gradients) in zip(weights, results, strict=True)]
            parameter.grad = _sum(found, parameter.grad)
        return torch.stack([w * loss for w, (loss, _) in zip(weights, results, strict=True)]).sum()

    def _part(self, images: Tensor, targets: Tensor, seed: int | None) -> Part:
        with drawing(seed):
            loss = self.loss_of(images, targets)
        return loss.detach(), torch.autograd.grad(self.scale(loss), self.parameters, allow_unused=True)


def _sum(parts: list[tuple[float, Tensor | None]], total: Tensor | None) -> Tensor | None:
    """Return `total` plus the weighted sum, computed in place; None if no part has a gradient."""
    for weight, gradient in parts:
        if gradient is None:
            continue
        total = gradient.mul_(weight) if total is None else total.add_(gradient, alpha=weight)
    return total


def autotuned() -> Autotune:
    """Return what chooses how threads share the work. On a busy machine they share no operators."""
    return Autotune(ONE_THREAD + 1, skip=lambda option: option == SPLIT_OPERATORS and slowdown() >= BUSY)
