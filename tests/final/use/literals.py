"""A data set in words, and images of noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from automl.records import DatasetInfo

INFO = DatasetInfo(
    name="squares",
    task="classification",
    classes=("dark", "bright"),
    in_chans=1,
    img_size=8,
    mean=(0.5,),
    std=(0.25,),
    class_counts=(1, 1),
    fingerprint="",
    n_train=2,
    n_val=0,
    n_holdout=0,
    n_skipped=0,
)


class Plain(nn.Module):
    """A user's own network, of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.body(images).amax((2, 3)))
        return found


def random_images(n: int, side: int) -> Any:
    """Return grey images (n, side, side, 1) of noise."""
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 1), dtype=np.uint8)
