"""The layers of a pretrained network that do not learn, computed for a part of each batch only.

Where only the last stage learns, most work of a step is that of the layers below it. The final training on a CPU keeps
what these put out for the last augmented views of each image. A step computes new views of a fifth of its images, and
takes the other images in a view that is kept.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from automl.data.loading.batches import Batches
from automl.machine import free_memory
from automl.training.evaluate import autocast, fit_size
from automl.training.hardware.out_of_memory import parts_of
from automl.training.models.memory_format import at_once
from automl.training.plan import Precision

MOST_VIEWS, FEWEST_VIEWS = 8, 2  # of each image that are kept
RENEWED = 0.2  # of each batch: images of which a new view is computed
MOST_BYTES, MEMORY_SHARE = 2e9, 0.25  # of what is kept: at most, and of the memory that is free
LARGEST_HALF = 6e4  # of float16
CLOSE = 1e-3  # of the outputs: the parts are the whole

_Index = npt.NDArray[np.int64]


class _ReachedError(Exception):
    """The frozen part has put out `found`."""

    def __init__(self, found: Tensor) -> None:
        self.found = found


class FrozenPart:
    """Divides a network after the last layer that is frozen. `find` makes one.

    `frozen` are the outermost modules of the first part, in the order in which they run. `first` is None where the
    network does nothing but call them one after the other. A transformer adds positions to its patches between them:
    there, `first` is what the first of these modules puts out for an image, (1, ...).
    """

    def __init__(self, model: nn.Module, frozen: list[nn.Module], first: Tensor | None = None) -> None:
        self.model, self.frozen, self.first = model, frozen, first
        self._given = threading.local()  # parts of a batch run in threads

    @classmethod
    @torch.no_grad()
    def find(cls, model: nn.Module, images: Tensor) -> FrozenPart | None:
        """Return the division of a network, None if there is none whose parts give the outputs of the whole.

        `images` (B, C, H, W) are some that it is tried on.
        """
        ran = _run_before_learning(model, images)
        training = model.training
        model.eval()
        try:
            return next((part for frozen in _ends(ran) if (part := cls._of(model, frozen, images))), None)
        finally:
            model.train(training)

    @classmethod
    def _of(cls, model: nn.Module, frozen: list[nn.Module], images: Tensor) -> FrozenPart | None:
        """Return the division after the last of these modules, None if its parts do not give what the whole gives."""
        try:
            plain = cls(model, frozen)
            if plain._gives_the_whole(images):
                return plain
            first = cls(model, frozen[:1]).outputs(images[:1])
            with_first = cls(model, frozen, first)
            return with_first if len(frozen) > 1 and with_first._gives_the_whole(images) else None
        except Exception:  # what a network puts out may be no tensor
            return None

    def _gives_the_whole(self, images: Tensor) -> bool:
        try:
            whole, between = self.model(images), self.outputs(images)
            if not isinstance(between, Tensor) or float(between.abs().max()) > LARGEST_HALF:
                return False
            with self.skipped():
                rest = self.model(between)
        except Exception:  # a network raises nearly anything on other shapes: then it cannot be divided here
            return False
        scale = float(whole.abs().max())
        return whole.shape == rest.shape and bool(((whole - rest).abs() <= CLOSE * max(scale, 1.0)).all())

    @torch.no_grad()
    def outputs(self, images: Tensor) -> Tensor:
        """Return the output of the frozen part, (B, ...)."""
        with self._stopping():
            return self._outputs(images)

    def outputs_in_threads(
        self, images: Tensor, pool: ThreadPoolExecutor, parts: int, precision: Precision = "fp32"
    ) -> Tensor:
        """Return `outputs`, computed in `parts` by the threads of `pool`."""

        def computed(some: Tensor) -> Tensor:
            with torch.no_grad(), autocast("cpu", precision):  # both are a thread's own
                return self._outputs(some)

        with self._stopping():
            return torch.cat(list(pool.map(computed, images.tensor_split(min(parts, len(images))))))

    @contextmanager
    def skipped(self) -> Iterator[None]:
        """In the block, the network takes outputs of the frozen part in place of images."""
        for module in self.frozen:
            module.forward = _same
        if self.first is not None:
            self.frozen[0].forward, self.frozen[-1].forward = self._take, self._give
        try:
            yield
        finally:
            for module in self.frozen:
                del module.forward

    def _take(self, between: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return an output of the first module: what the network does with it counts no more."""
        assert self.first is not None
        self._given.between = between
        return self.first.expand(len(between), *self.first.shape[1:])

    def _give(self, *_: Any, **__: Any) -> Tensor:
        found: Tensor = self._given.between
        return found

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """In the block, the network stops after its frozen part."""
        handle = self.frozen[-1].register_forward_hook(_stop)
        try:
            yield
        finally:
            handle.remove()

    def _outputs(self, images: Tensor) -> Tensor:
        try:
            self.model(images)
        except _ReachedError as reached:
            return reached.found
        raise RuntimeError("the last frozen layer did not run")


class KeptOutputs:
    """Batches of outputs of the frozen part, in place of images: `epoch` is that of `Batches`.

    For each row, the outputs of its last views are kept in memory, at most `views`. In each batch, rows without a view
    and others, a fifth of the batch at least, get a new one, and the rest a random one of those that are kept. A batch
    of images runs on `threads` threads. Outputs are kept with 16 bits.
    """

    def __init__(
        self,
        part: FrozenPart,
        batches: Batches,
        *,
        size: int,
        views: int,
        precision: Precision,
        threads: int = 1,
    ) -> None:
        self.part, self.batches = part, batches
        self._size, self._views, self._precision = size, views, precision
        self._pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        self._threads = threads
        self._at_once = at_once(size, "cpu", most=batches.batch_size)
        self._seen: _Index = np.zeros(batches.n, dtype=np.int64)  # views of each row so far
        self._kept: Tensor | None = None
        self._shape: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, model: nn.Module, batches: Batches, *, size: int, precision: Precision, threads: int
    ) -> KeptOutputs | None:
        """Return the batches for a network, None if it cannot be divided or the memory is too small for two views."""
        images, _ = next(iter(batches.epoch(0)))
        part = FrozenPart.find(model, fit_size(images[:2], size))
        if part is None:
            return None
        one = part.outputs(fit_size(images[:1], size))
        free = min(MOST_BYTES, MEMORY_SHARE * free_memory())
        views = min(MOST_VIEWS, int(free / (2 * one.numel() * batches.n)))
        if views < FEWEST_VIEWS:
            return None
        return cls(part, batches, size=size, views=views, precision=precision, threads=threads)

    def close(self) -> None:
        """Free the memory, and end the threads."""
        self._kept = None
        self._pool.shutdown()

    def epoch(self, n: int, *, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (outputs, targets) of epoch `n`, without its first `skip` batches."""
        rng = np.random.default_rng([self.batches.seed & (2**63 - 1), n])
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        for chosen in self.batches.chosen(n)[skip:]:
            new = self._renewed(chosen, rng)
            self._keep(chosen[new], self.batches.drawn(chosen[new], generator))
            known = np.minimum(self._seen[chosen], self._views)
            views = np.where(new, self._seen[chosen] - 1, rng.integers(0, known)) % self._views
            yield self._load(chosen, views), self.batches.targets_of(chosen)

    def _renewed(self, chosen: _Index, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        """Return which rows of a batch get a new view (B,)."""
        new = self._seen[chosen] == 0
        others = np.flatnonzero(~new)
        more = math.ceil(RENEWED * len(chosen)) - int(new.sum())
        new[rng.permutation(others)[: max(0, more)]] = True
        return np.asarray(new)

    def _keep(self, rows: _Index, images: Tensor) -> None:
        """Keep the outputs for images (B, C, H, W) of these rows as their next view; of equal rows, the last one."""
        images = fit_size(images, self._size)
        most = min(self._at_once, max(1, len(images) // self._threads))
        found = self.part.outputs_in_threads(images, self._pool, parts_of(len(images), most), self._precision)
        found = found.clamp(-LARGEST_HALF, LARGEST_HALF)
        if found.ndim == 4:  # as convolutions have it in memory
            found = found.permute(0, 2, 3, 1)
        if self._kept is None:
            self._shape = tuple(found.shape[1:])
            half = torch.bfloat16 if found.dtype == torch.bfloat16 else torch.float16
            self._kept = torch.empty((self.batches.n * self._views, found[0].numel()), dtype=half)
        places = torch.from_numpy(rows * self._views + self._seen[rows] % self._views)
        self._kept[places] = found.reshape(len(found), -1).to(self._kept.dtype)
        self._seen[rows] = self._seen[rows] + 1

    def _load(self, rows: _Index, views: _Index) -> Tensor:
        assert self._kept is not None, "a view is kept before it is loaded"
        found = self._kept[torch.from_numpy(rows * self._views + views)].float().reshape(-1, *self._shape)
        return found.permute(0, 3, 1, 2) if found.ndim == 4 else found


def _run_before_learning(model: nn.Module, images: Tensor) -> list[nn.Module]:
    """Return the outermost modules without learning parameters that end before the first learning parameter is used."""
    ended: list[nn.Module] = []

    def entering(module: nn.Module, _: Any) -> None:
        if any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
            raise _ReachedError(images)

    def left(module: nn.Module, _: Any, __: Any) -> None:
        if module is not model:
            ended.append(module)

    hooks = [module.register_forward_pre_hook(entering) for module in model.modules()]
    hooks += [module.register_forward_hook(left) for module in model.modules()]
    training = model.training
    model.eval()
    try:
        with suppress(_ReachedError):
            model(images)
            return []  # nothing learns
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    frozen = [module for module in ended if not any(p.requires_grad for p in module.parameters())]
    inner = {id(child) for module in frozen for child in module.modules() if child is not module}
    return [module for module in dict.fromkeys(frozen) if id(module) not in inner]


def _ends(ran: list[nn.Module]) -> Iterator[list[nn.Module]]:
    """Yield the modules up to where a network may be divided: all, or those up to the last one with parameters.

    What comes behind it has none, and may belong to the first block that learns: a pooling or an activation in one of
    its branches, beside another branch that takes the input of the block.
    """
    if ran:
        yield ran
    weighty = [
        place for place, module in enumerate(ran, start=1) if next(module.parameters(), None) is not None
    ]
    if weighty and weighty[-1] < len(ran):
        yield ran[: weighty[-1]]


def _same(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x


def _stop(_: nn.Module, __: Any, found: Tensor) -> None:
    raise _ReachedError(found)
