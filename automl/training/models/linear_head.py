"""The network of a linear model on small pixels. Model folders name it by the path of this module."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 16


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
