"""Reading the features of a frozen network for as many rows as the time allows."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.data.loading.batches import Batches
from automl.machine import Moment
from automl.records import DatasetInfo, Rows, SearchSplits
from automl.training.hardware.half_precision import has_bf16
from automl.training.heads.feature_cache import FeatureCache, as_kept
from automl.training.heads.frozen_network import FrozenNetwork
from automl.training.plan import Precision

MOST_TRAIN, MOST_VAL = 20_000, 8_000  # rows
_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")

Array = npt.NDArray[np.float32]
_Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Features:
    """Features of n images: `values` (views, n, d), the second view that of the mirror images; `targets` (n, ...).

    `rows` (n,) are the rows of the data that they are of, empty if that does not matter.
    """

    values: Array
    targets: Tensor
    rows: _Index = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return int(self.values.shape[1])

    @property
    def views(self) -> int:
        """1, or 2 with mirror images."""
        return int(self.values.shape[0])


class FeatureReader:
    """Reads features of the rows of a data set, from the cache where they are there.

    `facts` describe network, weights, input and images completely, for the cache. `info` holds the statistics that
    normalise the images. `should_stop` is called before each batch, and ends the reading as the clock does.
    """

    def __init__(
        self,
        network: FrozenNetwork,
        info: DatasetInfo,
        cache: FeatureCache,
        facts: dict[str, Any],
        device: str,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._network, self._info, self._device = network, info, device
        self._cache, self._facts, self._should_stop = cache, facts, should_stop

    def read(
        self, splits: SearchSplits, *, until: Moment, seed: int, views: int = 2, in_turns: bool = False
    ) -> tuple[Features, Features] | None:
        """Return features of training rows and of validation rows.

        Rows are taken in random order until the moment `until`, at least a batch of each part; with `in_turns`, the
        classes of training rows take turns, so that few rows hold all of a rare one. Mirror images come afterwards; if
        there is no time for all of them, there is one view. Returns None for a network that does not end in its
        classifier.
        """
        order = _drawn(splits.train, seed)
        if in_turns:
            order = _class_by_class(splits.train, order)
        chosen = [_drawn(splits.val, seed)[:MOST_VAL], order[:MOST_TRAIN]]
        parts = list(zip((splits.val, splits.train), chosen, strict=True))
        if not self._prepare(parts, until):
            return None
        share = len(chosen[0]) / max(1, sum(map(len, chosen)))
        ends = (Moment.now().later(max(0.1, share) * until.left()), until)
        plain = [
            self._read(rows, order, mirrored=False, until=end)
            for (rows, order), end in zip(parts, ends, strict=True)
        ]
        seen = [[values] for _, values in plain]
        if views > 1 and all(len(read) == len(order) for (read, _), order in zip(plain, chosen, strict=True)):
            mirrored = self._mirrored(parts, until)
            seen = [[*values, *others] for values, others in zip(seen, mirrored, strict=True)]
        val, train = (
            Features(np.stack(values), _targets(rows, read), read)
            for (rows, _), (read, _), values in zip(parts, plain, seen, strict=True)
        )
        return train, val

    def _prepare(self, parts: list[tuple[Rows, _Index]], until: Moment) -> bool:
        """Choose precision and batch size, if rows are not in the cache; return whether the network can be used."""
        known = {precision: self._known(parts, precision, mirrored=False) for precision in _PRECISIONS}
        n = sum(len(order) for _, order in parts)
        # Without bf16 in hardware, only rows that another machine has read in it are of use, and only all of them.
        usable = [one for one in _PRECISIONS if one == "fp32" or has_bf16(self._device) or known[one] == n]
        best = max(usable, key=lambda precision: known[precision])
        self._network.precision = best
        missing = n - known[best]
        if not missing:
            return True
        rows, order = next(part for part in parts if len(part[1]))
        images = next(self._images(rows, order[: self._network.batch_size]))
        if not self._network.ends_in_classifier(images):
            return False
        if not until.passed():
            # What is there decides, so that rows of both precisions do not mix, and none is computed twice.
            self._network.measure(images, 2 * missing, precisions=(best,) if known[best] else usable)
        return True

    def _known(self, parts: list[tuple[Rows, _Index]], precision: Precision, *, mirrored: bool) -> int:
        """Return how many rows are in the cache."""
        with self._cache.entry(self._described(precision, mirrored=mirrored)) as entry:
            return sum(entry.count(order) for _, order in parts)

    def _mirrored(self, parts: list[tuple[Rows, _Index]], until: Moment) -> list[list[Array]]:
        """Return the features of the mirror images of each part, none if the time does not suffice for all."""
        missing = sum(len(order) for _, order in parts) - self._known(
            parts, self._network.precision, mirrored=True
        )
        if missing * self._network.seconds_per_image > until.left():
            return [[] for _ in parts]
        found = []
        for rows, order in parts:
            read, values = self._read(rows, order, mirrored=True, until=until)
            if len(read) < len(order):
                return [[] for _ in parts]
            found.append([values])
        return found

    def _read(self, rows: Rows, order: _Index, *, mirrored: bool, until: Moment) -> tuple[_Index, Array]:
        """Return the rows that could be read, in their order, and their features (n, d).

        At least one batch is read, unless they are mirrored.
        """
        network = self._network
        with self._cache.entry(self._described(network.precision, mirrored=mirrored)) as entry:
            values, there = entry.load(order, network.width)
            missing = np.flatnonzero(~there)
            begin = 0
            with closing(self._images(rows, order[missing])) as batches:
                for images in batches:
                    if (until.passed() or self._should_stop()) and (mirrored or there.any()):
                        break
                    places = missing[begin : begin + len(images)]
                    begin += len(images)
                    kept = as_kept(network(images, mirrored=mirrored), half=network.precision != "fp32")
                    values[places], there[places] = kept, True
                    entry.add(order[places], kept)
        return order[there], values[there]

    def _images(self, rows: Rows, order: _Index) -> Generator[Tensor, None, None]:
        """Yield batches of normalised images of these rows, in this order."""
        if not len(order):
            return
        with TemporaryDirectory() as folder:
            index = Path(folder) / "rows.npy"
            np.save(index, order)
            some = replace(rows, index=index, n=len(order))
            size = min(self._network.batch_size, len(order))
            batches = Batches(
                some, batch_size=size, info=self._info, shuffle=False, seed=0, device=self._device
            )
            for images, _ in batches.epoch(0):
                yield images

    def _described(self, precision: Precision, *, mirrored: bool) -> dict[str, Any]:
        return {**self._facts, "precision": precision, "mirrored": mirrored}


def _drawn(rows: Rows, seed: int) -> _Index:
    """Return the rows in random order."""
    index = np.load(rows.index)
    return np.asarray(index[np.random.default_rng([seed, len(index)]).permutation(len(index))])


def _class_by_class(rows: Rows, order: _Index) -> _Index:
    """Return the rows so that the classes (n,) take turns while they last."""
    labels = np.load(rows.targets, mmap_mode="r")[order]
    turn = np.empty(len(order), dtype=np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        turn[own] = np.arange(len(own))
    return order[np.argsort(turn, kind="stable")]


def _targets(rows: Rows, chosen: _Index) -> Tensor:
    return torch.from_numpy(np.load(rows.targets, mmap_mode="r")[chosen])
