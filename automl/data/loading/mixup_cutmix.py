"""Mix images and their targets within a batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def mix(
    images: Tensor,
    targets: Tensor,
    *,
    alphas: tuple[float, float],
    n_outputs: int,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Apply `mixup` or `cutmix` with the first or the second of `alphas`; if both are above 0, choose at random.

    Shapes and errors as in `mixup`.
    """
    first, second = alphas
    cut = second > 0 and (first <= 0 or rng.random() < 0.5)
    if cut:
        return cutmix(images, targets, alpha=second, n_outputs=n_outputs, rng=rng)
    return mixup(images, targets, alpha=first, n_outputs=n_outputs, rng=rng)


def mixup(
    images: Tensor, targets: Tensor, *, alpha: float, n_outputs: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Blend the batch with itself in reverse order, by one share from Beta(alpha, alpha) (arXiv:1710.09412).

    images: (B, C, H, W); targets: int64 (B,) or soft (B, n_outputs). Returns images and soft targets (B, n_outputs),
    float32. With `alpha` 0, only the targets become soft. Raises ValueError for a negative alpha.
    """
    soft = _soft(targets, n_outputs)
    share = _share(alpha, rng)
    if share == 1:
        return images, soft
    return images.lerp(images.flip(0), 1 - share), soft.lerp(soft.flip(0), 1 - share)


def cutmix(
    images: Tensor, targets: Tensor, *, alpha: float, n_outputs: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Paste a rectangle from the reversed batch; targets follow the area (arXiv:1905.04899).

    Shapes and errors as in `mixup`. The share of the area is drawn from Beta(alpha, alpha).
    """
    soft = _soft(targets, n_outputs)
    share = _share(alpha, rng)
    if share == 1:
        return images, soft
    height, width = images.shape[2:]
    side = np.sqrt(1 - share)
    middle = rng.random(2)
    top, bottom = (int(round(np.clip(middle[0] + k * side / 2, 0, 1) * height)) for k in (-1, 1))
    left, right = (int(round(np.clip(middle[1] + k * side / 2, 0, 1) * width)) for k in (-1, 1))
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.flip(0)[:, :, top:bottom, left:right]
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, soft.lerp(soft.flip(0), 1 - kept)


def _soft(targets: Tensor, n_outputs: int) -> Tensor:
    if targets.ndim == 2:
        return targets.to(torch.float32)
    return F.one_hot(targets, n_outputs).to(torch.float32)


def _share(alpha: float, rng: np.random.Generator) -> float:
    if alpha < 0:
        raise ValueError(f"alpha must be at least 0, not {alpha!r}")
    return float(rng.beta(alpha, alpha)) if alpha > 0 else 1.0
