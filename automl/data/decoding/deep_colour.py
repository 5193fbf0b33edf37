"""Colour images with 16 bits a channel. Pillow keeps the upper 8 of them.

It reads each value as two bytes and takes one. Which one follows from the order of the bytes, so reading the image once
more in the other order gives the lower 8 bits.
"""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

# What Pillow calls the pixels in the file, before the order of their bytes.
_KINDS = frozenset(("RGB", "RGBX", "RGBA"))
_OTHER = {"16L": "16B", "16B": "16L", "16N": "16B" if sys.byteorder == "little" else "16L"}


def is_deep_colour(image: Image.Image) -> bool:
    """Return whether an image that is not decoded yet has red, green and blue with 16 bits each."""
    if image.mode not in ("RGB", "RGBA") or not hasattr(getattr(image, "fp", None), "seek"):
        return False
    raw = [_raw(tile) for tile in getattr(image, "tile", ())]
    return bool(raw) and all(kind in _KINDS and order in _OTHER for kind, _, order in raw)


def deep_colours(image: Image.Image) -> npt.NDArray[np.uint16]:
    """Decode the image and return red, green and blue, uint16 (H, W, 3). A damaged one raises what Pillow raises."""
    source: Any = image  # Pillow's image of a file
    place = source.fp.tell()
    source.fp.seek(0)
    again: Any = Image.open(io.BytesIO(source.fp.read()), formats=[str(image.format)])
    source.fp.seek(place)
    again.tile = [tile._replace(args=_swapped(tile.args)) for tile in again.tile]
    values = _colours(image).astype(np.uint16)
    values <<= 8
    values |= _colours(again)
    return values


def _colours(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(image)[:, :, :3]


def _raw(tile: Any) -> tuple[str, str, str]:
    args = tile[3]
    first = args[0] if isinstance(args, tuple) and args else args
    return str(first).partition(";")


def _swapped(args: Any) -> Any:
    if isinstance(args, tuple):
        return (_swapped(args[0]), *args[1:])
    kind, mark, order = str(args).partition(";")
    return f"{kind}{mark}{_OTHER[order]}"
