"""Batches for training and scoring, gathered from the decoded images."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.cuda_graphs import Recorder
from automl.data.balance import row_weights
from automl.data.cache.streamed_images import StreamedImages, is_streamed, open_images
from automl.data.constants import PREFETCHED_BATCHES, RESIDENT_SHARE, STREAMING_THREADS
from automl.data.loading.augment import Augment
from automl.data.loading.to_device import send
from automl.machine import cores
from automl.records import DatasetInfo, Rows, Task

FEWEST = 8  # rows of a class in a subset, if it has them


@dataclass(frozen=True, eq=False)
class Batches:
    """The rows of one part in batches, epoch by epoch.

    A batch of uint8 images is gathered at once, changed by `augment` and normalized with mean and deviation of `info`.
    If the disk has no room for decoded images, threads decode and prefetch a few batches. Order and augmentation of
    epoch n depend only on (`seed`, n). On a GPU, the images stay in its memory if they fit, and the augmentation is
    recorded (`cuda_graphs.py`). `balanced` draws an epoch's rows with replacement, each class equally often. A `share`
    below 1 uses only this part of the rows, chosen by (`share`, `seed`). Raises ValueError for a batch size below 1,
    and if the rows are too few for a batch.
    """

    rows: Rows
    _: KW_ONLY
    batch_size: int
    info: DatasetInfo
    augment: Augment | None = None
    shuffle: bool
    seed: int
    device: torch.device | str
    drop_last: bool = False
    balanced: bool = False
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"the batch size must be at least 1, not {self.batch_size!r}")
        if len(self) == 0:
            raise ValueError(f"batches of {self.batch_size} need more than {self.n} rows, or drop_last=False")

    def __len__(self) -> int:
        """Batches per epoch."""
        whole, rest = divmod(self.n, self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    @property
    def n(self) -> int:
        """Rows per epoch."""
        return len(self.rows) if self.share >= 1.0 else len(self.index)

    def epoch(self, n: int, *, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, targets) of epoch `n` on the device, without its first `skip` batches.

        images: float32 (B, C, H, W), normalized, channels_last; targets: int64 (B,) for classification, float32
        (B, outputs) otherwise. The last batch may be smaller unless `drop_last`.
        """
        generator = torch.Generator().manual_seed(self._seed_of(n))
        parts = self._parts(generator)
        if self.augment is not None:
            for chosen in parts[:skip]:
                self.augment.draw(len(chosen), generator)
        parts = parts[skip:]
        if self._recorder is not None and self.augment is not None:
            for chosen in parts:
                draw, _ = self.augment.draw(len(chosen), generator)
                pixels = self._recorder(self._sent(chosen), send(draw, self.device))
                yield pixels, send(self._targets[chosen], self.device)
            return
        for chosen, images in zip(parts, self._gathered(parts), strict=True):
            pixels = self.augment(images, generator) if self.augment is not None else images.float()
            yield self._normalized(pixels), send(self._targets[chosen], self.device)

    def chosen(self, n: int) -> list[npt.NDArray[np.int64]]:
        """Return the positions (B,) of the rows of each batch of epoch `n`, among those of the part."""
        return self._parts(torch.Generator().manual_seed(self._seed_of(n)))

    def drawn(self, chosen: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Return images of the rows at these positions as `epoch` does, with an augmentation of their own."""
        images = self._gather(chosen)
        return self._normalized(images.float() if self.augment is None else self.augment(images, generator))

    def targets_of(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        """Return targets of the rows at these positions as `epoch` does."""
        return send(self._targets[chosen], self.device)

    def _parts(self, generator: torch.Generator) -> list[npt.NDArray[np.int64]]:
        order = self._order(generator)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        return [order[start : start + self.batch_size] for start in starts]

    def _order(self, generator: torch.Generator) -> npt.NDArray[np.int64]:
        n = self.n
        if self.balanced:
            return torch.multinomial(self._weights, n, replacement=True, generator=generator).numpy()
        return torch.randperm(n, generator=generator).numpy() if self.shuffle else np.arange(n)

    def _seed_of(self, n: int) -> int:
        state = np.random.SeedSequence([self.seed & (2**63 - 1), n]).generate_state(1, np.uint64)
        return int(state[0]) & (2**63 - 1)

    def _gathered(self, parts: list[npt.NDArray[np.int64]]) -> Iterator[Tensor]:
        """Yield the images of each part, in order; threads decode and prefetch streamed ones."""
        if not self.streamed:
            yield from map(self._gather, parts)
            return
        waiting: deque[Future[Tensor]] = deque()
        with ThreadPoolExecutor(min(STREAMING_THREADS, cores()), thread_name_prefix="stream") as pool:
            try:
                for part in parts:
                    waiting.append(pool.submit(self._gather, part))
                    if len(waiting) > PREFETCHED_BATCHES:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:  # if the deadline ends the epoch, decoding stops
                pool.shutdown(wait=True, cancel_futures=True)

    def _gather(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        """Return the images of these rows, uint8 (B, C, H, W) in channels_last memory."""
        if self._resident is not None:
            picked = self._resident.index_select(0, self._sent(chosen))
        else:
            picked = send(torch.from_numpy(self._images[self.index[chosen]]), self.device)
        return picked.permute(0, 3, 1, 2)

    def _sent(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        return send(torch.from_numpy(chosen), self.device)

    def _normalized(self, pixels: Tensor) -> Tensor:
        scale, offset = self._affine
        return torch.addcmul(offset, pixels, scale).contiguous(memory_format=torch.channels_last)

    @property
    def streamed(self) -> bool:
        """Return whether images are decoded in every epoch."""
        return is_streamed(self.rows.images_at(self.info.img_size))

    @cached_property
    def _images(self) -> npt.NDArray[np.uint8] | StreamedImages:
        return open_images(self.rows.images_at(self.info.img_size))

    @cached_property
    def index(self) -> npt.NDArray[np.int64]:
        """The rows of the data (n,) in an epoch."""
        index = np.asarray(np.load(self.rows.index))
        if self.share >= 1.0:
            return index
        targets = np.load(self.rows.targets, mmap_mode="r")[index]
        return index[subset(targets, self.info.task, self.share, self._seed_of(0))]

    @cached_property
    def _targets(self) -> Tensor:
        return torch.from_numpy(np.load(self.rows.targets)[self.index])

    @cached_property
    def _weights(self) -> Tensor:
        return row_weights(self._targets.numpy(), self.info.n_outputs)

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        """Return (scale, offset) that map 0..255 to mean 0 and deviation 1."""
        mean = torch.tensor(self.info.mean, device=self.device).reshape(1, -1, 1, 1)
        std = torch.tensor(self.info.std, device=self.device).reshape(1, -1, 1, 1)
        return 1 / (255 * std), -mean / std

    @cached_property
    def _recorder(self) -> Recorder | None:
        """Return the recorded function from rows and random numbers to a batch; None if its work is not constant."""
        augment, resident = self.augment, self._resident
        if resident is None or augment is None or augment.rand_augment or not self.drop_last:
            return None

        def made(chosen: Tensor, draw: Tensor) -> Tensor:
            images = resident.index_select(0, chosen).permute(0, 3, 1, 2)
            return self._normalized(augment.changed(images, draw))

        return Recorder(made)

    @cached_property
    def _resident(self) -> Tensor | None:
        """Return all images of the part in GPU memory; None on a CPU or if they do not fit."""
        device = torch.device(self.device)
        if device.type != "cuda" or self.streamed:
            return None
        free, _ = torch.cuda.mem_get_info(device)
        if self.n * int(np.prod(self._images.shape[1:])) > RESIDENT_SHARE * free:
            return None
        return torch.from_numpy(self._images[self.index]).to(device)


def subset(targets: npt.NDArray[np.generic], task: Task, share: float, seed: int) -> npt.NDArray[np.int64]:
    """Return sorted positions of a share (0 to 1) of the rows with these `targets`, the same for the same seed.

    `targets`: (n,) for classification, (n, outputs) otherwise. Each class keeps its share, rounded up, and
    at least eight rows if it has them; so there are never fewer rows than the share of all.
    """
    rng, n = np.random.default_rng(seed), len(targets)
    if task != "classification":
        return np.sort(rng.permutation(n)[: math.ceil(share * n)])
    order = rng.permutation(n)
    order = order[np.argsort(targets[order], kind="stable")]  # one class after another, each in random order
    _, first, counts = np.unique(targets[order], return_index=True, return_counts=True)
    kept = np.maximum(FEWEST, np.ceil(share * counts))
    rank = np.arange(n) - np.repeat(first, counts)
    return np.sort(order[rank < np.repeat(kept, counts)])
