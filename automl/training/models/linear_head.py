"""A linear model on small pixels, or on the features of a pretrained network: the floor that every model must beat.

An image is averaged over areas to 16 x 16 pixels, and a multinomial logistic regression (several labels: one logistic
regression each; regression: a robust linear one) is fitted with L-BFGS. It is a network like any other: it is
delivered, loaded and asked in the same way. A search should be compared with such a baseline: Sculley et al. 2018,
"Winner's curse? On pace, progress, and empirical rigor".
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.data.balance import Balance, class_weights
from automl.data.cache.streamed_images import open_images
from automl.data.loading.batches import Batches
from automl.machine import Moment
from automl.records import Config, DatasetInfo, Mode, Rows, SearchSplits
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.training.evaluate import fit_size, score
from automl.training.models.build import input_size, model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, load_model, normalised
from automl.training.steps.losses import loss, standardised

SIDE = 16
MOST_TRAIN, MOST_VAL = 10_000, 4_000  # rows
# Inverse strengths of the L2 penalty as scikit-learn counts them (C), the strongest penalty first.
STRENGTHS = (1e-3, 1e-2, 1e-1)
READING_SHARE = 0.5  # of the time
_ROWS_AT_ONCE = 64
_ITERATIONS, _LOOKS = 10, 8  # of L-BFGS between two looks at the clock, and such looks for each strength


class LinearOnPixels(nn.Module):
    """Logits (B, num_classes) that are linear in the pixels of images (B, in_chans, H, W), averaged to 16 x 16."""

    def __init__(self, num_classes: int, in_chans: int = 3) -> None:
        super().__init__()
        self.classifier = nn.Linear(in_chans * SIDE * SIDE, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of normalised images of any size."""
        found: Tensor = self.classifier(thumbnails(images))
        return found


def linear_on_pixels(num_classes: int, in_chans: int = 3) -> nn.Module:
    """Return a new network; its name is `factories.LINEAR_ON_PIXELS`."""
    return LinearOnPixels(num_classes, in_chans)


def thumbnails(images: Tensor) -> Tensor:
    """Return the features (B, in_chans * 16 * 16) of images (B, in_chans, H, W)."""
    return F.adaptive_avg_pool2d(images.float(), SIDE).flatten(1)


@dataclass(frozen=True)
class LinearHead:
    """A fitted head: its network, its configuration, and its `metric` on the validation rows (`val_score`).

    `size` is the side in pixels of its input, `info` holds the statistics that normalise it. `n_train` rows were used,
    and `n_val` for the score. `weights` are those of the network whose features it has.
    """

    model: nn.Module
    config: Config
    info: DatasetInfo
    size: int
    val_score: float
    n_train: int
    n_val: int
    seconds: float
    weights: Weights | None = None


@torch.no_grad()
def fit_linear_head(
    splits: SearchSplits, *, metric: str, mode: Mode, until: Moment, balance: Balance = "none", seed: int = 0
) -> LinearHead | None:
    """Fit the head on training rows and score it on validation rows, until the moment `until`.

    With less time, fewer random rows are read and fewer steps made. The strength of the penalty is the best of three by
    the score. Returns None if the score is not finite, or no row could be read in time.
    """
    begun, info = Moment.now(), splits.info
    if until.passed():
        return None
    reading = begun.later(READING_SHARE * until.after(begun))
    val = _read(splits.val, info, most=MOST_VAL, until=begun.later(0.3 * reading.after(begun)), seed=seed)
    train = _read(splits.train, info, most=MOST_TRAIN, until=reading, seed=seed)
    found = _best(train, val, info, _Aim(metric, mode, balance), until)
    if found is None:
        return None
    model = LinearOnPixels(info.n_outputs, info.in_chans).eval()
    found.put_into(model.classifier)
    config: Config = {"model": LINEAR_ON_PIXELS, "lr": 1.0}
    counts = len(train[0]), len(val[0])
    return LinearHead(model, config, info, info.img_size, found.value, *counts, Moment.now().after(begun))


@torch.no_grad()
def fit_feature_head(
    splits: SearchSplits,
    weights: Weights,
    config: Config,
    *,
    metric: str,
    mode: Mode,
    until: Moment,
    balance: Balance = "none",
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
) -> LinearHead | None:
    """Fit a head on the features of a pretrained network that stays as it is, until the moment `until`.

    The result is timm's network `config["model"]` with these weights, and the head as its classifier. Returns None as
    `fit_linear_head` does, and for a network whose classifier is not one linear layer on its features. Raises
    ModelError for weights that cannot be used.
    """
    begun, recipe = Moment.now(), Recipe.from_config(config)
    if until.passed():
        return None
    info = normalised(splits.info, weights)
    size, arguments = input_size(recipe, info), model_arguments(recipe, info, weights)
    model = load_model(weights, arguments).to(device).eval()
    classifier: Any = getattr(model, "get_classifier", lambda: None)()
    if not isinstance(classifier, nn.Linear) or classifier.bias is None:
        return None
    reading = Moment.now().later(0.85 * until.left())
    network = _Features(model, classifier, size)
    share = len(splits.val) / max(1, len(splits.train) + len(splits.val))
    parts: list[tuple[Tensor, Tensor]] = []
    for rows, most, end in (
        (splits.val, MOST_VAL, Moment.now().later(max(0.1, share) * reading.left())),
        (splits.train, MOST_TRAIN, reading),
    ):
        batches = Batches(
            rows, batch_size=_ROWS_AT_ONCE * threads, info=info, shuffle=True, seed=seed, device=device
        )
        parts.append(network.read(batches, most=most, until=end, threads=threads))
    val, train = parts
    network.close()
    found = _best(train, val, info, _Aim(metric, mode, balance), until)
    if found is None:
        return None
    found.put_into(classifier)
    counts = len(train[0]), len(val[0])
    frozen = {**config, "hflip": False, "freeze": "head"}
    return LinearHead(
        model, frozen, info, size, found.value, *counts, Moment.now().after(begun), weights=weights
    )


class _Features:
    """The inputs of the classifier of a network, for images that are resized to `size`."""

    def __init__(self, model: nn.Module, classifier: nn.Linear, size: int) -> None:
        self._model, self._classifier, self._size = model, classifier, size
        self._local = threading.local()
        self._handle = classifier.register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._local.inputs = inputs[0]

    @torch.inference_mode()
    def _of(self, images: Tensor) -> Tensor:
        self._model(fit_size(images, self._size))
        kept: Tensor = self._local.inputs
        return kept.float().cpu()

    def read(self, batches: Batches, *, most: int, until: Moment, threads: int) -> tuple[Tensor, Tensor]:
        """Return features (n, d) and targets of the rows before `most` and `until`; at least of one batch."""
        features: list[Tensor] = []
        targets: list[Tensor] = []
        on_cpu = torch.device(batches.device).type == "cpu"
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for images, wanted in batches.epoch(0):
                if features and (until.passed() or sum(map(len, features)) >= most):
                    break
                parts = images.split(_ROWS_AT_ONCE)
                features += pool.map(self._of, parts) if on_cpu else map(self._of, parts)
                targets.append(wanted.cpu())
        return torch.cat(features).clone(), torch.cat(targets)

    def close(self) -> None:
        """Leave the network as it was."""
        self._handle.remove()


@dataclass(frozen=True)
class _Aim:
    metric: str
    mode: Mode
    balance: Balance


@dataclass(frozen=True)
class _Solution:
    """Weight (d, k) and bias (k,) for features as they are, and the score on validation rows."""

    weight: Tensor
    bias: Tensor
    value: float

    def put_into(self, layer: nn.Linear) -> None:
        layer.weight.copy_(self.weight.T)
        layer.bias.copy_(self.bias)


def _best(
    train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], info: DatasetInfo, aim: _Aim, until: Moment
) -> _Solution | None:
    """Return the best solution by the validation rows; None if none has a finite score."""
    mean, deviation = train[0].mean(dim=0), train[0].std(dim=0, correction=0) + 1e-6
    x, y = (train[0] - mean) / deviation, standardised(train[1], info)
    others = (val[0] - mean) / deviation
    sign, best = (1.0 if aim.mode == "max" else -1.0), None
    for weight, bias in _solutions(x, y, info, _weights_of_classes(info, aim.balance), until):
        value = score(others @ weight + bias, val[1], info, aim.metric)[aim.metric]
        if math.isfinite(value) and (best is None or sign * value > sign * best.value):
            scaled = weight / deviation[:, None]
            best = _Solution(scaled, bias - mean @ scaled, value)
    return best


def _read(rows: Rows, info: DatasetInfo, *, most: int, until: Moment, seed: int) -> tuple[Tensor, Tensor]:
    """Return features and targets of random rows, as many as can be read in time; at least some."""
    index = np.load(rows.index)
    chosen = index[np.random.default_rng([seed, len(index)]).permutation(len(index))[:most]]
    images = open_images(rows.images)
    mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in (info.mean, info.std))
    found: list[Tensor] = []
    for start in range(0, len(chosen), _ROWS_AT_ONCE):
        if found and until.passed():
            break
        pixels = torch.from_numpy(np.ascontiguousarray(images[chosen[start : start + _ROWS_AT_ONCE]]))
        found.append(thumbnails((pixels.permute(0, 3, 1, 2).float() / 255.0 - mean) / deviation))
    features = torch.cat(found)
    targets = torch.from_numpy(np.load(rows.targets, mmap_mode="r")[chosen[: len(features)]])
    return features, targets


def _solutions(
    x: Tensor, y: Tensor, info: DatasetInfo, weights: Tensor | None, until: Moment
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weight (d, k) and bias (k,) for each strength, each from the one before; the last ones may be missing."""
    weight = torch.zeros(x.shape[1], info.n_outputs, requires_grad=True)
    bias = torch.zeros(info.n_outputs, requires_grad=True)
    for strength in STRENGTHS:
        solver = torch.optim.LBFGS([weight, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

        def objective(strength: float = strength, solver: torch.optim.Optimizer = solver) -> Tensor:
            with torch.enable_grad():
                solver.zero_grad()
                penalty = (weight * weight).sum() / (2.0 * strength * len(x))
                value = loss(x @ weight + bias, y, info.task, weights=weights) + penalty
                value.backward()
            return value

        before = math.inf
        for _ in range(_LOOKS):
            value = float(solver.step(objective))
            if until.passed() or not value < before - 1e-4 * abs(before if before < math.inf else 0.0):
                break
            before = value
        yield weight.detach(), bias.detach()
        if until.passed():
            return


def _weights_of_classes(info: DatasetInfo, balance: Balance) -> Tensor | None:
    """Return what the balance of a training amounts to in a loss over all rows."""
    if balance == "none" or info.task == "regression":
        return None
    if balance == "loss" or info.task == "multilabel":
        return torch.tensor(class_weights(info), dtype=torch.float32)
    counts = torch.tensor(info.class_counts, dtype=torch.float32).clamp(min=1.0)
    return counts.sum() / (counts * len(counts))
