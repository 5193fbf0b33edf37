"""Score pretrained networks by a linear model on their frozen features.

Features of some training rows are computed once, a ridge regression on one-hot targets is solved in closed form, and
validation rows are scored. This takes seconds per architecture, fine-tuning minutes. It ranks pretrained networks as in
Kornblith, Shlens and Le 2019, "Do better ImageNet models transfer better?", section 4.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.data.loading.batches import Batches
from automl.records import DatasetInfo, Rows, SearchSplits, Task
from automl.torch_setup import set_threads
from automl.training.evaluate import fit_size
from automl.training.models.build import input_size, model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.models.memory_format import at_once, channels_last
from automl.training.models.pretrained_weights import Weights, normalised, verify
from automl.training.steps.losses import standardised
from automl.training.steps.metrics import compute

Array = npt.NDArray[np.float32]

PIXELS = 16  # side of the thumbnails that features are compared with
_BATCH = 32
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0)  # times the mean square of the features
# Metrics of labels or ranks: a ridge regression gives no useful probabilities.
METRICS: dict[Task, str] = {
    "classification": "balanced_accuracy",
    "multilabel": "average_precision",
    "regression": "r2",
}


class OutOfTimeError(Exception):
    """The time ended before the features of an architecture were computed."""


@dataclass(frozen=True)
class ProbeScore:
    """The score of one network: the metric of METRICS on validation rows.

    `images_per_second` is the speed of forward passes at `size` pixels on all cores.
    """

    model: str
    score: float
    size: int
    images_per_second: float


@dataclass(frozen=True)
class Sample:
    """The rows of a probe, the same for all architectures, and the device."""

    train: Rows
    val: Rows
    info: DatasetInfo
    device: str
    threads: int


def sample(splits: SearchSplits, folder: Path, *, most: int, device: str, threads: int) -> Sample:
    """Draw at most `most` training rows and half as many validation rows, balanced; indices go to `folder`."""
    parts = [
        _subset(rows, splits.info, folder / f"probe_{name}.npy", count)
        for name, rows, count in (("train", splits.train, most), ("val", splits.val, most // 2))
    ]
    return Sample(parts[0], parts[1], splits.info, device, threads)


def probe_features(weights: Weights, recipe: Recipe, rows: Sample, *, until: float) -> ProbeScore:
    """Score the frozen features of `weights` at the input size of `recipe`.

    Raises OutOfTimeError at the moment `until` (of `time.monotonic()`), ModelError for weights that cannot be used.
    """
    info, size = normalised(rows.info.detailed, weights), input_size(recipe, rows.info)
    arguments = model_arguments(recipe, rows.info, weights)
    model = channels_last(verify(weights, {**arguments, "num_classes": 0}), rows.device).eval()
    together = at_once(size, rows.device, most=_BATCH)

    def embed(images: Tensor) -> Tensor:
        found = []
        for part in images.split(together):
            _look_at_the_clock(until)
            found.append(_pooled(model, fit_size(part, size)))
        return torch.cat(found)

    with torch.inference_mode():  # the first images also pay for setting up the layers
        embed(torch.zeros(together, rows.info.in_chans, size, size, device=rows.device))
    begun = time.perf_counter()
    features = [_features(part, info, embed, rows) for part in (rows.train, rows.val)]
    rate = (len(rows.train) + len(rows.val)) / (time.perf_counter() - begun)
    return ProbeScore(weights.model, _linear(features, info, rows.threads, until), size, rate)


def probe_pixels(rows: Sample) -> float:
    """Score the pixels themselves at 16 x 16, as a baseline for features."""

    def embed(images: Tensor) -> Tensor:
        return F.interpolate(images, size=(PIXELS, PIXELS), mode="area").flatten(1)

    features = [_features(part, rows.info, embed, rows) for part in (rows.train, rows.val)]
    return _linear(features, rows.info, rows.threads)


def _subset(rows: Rows, info: DatasetInfo, index: Path, most: int) -> Rows:
    chosen = np.load(rows.index)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(chosen))
    if info.task == "classification":  # the first row of each class, then the second of each, ...
        targets = np.load(rows.targets, mmap_mode="r")[chosen[order]]
        seen = np.zeros(info.n_outputs, dtype=np.int64)
        place = np.empty(len(order), dtype=np.int64)
        for i, target in enumerate(targets):
            place[i] = seen[target]
            seen[target] += 1
        order = order[np.argsort(place, kind="stable")]
    kept = np.sort(chosen[order[:most]])
    np.save(index, kept)
    return replace(rows, index=index, n=len(kept))


def _features(
    rows: Rows, info: DatasetInfo, embed: Callable[[Tensor], Tensor], sample: Sample
) -> tuple[Array, Tensor]:
    """Return features (n, d) and targets of the rows. On a CPU each thread processes its own batches."""
    batches = Batches(rows, batch_size=_BATCH, info=info, shuffle=False, seed=0, device=sample.device)
    targets: list[Tensor] = []

    def images() -> Iterator[Tensor]:
        for pixels, wanted in batches.epoch(0):
            targets.append(wanted.cpu())
            yield pixels

    @torch.inference_mode()
    def one(pixels: Tensor) -> Array:
        return np.asarray(embed(pixels).float().cpu().numpy(), dtype=np.float32)

    if torch.device(sample.device).type == "cpu" and sample.threads > 1:
        with ThreadPoolExecutor(sample.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            found = list(pool.map(one, images()))
    else:
        found = [one(pixels) for pixels in images()]
    return np.concatenate(found), torch.cat(targets)


def _pooled(model: nn.Module, images: Tensor) -> Tensor:
    """Return features (B, d), averaged over positions if the last layer has any."""
    found: Tensor = model(images)
    return found.flatten(2).mean(2) if found.ndim > 2 else found


def _linear(
    parts: list[tuple[Array, Tensor]], info: DatasetInfo, threads: int, until: float = math.inf
) -> float:
    """Return the best score over a few ridge strengths; NaN if features are not finite.

    Raises OutOfTimeError at the moment `until` (of `time.monotonic()`).
    """
    (train, wanted), (val, truth) = parts
    if not (np.isfinite(train).all() and np.isfinite(val).all()):
        return float("nan")
    mean, deviation = train.mean(axis=0), train.std(axis=0) + 1e-6
    x, others = (torch.from_numpy((values - mean) / deviation) for values in (train, val))
    y = torch.from_numpy(_one_hot(wanted, info))
    centre = y.mean(dim=0)
    expected = standardised(truth, info).numpy()
    scores = []
    with _all_threads(threads):
        for weight in ridge_weights(x, y - centre, [ridge * x.shape[1] for ridge in _RIDGES]):
            _look_at_the_clock(until)
            predicted = (others @ weight.float() + centre).float().numpy()
            scores.append(compute(METRICS[info.task], expected, predicted, info.task))
    return float(np.nanmax(scores)) if np.isfinite(scores).any() else float("nan")


def ridge_weights(x: Tensor, y: Tensor, ridges: Sequence[float]) -> Iterator[Tensor]:
    """Yield for each ridge the weights w (d, k), float64, that minimise |x w - y|^2 + ridge |w|^2.

    `x` is (n, d), `y` (n, k). A system of min(n, d) equations is solved, by Cholesky's method: it is quicker than one
    decomposition for all ridges. torch does it, not NumPy, whose BLAS is held to one thread while Ray starts
    (`search/engines/warmup.py`). Saunders, Gammerman and Vovk 1998, "Ridge regression learning algorithm in dual
    variables", has the form for n < d.
    """
    n, d = x.shape
    primal = d <= n
    gram = (x.T @ x if primal else x @ x.T).double()
    right = (x.T.double() @ y) if primal else y
    for ridge in ridges:
        system = gram.clone()
        system.diagonal().add_(ridge)
        solved = _cholesky(system, right)
        yield solved if primal else x.T.double() @ solved


def _cholesky(system: Tensor, right: Tensor) -> Tensor:
    factor, failed = torch.linalg.cholesky_ex(system)
    if int(failed):  # rounding left it without a positive pivot
        least: Tensor = torch.linalg.lstsq(system, right).solution
        return least
    return torch.cholesky_solve(right, factor)


def _look_at_the_clock(until: float) -> None:
    if time.monotonic() > until:
        raise OutOfTimeError


@contextmanager
def _all_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    set_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _one_hot(targets: Tensor, info: DatasetInfo) -> npt.NDArray[np.float64]:
    if info.task == "classification":
        return np.asarray(np.eye(info.n_outputs)[targets.numpy()], dtype=np.float64)
    return np.asarray(standardised(targets, info).numpy(), dtype=np.float64)
