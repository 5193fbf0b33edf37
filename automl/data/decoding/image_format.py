"""Choose the size and the channels of the decoded images from the headers of some of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.constants import GPU_SIZE, SIZE_STEPS
from automl.data.decoding.pixel_range import PixelRange, range_of, sampled
from automl.data.pixels import deep_values, is_deep, is_grey, quiet_pillow
from automl.data.sources.base import Source
from automl.errors import DataError
from automl.machine import Moment
from automl.records import Resize

_SAMPLE, _LEAST, _DEEP = 512, 16, 64


@dataclass(frozen=True)
class Target:
    """The shape of decoded images, (img_size, img_size, in_chans), and how they become squares.

    `pixel_range` is black and white of images with more than 8 bits.
    """

    img_size: int
    in_chans: int
    resize: Resize = "crop"
    pixel_range: PixelRange = ()


def choose_targets(
    source: Source,
    *,
    img_size: int | Literal["auto"],
    max_size: int,
    large_size: int = 0,
    until: Moment | None = None,
    pixel_range: PixelRange | None = None,
) -> tuple[Target, Target | None]:
    """Choose size and channels from up to 512 images, evenly spread over the rows, or as many as fit before `until`.

    "auto" follows the median short side and is at most `max_size`. The second shape has `large_size`, with "auto" at
    most what the images hold; None unless that is more. One channel is enough if no image of the sample has
    a colour mode; decoding notices if another one has. `pixel_range` is that of an earlier run, by default that of up
    to 64 images with more than 8 bits. Raises DataError if no image of the sample opens or a given
    size lies outside 8..1024.
    """
    shorts, grey, found = _sample(source, until, look=pixel_range is None and not source.pixel_range)
    channels = 1 if grey else 3
    deep = source.pixel_range or (found if pixel_range is None else pixel_range)
    if img_size == "auto":
        held = auto_size(statistics.median(shorts))
        size, large = min(held, max_size), min(held, large_size)
        return _pair(size, large if large > size else 0, channels, deep)
    if isinstance(img_size, int) and 8 <= img_size <= 1024:
        return _pair(img_size, large_size if large_size > img_size else 0, channels, deep)
    raise DataError(f"the image size must be 'auto' or an integer from 8 to 1024, not {img_size!r}")


def _pair(size: int, large: int, channels: int, deep: PixelRange) -> tuple[Target, Target | None]:
    small = Target(size, channels, pixel_range=deep)
    return small, replace(small, img_size=large) if large else None


def choose_target(
    source: Source, *, img_size: int | Literal["auto"], max_size: int, until: Moment | None = None
) -> Target:
    """Choose the first shape of `choose_targets`."""
    return choose_targets(source, img_size=img_size, max_size=max_size, until=until)[0]


def auto_size(short_side: float) -> int:
    """Return the image size for images whose median short side is `short_side` pixels."""
    return next((size for limit, size in SIZE_STEPS if short_side <= limit), GPU_SIZE)


def _sample(source: Source, until: Moment | None, *, look: bool) -> tuple[list[int], bool, PixelRange]:
    """Return the short sides, whether all images are grey, and, if `look`, the range of those with more than 8 bits."""
    n = len(source.files)
    rows = np.unique(np.linspace(0, n - 1, num=min(n, _SAMPLE)).astype(np.int64))
    if until is not None:  # any beginning is spread over the rows, too
        rows = np.random.default_rng(0).permutation(rows)
    shorts: list[int] = []
    grey = True
    deep: list[npt.NDArray[Any]] = []
    problem = ""
    with quiet_pillow():
        for i in rows.tolist():
            if until is not None and len(shorts) >= _LEAST and until.passed():
                break
            try:
                image = source.decode(source.read(i))
            except DataError as error:
                problem = problem or f"{source.files[i]}: {error}"
                continue
            shorts.append(min(image.size))
            grey = grey and is_grey(image)
            if look and len(deep) < _DEEP and is_deep(image):
                deep += _values(image)
    if not shorts:
        raise DataError(
            f"the data must hold readable images, but none of {n} files in {source.name!r} opens "
            f"({problem}): check them"
        )
    return shorts, grey, range_of(deep)


def _values(image: Image.Image) -> list[npt.NDArray[Any]]:
    """Return values of the pixels; nothing for a damaged image, which decoding will name."""
    try:
        return [sampled(deep_values(image))]
    except Exception:  # readers raise nearly anything on bad bytes
        return []
