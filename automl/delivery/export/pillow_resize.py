"""Pillow's resizing as a part of a network's graph, so that an exported file takes images of any size."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from automl.records import Resize

_REDUCING_GAP = 2  # as in `automl.data.pixels.fit`
_COEFFICIENTS = 2.0**22  # Pillow computes with coefficients of 22 bits
# Hamming's numbers, which Pillow has with 24 bits.
_CENTRE, _SWING = float(np.float32(0.54)), float(np.float32(0.46))
_HAMMING, _BICUBIC = 1.0, 2.0  # half the width of each filter, in pixels of the result


class PillowResize(nn.Module):
    """Does what `automl.data.pixels.fit` does with a decoded image: its central square or the whole of it becomes a
    square of `size` pixels a side.

    uint8 (B, H, W, C) becomes float32 (B, C, size, size) with whole numbers 0..255, for any H and W. The arithmetic is
    that of Pillow's resize with reducing_gap (boxes are averaged first, then Hamming or bicubic) with its roundings, in
    float64, as sums often fall half-way between two whole numbers. Other filters, or none against aliasing, are the
    usual reason why an exported model answers otherwise.
    """

    def __init__(self, size: int, resize: Resize) -> None:
        super().__init__()
        self.size = size
        self.resize = resize

    def forward(self, images: Tensor) -> Tensor:
        """Return the resized images."""
        pixels = images.permute(0, 3, 1, 2).int()
        height = torch.full((), pixels.shape[2], dtype=torch.float64)
        width = torch.full((), pixels.shape[3], dtype=torch.float64)
        shorter = torch.minimum(height, width)
        rows, down = self._axis(height, shorter)
        columns, across = self._axis(width, shorter)
        reduced = _reduced(pixels, rows, columns)
        across = across.T
        found = _rounded(down @ _rounded(reduced @ across))
        if _tall_ones_by_rows_first():
            first = _rounded(_rounded(down @ reduced) @ across)
            found = torch.where(self._is_tall(height, width, rows, columns), first, found)
        return found.float()

    def _is_tall(self, height: Tensor, width: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return whether Pillow resizes the rows first: far more of them go than columns (its pull request 9549)."""
        averaged = (rows[1] - rows[0] > 1) | (columns[1] - columns[0] > 1)
        fewer = torch.where(averaged, torch.ones_like(rows).sum() - 1, height) - self.size
        narrower = torch.where(averaged, torch.ones_like(columns).sum() - 1, width) - self.size
        return (fewer > 0) & (fewer > 2 * narrower)

    def _axis(self, length: Tensor, shorter: Tensor) -> tuple[Tensor, Tensor]:
        """Return the boxes of an axis with `length` pixels, and how they are resized.

        These are the edges of the m boxes that are averaged, int64 (m + 1,), and the coefficients (size, m).
        """
        side = shorter if self.resize == "crop" else length
        start = (length - side) / 2
        smaller = shorter > self.size
        support = torch.where(smaller, _HAMMING, _BICUBIC).double()
        factor = (side / self.size / _REDUCING_GAP).floor().clamp(min=1)
        # Pillow reads a little beyond the box, as far as its filter reaches.
        step = side / self.size
        margin = support * step.clamp(min=1) - step / 2
        first = (start - margin).trunc().clamp(min=0)
        last = torch.minimum((start + side + margin).ceil(), length)
        boxes: int = ((last - first) / factor).ceil().long().item()  # type: ignore[assignment]  # of integers
        torch._check(boxes >= 1)
        torch._check(boxes < 2**20)
        edges = torch.minimum(first + torch.arange(boxes + 1, dtype=torch.float64) * factor, last).long()
        # Pillow's box has 24 bits.
        left, right = ((start - first) / factor).float(), ((start + side - first) / factor).float()
        scale = (right - left).double() / self.size
        centres = left.double() + (torch.arange(self.size, dtype=torch.float64) + 0.5) * scale
        offsets = (torch.arange(boxes, dtype=torch.float64) + 0.5).unsqueeze(0) - centres.unsqueeze(1)
        x = (offsets / scale.clamp(min=1)).abs()
        weights = torch.where(smaller, _hamming(x), _bicubic(x))
        weights = weights / weights.sum(dim=1, keepdim=True)
        return edges, (weights * _COEFFICIENTS).round() / _COEFFICIENTS


@cache
def _tall_ones_by_rows_first() -> bool:
    """Return whether this Pillow resizes the rows of tall images first, as it does from version 13 on."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 12), dtype=np.uint8))
    how = Image.Resampling.HAMMING
    rows_first = noise.resize((12, 6), how).resize((6, 6), how)
    return noise.resize((6, 6), how).tobytes() == rows_first.tobytes()


def _reduced(pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the means of boxes of pixels, rounded as by Pillow, as float64."""
    sums = _sums(_sums(pixels, 2, rows), 3, columns).double()
    counts = (rows.diff().unsqueeze(1) * columns.diff().unsqueeze(0)).float()
    multiplier = (2.0**32 / (256.0 * counts)).floor().double()
    half = (counts / 2).floor().double()
    return ((sums + half) * multiplier / 2.0**24).floor()


def _sums(values: Tensor, dim: int, edges: Tensor) -> Tensor:
    """Return the sums of `values` between edges along a dimension, as int32."""
    before = torch.zeros_like(values.narrow(dim, 0, 1))
    running = torch.cat([before, values.cumsum(dim, dtype=torch.int32)], dim=dim)
    return running.index_select(dim, edges[1:]) - running.index_select(dim, edges[:-1])


def _rounded(values: Tensor) -> Tensor:
    return (values + 0.5).floor().clamp(0, 255)


def _hamming(x: Tensor) -> Tensor:
    angle = math.pi * x.clamp(min=1e-6)
    return torch.where(x < 1, angle.sin() / angle * (_CENTRE + _SWING * angle.cos()), 0.0)


def _bicubic(x: Tensor) -> Tensor:
    """Keys' cubic convolution with a = -0.5, as in Pillow."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = -0.5 * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))
