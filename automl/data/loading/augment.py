"""Augment whole batches of images, with random numbers for each image and no Python loop over images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from automl.data.loading.rand_augment import DRAWS, grey_of, levels, rand_augment
from automl.data.loading.to_device import send

# Images with at most this many pixels per side are shifted by whole pixels instead of cropped and resized.
_SMALL = 64


@dataclass(frozen=True)
class Augment:
    """Random changes of images; `strength` sets their size (0: only flip and rotation, 1: strong).

    Up to 64 px: a shift by up to 1/4 of the side times `strength`, with mirrored border (pad and crop). Above: a crop
    of an area between 1 - 0.6 `strength` and 1 with sides 3:4 to 4:3, resized (random resized crop). Then brightness,
    contrast and saturation, and with a probability of `strength` / 4 one rectangle is erased (random erasing,
    arXiv:1708.04896). `hflip` mirrors half of the images. `rot90` rotates each by a multiple of 90 degrees, for images
    without up and down (leaves, cells, the ground from above); they must be square. `rand_augment` above 0 adds two
    operations per image, of at most that magnitude. Raises ValueError for a strength or magnitude outside 0..1.
    """

    strength: float = 0.5
    hflip: bool = False
    rand_augment: float = 0.0
    rot90: bool = False

    def __post_init__(self) -> None:
        for name, value in (
            ("strength of augmentation", self.strength),
            ("magnitude of rand_augment", self.rand_augment),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f"the {name} must lie in 0..1, not {value!r}")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed `images` (N, C, H, W), uint8 or float in 0..255, as float32 of the same shape and device.

        All random numbers come from `generator`, a CPU generator, so every device makes the same images.
        """
        draw, more = self.draw(len(images), generator)
        on_cpu = images.device.type == "cpu"
        changed = self.changed(images, send(draw, images.device), draw if on_cpu else None)
        return changed if more is None else rand_augment(changed, levels(more, self.rand_augment))

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Draw all random numbers for `n` images: (n, 12), and (n, DRAWS) for `rand_augment`."""
        draw = torch.rand((n, 12), generator=generator)
        return draw, torch.rand((n, DRAWS), generator=generator) if self.rand_augment else None

    def changed(self, images: Tensor, draw: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Return `images` as changed by `draw` (N, 12), on their device, except for `rand_augment`.

        With the same numbers on the CPU as `drawn`, only the images that get a rectangle are processed for it. Without,
        all are, so that nothing waits for the GPU: the work does not depend on the numbers.
        """
        n = len(images)
        flip = draw[:, 0] < 0.5 if self.hflip else torch.zeros(n, dtype=torch.bool, device=images.device)
        # Rotations reuse the rest of the flip's number, so the other draws do not depend on `rot90`.
        turn = (draw[:, 0] * 8).long() % 4 if self.rot90 else torch.zeros_like(flip, dtype=torch.long)
        if self.strength == 0:
            turned = _turned(images, turn) if self.rot90 else images
            return torch.where(flip[:, None, None, None], turned.flip(3), turned).float()
        if max(images.shape[2:]) <= _SMALL:
            moved = _shift(
                images, _offsets(draw[:, 1:3], images.shape[2:], self.strength), flip, turn
            ).float()
        else:
            moved = _resized_crop(images.float(), draw[:, 1:5], flip, turn, self.strength)
        coloured = _colour(moved, draw[:, 5:8], self.strength)
        if drawn is None:
            return _erase(coloured, draw[:, 9:12], draw[:, 8] < 0.25 * self.strength)
        chosen = (drawn[:, 8] < 0.25 * self.strength).nonzero().flatten()
        if len(chosen):
            coloured[chosen] = _erase(coloured[chosen], draw[chosen, 9:12])
        return coloured


def _turned(images: Tensor, turn: Tensor) -> Tensor:
    """Rotate each square image by `turn` quarters (N,), counterclockwise as `torch.rot90`."""
    turn = turn[:, None, None, None]
    images = torch.where(turn % 2 == 1, images.transpose(2, 3), images)
    images = torch.where((turn == 1) | (turn == 2), images.flip(2), images)
    return torch.where(turn >= 2, images.flip(3), images)


def _offsets(draw: Tensor, shape: torch.Size, strength: float) -> Tensor:
    """Return whole pixels (N, 2) down and right, between -reach and reach; 4 of 32 at strength 0.5."""
    reaches = [round(side * strength / 4) for side in shape]
    # Column by column: a tensor of the reaches would have to be sent to the device.
    columns = zip(draw.unbind(1), reaches, strict=True)
    return torch.stack([(column * (2 * reach + 1)).floor().long() - reach for column, reach in columns], 1)


def _shift(images: Tensor, offsets: Tensor, flip: Tensor, turn: Tensor) -> Tensor:
    """Rotate, shift by whole pixels with mirrored borders, and flip, as one gather over all images."""
    n, channels, height, width = images.shape
    rows = _mirrored(torch.arange(height, device=images.device)[None, :] + offsets[:, :1], height)
    columns = _mirrored(torch.arange(width, device=images.device)[None, :] + offsets[:, 1:], width)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    # One or three quarter turns swap rows and columns of an image, which is square then.
    turn = turn[:, None]
    rows = torch.where((turn == 1) | (turn == 2), height - 1 - rows, rows)
    columns = torch.where(turn >= 2, width - 1 - columns, columns)
    across = turn % 2  # 1: a step down in the rotated image is a step along a row of the stored one
    down = (width - across * (width - 1)) * rows
    along = (1 + across * (width - 1)) * columns
    base = torch.arange(n, device=images.device)[:, None, None] * (height * width)
    flat = (base + down[:, :, None] + along[:, None, :]).reshape(-1)
    pixels = images.permute(0, 2, 3, 1).reshape(n * height * width, channels)
    return pixels.index_select(0, flat).reshape(n, height, width, channels).permute(0, 3, 1, 2)


def _mirrored(index: Tensor, size: int) -> Tensor:
    """Reflect indices beyond the border at the outermost pixel."""
    period = max(2 * (size - 1), 1)
    index = index.remainder(period)
    return torch.where(index >= size, period - index, index)


def _resized_crop(images: Tensor, draw: Tensor, flip: Tensor, turn: Tensor, strength: float) -> Tensor:
    """Return a crop of each rotated image, resized to the whole, bilinear."""
    area = 1 - 0.6 * strength * draw[:, 0]
    ratio = torch.exp((draw[:, 1] * 2 - 1) * (0.2877 * min(1.0, 2 * strength)))  # log(4 / 3)
    width = (area * ratio).sqrt().clamp(max=1)
    height = (area / ratio).sqrt().clamp(max=1)
    # Source coordinates of a pixel of the rotated image: x = (width, 0, along) and y = (0, height, down).
    x = torch.where(flip, -width, width), (draw[:, 2] * 2 - 1) * (1 - width)
    y = height, (draw[:, 3] * 2 - 1) * (1 - height)
    cos, sin = (turn == 0).float() - (turn == 2).float(), (turn == 1).float() - (turn == 3).float()
    top = torch.stack((cos * x[0], -sin * y[0], cos * x[1] - sin * y[1]), 1)
    bottom = torch.stack((sin * x[0], cos * y[0], sin * x[1] + cos * y[1]), 1)
    grid = F.affine_grid(torch.stack((top, bottom), 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _colour(images: Tensor, draw: Tensor, strength: float) -> Tensor:
    """Change brightness, contrast and saturation by up to 40 % each at full strength; not clipped to 0..255."""
    factors = 1 + (draw * 2 - 1) * (0.4 * strength)
    brightness, contrast, saturation = (factors[:, k, None, None, None] for k in range(3))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    # brightness * (mean + contrast * (x - mean)), with one multiplication per pixel
    scale, offset = brightness * contrast, brightness * (1 - contrast) * mean
    if images.shape[1] == 1:
        return images * scale + offset
    grey = grey_of(images)
    return torch.addcmul(grey * ((1 - saturation) * scale) + offset, images, saturation * scale)


def _erase(images: Tensor, draw: Tensor, chosen: Tensor | None = None) -> Tensor:
    """Paint one rectangle of 1/16 to 1/4 of the area with the image's mean, in all or in the `chosen` images (N,)."""
    height, width = images.shape[2:]
    side = 0.25 + 0.25 * draw[:, 0]
    rows = torch.arange(height, device=images.device)[None, :] / height
    columns = torch.arange(width, device=images.device)[None, :] / width
    top, left = draw[:, 1] * (1 - side), draw[:, 2] * (1 - side)
    in_rows = (rows >= top[:, None]) & (rows < (top + side)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + side)[:, None])
    if chosen is not None:
        in_rows = in_rows & chosen[:, None]
    mask = (in_rows[:, :, None] & in_columns[:, None, :]).reshape(-1, 1, height, width)
    return torch.where(mask, images.mean(dim=(2, 3), keepdim=True), images)
