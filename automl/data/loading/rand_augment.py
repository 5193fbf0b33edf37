"""Two random operations per image, computed for a whole batch (after RandAugment, arXiv:1909.13719)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from automl.data.loading.to_device import send

# The first six move pixels and become one matrix; the others change values.
_MOVES = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y", "scale")
_VALUES = ("brightness", "contrast", "saturation", "sharpness", "posterize", "solarize")
OPERATIONS = (*_MOVES, *_VALUES, "identity")
_CHOSEN = 2  # operations per image, as in the paper
DRAWS = 2 * _CHOSEN  # random numbers in 0..1 per image

# At full magnitude, as in the paper, which has no `scale`.
_ANGLE = math.radians(30)
_SHEAR = 0.3
_SHIFT = 0.45  # of the side
_SCALE = 0.3
_FACTOR = 0.9  # factors from 0.1 to 1.9
_BITS = 4.0  # of 8, that posterize removes


def levels(draw: Tensor, magnitude: float) -> Tensor:
    """Return the level (N, operations) of each operation in -`magnitude`..`magnitude`, 0 if it was not drawn.

    `draw`: (N, `DRAWS`) in 0..1. An operation that is drawn twice gets the sum of both levels, clipped.
    """
    count = len(OPERATIONS)
    chosen = (draw[:, :_CHOSEN] * count).long().clamp(max=count - 1)
    found = torch.zeros((len(draw), count), dtype=draw.dtype, device=draw.device)
    found.scatter_add_(1, chosen, draw[:, _CHOSEN:] * 2 - 1)
    return found.clamp_(-1, 1) * magnitude


def rand_augment(images: Tensor, level: Tensor) -> Tensor:
    """Apply each image's operations to `images`, float32 (N, C, H, W) in 0..255; returns new ones of that form.

    `level`: (N, operations) on the CPU, from `levels`. First brightness, contrast and saturation, then the geometry,
    sharpness, posterize (fewer levels) and solarize (inverted above a threshold), clipped to 0..255.
    """
    by_name = dict(zip(OPERATIONS, level.unbind(1), strict=True))
    column = {name: send(by_name[name], images.device)[:, None, None, None] for name in _VALUES}
    geometry = send(_geometry(level), images.device)
    images = _tone(images, column["brightness"], column["contrast"], column["saturation"])

    def on_some(chosen: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> None:
        # These cost more, and few images need them. They are selected on the CPU, without waiting for the GPU.
        if len(rows := torch.nonzero(chosen)[:, 0]):
            rows = send(rows, images.device)
            images.index_copy_(0, rows, change(images.index_select(0, rows), rows))

    on_some(level[:, : len(_MOVES)].any(1), lambda part, rows: affine(part, *geometry[rows].unbind(1)))
    on_some(by_name["sharpness"], lambda part, rows: _sharpen(part, column["sharpness"][rows]))
    images.clamp_(0, 255)
    on_some(by_name["posterize"], lambda part, rows: _posterize(part, column["posterize"][rows]))
    on_some(by_name["solarize"], lambda part, rows: _solarize(part, column["solarize"][rows]))
    return images


def grey_of(images: Tensor) -> Tensor:
    """Return the mean of three channels, (N, 1, H, W)."""
    # In channels_last memory, this sum takes a quarter of the time of `mean`.
    return (images[:, :1] + images[:, 1:2] + images[:, 2:]) / 3


def affine(
    images: Tensor,
    angle: Tensor,
    shear_x: Tensor,
    shear_y: Tensor,
    shift_x: Tensor,
    shift_y: Tensor,
    zoom: Tensor,
) -> Tensor:
    """Rotate, shear, shift and zoom each image about its center, with one bilinear resampling.

    images: float32 (N, C, H, W). All others (N,): `angle` in radians counterclockwise, shears as the tangent, shifts as
    a share of the side to the right and down, `zoom` a factor. The border is mirrored.
    """
    height, width = images.shape[2:]
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    theta = torch.empty((len(images), 2, 3), dtype=images.dtype, device=images.device)
    # From a point of the result to its source, in coordinates -1..1, hence the ratio of the sides.
    theta[:, 0, 0] = cos + shear_x * sin
    theta[:, 0, 1] = (shear_x * cos - sin) * (height / width)
    theta[:, 1, 0] = (sin + shear_y * cos) * (width / height)
    theta[:, 1, 1] = cos - shear_y * sin
    theta[:, 0, 2] = -2 * shift_x
    theta[:, 1, 2] = -2 * shift_y
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _geometry(level: Tensor) -> Tensor:
    """Return the arguments of `affine` (N, 6)."""
    scale = torch.tensor([_ANGLE, _SHEAR, _SHEAR, _SHIFT, _SHIFT, _SCALE], dtype=level.dtype)
    found = level[:, : len(_MOVES)] * scale
    found[:, 5] += 1
    return found


def _tone(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Scale brightness, distance from the image's mean and distance from grey by 1 + 0.9 x level."""
    light, wide, strong = (1 + _FACTOR * level for level in (brightness, contrast, saturation))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    scale, offset = light * wide, light * (1 - wide) * mean
    if images.shape[1] == 1:
        return torch.addcmul(offset, images, scale)
    grey = grey_of(images)
    return torch.addcmul(torch.addcmul(offset, grey, (1 - strong) * scale), images, strong * scale)


def _sharpen(images: Tensor, level: Tensor) -> Tensor:
    """Move away from (level > 0) or towards an image smoothed by Pillow's kernel: ones around a five, / 13."""
    around = F.avg_pool2d(images.contiguous(), 3, stride=1, padding=1, count_include_pad=False)
    return torch.addcmul(images, images - around, level * (_FACTOR * 9 / 13))


def _posterize(images: Tensor, level: Tensor) -> Tensor:
    """Round down to multiples of 2, 4, 8 or 16 (1 if the level is too small to remove a bit)."""
    step = torch.exp2(torch.round(_BITS * level.abs()))
    return torch.where(step > 1, torch.floor(images / step) * step, images)


def _solarize(images: Tensor, level: Tensor) -> Tensor:
    """Invert values above a threshold that falls from 256 to 0 with the level."""
    return torch.where(images >= 256 - 256 * level.abs(), 255 - images, images)
