"""What the tags of a TIFF, and the frames of other files, say besides the pixels of the first image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_GDAL_NODATA = 42113  # a text, by https://gdal.org/en/stable/drivers/raster/gtiff.html
_LONGEST = 64  # characters of a number
_BITS, _BANDS, _PLANES = 258, 277, 284
_APART = 2  # bands one after the other, each in an image of its own
_ANIMATED = frozenset(("GIF", "WEBP", "PNG", "AVIF"))  # not MPO: the other images of a photo are previews


def measured(image: Image.Image, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values of an image with NaN where its tags say that nothing was measured."""
    missing = _no_data(image)
    if missing is None:
        return values
    with np.errstate(over="ignore"):
        empty = values == np.asarray(missing).astype(np.float32 if values.dtype.kind == "f" else np.float64)
    return np.where(empty, np.float32(np.nan), values.astype(np.float32)) if empty.any() else values


def is_misread(image: Image.Image) -> bool:
    """Return whether Pillow would take wrong bytes: it reads bands that lie apart as 8 bits, whatever they have."""
    tags: Any = getattr(image, "tag_v2", None)
    if image.format != "TIFF" or tags is None:
        return False
    try:
        apart = tags.get(_PLANES, 1) == _APART and tags.get(_BANDS, 1) > 1
        return bool(apart and max(np.ravel(tags.get(_BITS, 1))) > 8)
    except (TypeError, ValueError):
        return False


def dropped_bands(image: Image.Image) -> int:
    """Return how many bands of a TIFF are not read: Pillow leaves out those after grey or red, green and blue."""
    tags: Any = getattr(image, "tag_v2", None)
    given = tags.get(_BANDS, 1) if image.format == "TIFF" and tags is not None else 0
    return max(0, given - len(image.getbands())) if isinstance(given, int) and image.mode != "P" else 0


def has_more_images(image: Image.Image) -> bool:
    """Return whether a file holds pages or frames after the first image, which is the only one that is used."""
    try:
        if image.format == "TIFF":
            return bool(getattr(image, "tag_v2").next)  # noqa: B009  # only TIFF files have it
        return image.format in _ANIMATED and bool(getattr(image, "is_animated", False))
    except Exception:  # damaged frames; the first image may be whole
        return False


def _no_data(image: Image.Image) -> float | None:
    tags: Any = getattr(image, "tag_v2", None)
    try:
        return float(str(tags[_GDAL_NODATA])[:_LONGEST].strip(" \0")) if tags is not None else None
    except (KeyError, ValueError, TypeError):
        return None
