"""Batches for training and scoring, gathered from the decoded pictures."""

from __future__ import annotations

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
from automl.data.loading.augment import Augment
from automl.data.loading.subset import part_of
from automl.data.loading.to_device import send
from automl.machine import cores
from automl.records import DatasetInfo, Rows

# What a GPU may hold of the pictures beside model and optimizer, as a share of its free memory.
_RESIDENT_SHARE = 0.3
# A trial has neighbours that decode too.
_STREAMING_THREADS = 2
_BATCHES_AHEAD = 3


@dataclass(frozen=True, eq=False)
class Batches:
    """The rows of one part in batches, epoch by epoch.

    Every pass gathers a batch of uint8 pictures at once, changes it with `augment` and normalises it with the
    mean and deviation of `info`. Where the disk has no room for decoded pictures, threads decode a few batches
    ahead. Order and augmentation of epoch n depend on (`seed`, n) alone. On a GPU the pictures stay in its memory
    if they fit, and how they are changed is recorded (`cuda_graphs.py`). `balanced` draws an epoch's rows with
    replacement, each class as often as the others. A `share` below 1 leaves the others out altogether: which rows
    stay depends on (`share`, `seed`). Raises ValueError for a batch size below 1, and for rows that give no batch at
    all.
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
        """Batches an epoch."""
        whole, rest = divmod(self.n, self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    @property
    def n(self) -> int:
        """Rows that an epoch goes through."""
        return len(self.rows) if self.share >= 1.0 else len(self._index)

    def epoch(self, n: int, *, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, targets) of epoch `n` on the device, without its first `skip` batches; the rest is the same.

        images: float32 (B, C, H, W), normalised, channels_last; targets: int64 (B,) for classification,
        float32 (B, outputs) otherwise. The last batch may be smaller unless `drop_last`.
        """
        generator = torch.Generator().manual_seed(self._seed_of(n))
        order = self._order(generator)
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        parts = [order[start : start + self.batch_size] for start in starts]
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
            yield self._normalised(pixels), send(self._targets[chosen], self.device)

    def _order(self, generator: torch.Generator) -> npt.NDArray[np.int64]:
        n = self.n
        if self.balanced:
            return torch.multinomial(self._weights, n, replacement=True, generator=generator).numpy()
        return torch.randperm(n, generator=generator).numpy() if self.shuffle else np.arange(n)

    def _seed_of(self, n: int) -> int:
        state = np.random.SeedSequence([self.seed & (2**63 - 1), n]).generate_state(1, np.uint64)
        return int(state[0]) & (2**63 - 1)

    def _gathered(self, parts: list[npt.NDArray[np.int64]]) -> Iterator[Tensor]:
        """The pictures of each part, in order; those that must be decoded are so by threads, ahead of need."""
        if not self.streamed:
            yield from map(self._gather, parts)
            return
        waiting: deque[Future[Tensor]] = deque()
        with ThreadPoolExecutor(min(_STREAMING_THREADS, cores()), thread_name_prefix="stream") as pool:
            try:
                for part in parts:
                    waiting.append(pool.submit(self._gather, part))
                    if len(waiting) > _BATCHES_AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:  # an epoch that the deadline cuts does not decode on
                pool.shutdown(wait=True, cancel_futures=True)

    def _gather(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        """The pictures of these rows, uint8 (B, C, H, W) in the memory order of (B, H, W, C)."""
        if self._resident is not None:
            picked = self._resident.index_select(0, self._sent(chosen))
        else:
            picked = send(torch.from_numpy(self._images[self._index[chosen]]), self.device)
        return picked.permute(0, 3, 1, 2)

    def _sent(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        return send(torch.from_numpy(chosen), self.device)

    def _normalised(self, pixels: Tensor) -> Tensor:
        scale, offset = self._affine
        return torch.addcmul(offset, pixels, scale).contiguous(memory_format=torch.channels_last)

    @property
    def streamed(self) -> bool:
        """Whether pictures are decoded in every epoch."""
        return is_streamed(self.rows.images)

    @cached_property
    def _images(self) -> npt.NDArray[np.uint8] | StreamedImages:
        return open_images(self.rows.images)

    @cached_property
    def _index(self) -> npt.NDArray[np.int64]:
        index = np.asarray(np.load(self.rows.index))
        if self.share >= 1.0:
            return index
        targets = np.load(self.rows.targets, mmap_mode="r")[index]
        return index[part_of(targets, self.info.task, self.share, self._seed_of(0))]

    @cached_property
    def _targets(self) -> Tensor:
        return torch.from_numpy(np.load(self.rows.targets)[self._index])

    @cached_property
    def _weights(self) -> Tensor:
        return row_weights(self._targets.numpy(), self.info.n_outputs)

    @cached_property
    def _affine(self) -> tuple[Tensor, Tensor]:
        """(scale, offset) that bring 0..255 to mean 0 and deviation 1."""
        mean = torch.tensor(self.info.mean, device=self.device).reshape(1, -1, 1, 1)
        std = torch.tensor(self.info.std, device=self.device).reshape(1, -1, 1, 1)
        return 1 / (255 * std), -mean / std

    @cached_property
    def _recorder(self) -> Recorder | None:
        """What makes a batch of rows and random numbers, recorded: where that is the same work each time."""
        augment, resident = self.augment, self._resident
        if resident is None or augment is None or augment.rand_augment or not self.drop_last:
            return None

        def made(chosen: Tensor, draw: Tensor) -> Tensor:
            pictures = resident.index_select(0, chosen).permute(0, 3, 1, 2)
            return self._normalised(augment.changed(pictures, draw))

        return Recorder(made)

    @cached_property
    def _resident(self) -> Tensor | None:
        """All pictures of the part in the memory of the GPU, or None on a CPU or where they do not fit."""
        device = torch.device(self.device)
        if device.type != "cuda" or self.streamed:
            return None
        free, _ = torch.cuda.mem_get_info(device)
        if self.n * int(np.prod(self._images.shape[1:])) > _RESIDENT_SHARE * free:
            return None
        return torch.from_numpy(self._images[self._index]).to(device)
