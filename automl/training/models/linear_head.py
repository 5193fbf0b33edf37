"""A linear model on small pixels: the floor that every delivered model must beat, trained in a second or two.

An image is averaged over areas to 16 x 16 pixels, and a multinomial logistic regression (several labels: one logistic
regression each; regression: a robust linear one) is fitted with L-BFGS. It is a network like any other: it is
delivered, loaded and asked in the same way. A search should be compared with such a baseline: Sculley et al. 2018,
"Winner's curse? On pace, progress, and empirical rigor".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.data.balance import Balance, class_weights
from automl.data.cache.streamed_images import open_images
from automl.machine import Moment
from automl.records import Config, DatasetInfo, Mode, Rows, SearchSplits
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.training.evaluate import score
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
    and `n_val` for the score.
    """

    model: nn.Module
    config: Config
    info: DatasetInfo
    size: int
    val_score: float
    n_train: int
    n_val: int
    seconds: float


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
    mean, deviation = train[0].mean(dim=0), train[0].std(dim=0, correction=0) + 1e-6
    x, y = (train[0] - mean) / deviation, standardised(train[1], info)
    others = (val[0] - mean) / deviation
    sign, best, kept = (1.0 if mode == "max" else -1.0), -math.inf, None
    for weight, bias in _solutions(x, y, info, _weights_of_classes(info, balance), until):
        value = score(others @ weight + bias, val[1], info, metric)[metric]
        if math.isfinite(value) and sign * value > best:
            best, kept = sign * value, (weight.clone(), bias.clone())
    if kept is None:
        return None
    model = LinearOnPixels(info.n_outputs, info.in_chans).eval()
    scaled = kept[0] / deviation[:, None]
    model.classifier.weight.copy_(scaled.T)
    model.classifier.bias.copy_(kept[1] - mean @ scaled)
    config: Config = {"model": LINEAR_ON_PIXELS, "lr": 1.0}
    return LinearHead(
        model, config, info, info.img_size, sign * best, len(x), len(others), Moment.now().after(begun)
    )


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
