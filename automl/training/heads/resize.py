"""Whether images that are not square should be cut to their central square or squeezed into one.

Both ways are compared by linear models on frozen features of some training images: what lies at the edges is lost in a
crop, and shapes change in a squeezed image. Which of them costs more depends on the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from automl.data.labelled_rows import Labelled
from automl.data.pixels import quiet_pillow, to_pixels
from automl.data.sources.base import Source
from automl.data.splits import TRAIN, Split
from automl.errors import DataError
from automl.machine import Moment
from automl.records import DatasetInfo, Resize
from automl.training.heads.features import Features
from automl.training.heads.fit import Fitting, Problem, Scale, one_blas_thread, solve
from automl.training.heads.frozen_network import FrozenNetwork
from automl.training.heads.strength import DEFAULT, FOLDS
from automl.training.models.build import input_size, model_arguments
from automl.training.models.finetune import Classifier
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, normalised, verify

SQUARE = 1.1  # long side by short side of the median image, below which both ways are nearly the same
SIDE = 128  # pixels: a look needs no more
MOST, LEAST = 256, 60  # images of a look
ENOUGH_ERRORS = 1.0  # standard errors by which squeezing must be better
_HEADERS = 64
WAYS: tuple[Resize, ...] = get_args(Resize)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Ways:
    """The loss of linear models on images that were cropped and squeezed, by cross-validation on `rows` images.

    `error` is the standard error of the difference between both means.
    """

    crop: float
    squeeze: float
    error: float
    rows: int

    @property
    def better(self) -> Resize:
        """Return `squeeze` if it is better by more than one standard error."""
        return "squeeze" if self.crop - self.squeeze > ENOUGH_ERRORS * self.error else "crop"

    def in_words(self) -> str:
        """Return what was found, as a sentence."""
        what = "squeezed into squares" if self.better == "squeeze" else "cut to their central square"
        return (
            f"Images are {what}: on {self.rows} training images a linear head has a loss of {self.squeeze:.3f} if they "
            f"are squeezed and {self.crop:.3f} if they are cut (standard error of the difference {self.error:.3f})."
        )


def compare_ways(
    source: Source,
    labelled: Labelled,
    split: Split,
    weights: Weights,
    *,
    until: Moment,
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
) -> Ways | None:
    """Compare both ways on random training images, until the moment `until`.

    Returns None if most images are nearly square, if fewer than LEAST could be read in time, or for a network without a
    linear classifier. Raises ModelError for weights that cannot be used.
    """
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(np.array(split.parts) == TRAIN))[:MOST]
    if len(rows) < LEAST or _median_ratio(source, labelled.usable[rows[:_HEADERS]]) < SQUARE:
        return None
    info = _info(labelled, rows)
    # A configuration must have a learning rate, although nothing is trained.
    recipe = Recipe.from_config({"model": weights.model, "pretrained": True, "size": SIDE, "lr": 1e-3})
    side, wanted = input_size(recipe, info), normalised(info, weights)
    model = verify(weights, model_arguments(recipe, info, weights))
    classifier = Classifier.of(model)
    if classifier is None:
        return None
    with FrozenNetwork(model, classifier, size=side, device=device, threads=threads) as network:
        read, features = _read(source, labelled.usable[rows], network, wanted, until)
    if len(read) < LEAST:
        return None
    targets = torch.from_numpy(np.asarray(labelled.targets)[rows[read]])
    crop, squeeze = (
        _losses(Features(values[None], targets), Problem(info, None), until) for values in features
    )
    gain = crop - squeeze
    error = float(gain.std(ddof=1)) / math.sqrt(len(gain))
    return Ways(float(crop.mean()), float(squeeze.mean()), error, len(gain))


def _median_ratio(source: Source, rows: Array) -> float:
    ratios = []
    with quiet_pillow():
        for row in rows.tolist():
            width, height = source.load(row).size
            ratios.append(max(width, height) / min(width, height))
    return float(np.median(ratios))


def _info(labelled: Labelled, rows: Array) -> DatasetInfo:
    """Return what linear models and networks must know about these rows."""
    targets = np.asarray(labelled.targets)[rows]
    target_mean, target_std = tuple[float, ...](), tuple[float, ...]()
    if labelled.task == "regression":
        spread = targets.std(axis=0, dtype=np.float64)
        target_mean = tuple(targets.mean(axis=0, dtype=np.float64).tolist())
        target_std = tuple(np.where(spread > 0, spread, 1.0).tolist())
    return DatasetInfo(
        name="",
        task=labelled.task,
        classes=labelled.classes,
        in_chans=3,
        img_size=SIDE,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        class_counts=(len(rows),) * len(labelled.classes),
        fingerprint="",
        n_train=len(rows),
        n_val=0,
        folds=0,
        n_holdout=0,
        n_skipped=0,
        large_size=0,
        resize="crop",
        target_mean=target_mean,
        target_std=target_std,
    )


def _read(
    source: Source, rows: Array, network: FrozenNetwork, info: DatasetInfo, until: Moment
) -> tuple[Array, list[Array]]:
    """Return the places of the rows that were read, and their features (n, d), cropped and squeezed."""
    read, found = list[int](), [list[Array]() for _ in WAYS]
    with (
        ThreadPoolExecutor(max(1, network.batch_size // 8), thread_name_prefix="look") as pool,
        quiet_pillow(),
    ):
        for start in range(0, len(rows), network.batch_size):
            if start and until.passed():
                break
            part = rows[start : start + network.batch_size].tolist()
            pixels = list(pool.map(lambda row: _both_ways(source, row), part))
            good = [place for place, both in enumerate(pixels) if both is not None]
            read += [start + place for place in good]
            for way, values in enumerate(found):
                images = [both[way] for both in pixels if both is not None]
                values += [network(_input(images, info), mirrored=False)] if images else []
    return np.array(read, dtype=np.int64), [
        np.concatenate(values) if values else np.empty((0, 1)) for values in found
    ]


def _both_ways(source: Source, row: int) -> list[Array] | None:
    """Return the image in both ways; None if it can no longer be read."""
    try:
        return [
            to_pixels(source.load(row), size=SIDE, channels=3, resize=way, pixel_range=source.pixel_range)
            for way in WAYS
        ]
    except DataError:
        return None


def _input(images: Sequence[Array], info: DatasetInfo) -> Tensor:
    """Return normalised images (B, 3, H, W)."""
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255.0
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (info.mean, info.std))
    return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)


def _losses(features: Features, problem: Problem, until: Moment) -> Array:
    """Return the loss (n,) of each image by models that were fitted on the others, in folds."""
    y, x = problem.targets(features.targets), features.values[0]
    found = np.empty(len(x))
    with one_blas_thread():
        for fitted, scored in _folds(len(x)):
            scale = Scale.of(Features(x[None, fitted], features.targets[fitted]))
            how = Fitting(strength=DEFAULT, until=until, rough=True)
            layer = scale.fold(solve(problem, (x[fitted] - scale.mean) / scale.deviation, y[fitted], how))
            outputs = layer(x[scored])
            found[scored] = [problem.loss(outputs[[k]], y[scored[[k]]]) for k in range(len(scored))]
    return found


def _folds(n: int) -> Iterator[tuple[Array, Array]]:
    """Yield the places to fit on and to score; rows are in random order already."""
    fold = np.arange(n) % FOLDS
    for k in range(FOLDS):
        yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)
