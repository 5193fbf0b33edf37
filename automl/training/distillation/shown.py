"""A network that answers for images which were prepared for another one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.records import DatasetInfo
from automl.training.evaluate import fit_size


class Shown(nn.Module):
    """Shows a network, which was trained on images of `own` and takes `size` pixels a side, the images of `given`.

    Those are the same images, but normalised and stored for another network. They are normalised again, and made as
    small as they were stored for this one.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, own: DatasetInfo, size: int, given: DatasetInfo) -> None:
        super().__init__()
        self.network, self._stored, self._size = network, own.img_size, size
        mean, std = torch.tensor(own.mean), torch.tensor(own.std)
        # As buffers, since a recorded batch on a GPU must not copy anything from the CPU.
        self.register_buffer("scale", (torch.tensor(given.std) / std).view(1, -1, 1, 1))
        self.register_buffer("shift", ((torch.tensor(given.mean) - mean) / std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (B, n_outputs) of the network for images (B, C, H, W)."""
        images = as_stored(images, self._stored) * self.scale + self.shift
        found: Tensor = self.network(fit_size(images, self._size))
        return found


def as_stored(images: Tensor, side: int) -> Tensor:
    """Return images with at most `side` pixels a side: made smaller without aliasing, as stored images are."""
    if images.shape[-1] <= side:
        return images
    small = F.interpolate(images, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    return small.contiguous(memory_format=torch.channels_last)
