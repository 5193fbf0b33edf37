"""Choose the size and the channels of the decoded images from the headers of some of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Literal

import numpy as np

from automl.data.constants import GPU_SIZE, SIZE_STEPS
from automl.data.pixels import is_grey, quiet_pillow
from automl.data.sources.base import Source
from automl.errors import DataError
from automl.machine import Moment
from automl.records import Resize

_SAMPLE, _LEAST = 512, 16


@dataclass(frozen=True)
class Target:
    """The shape of decoded images, (img_size, img_size, in_chans), and how they become squares."""

    img_size: int
    in_chans: int
    resize: Resize = "crop"


def choose_targets(
    source: Source,
    *,
    img_size: int | Literal["auto"],
    max_size: int,
    large_size: int = 0,
    until: Moment | None = None,
) -> tuple[Target, Target | None]:
    """Choose size and channels from up to 512 images, evenly spread over the rows, or as many as fit before `until`.

    "auto" follows the median short side and is at most `max_size`. The second shape has `large_size`, with "auto" at
    most what the images hold; None unless that is more. One channel is enough if no image of the sample has
    a colour mode; decoding notices if another one has. Raises DataError if no image of the sample opens or a given
    size lies outside 8..1024.
    """
    shorts, grey = _sample(source, until)
    channels = 1 if grey else 3
    if img_size == "auto":
        held = auto_size(statistics.median(shorts))
        size, large = min(held, max_size), min(held, large_size)
        return Target(size, channels), Target(large, channels) if large > size else None
    if isinstance(img_size, int) and 8 <= img_size <= 1024:
        return Target(img_size, channels), Target(large_size, channels) if large_size > img_size else None
    raise DataError(f"the image size must be 'auto' or an integer from 8 to 1024, not {img_size!r}")


def choose_target(
    source: Source, *, img_size: int | Literal["auto"], max_size: int, until: Moment | None = None
) -> Target:
    """Choose the first shape of `choose_targets`."""
    return choose_targets(source, img_size=img_size, max_size=max_size, until=until)[0]


def auto_size(short_side: float) -> int:
    """Return the image size for images whose median short side is `short_side` pixels."""
    return next((size for limit, size in SIZE_STEPS if short_side <= limit), GPU_SIZE)


def _sample(source: Source, until: Moment | None) -> tuple[list[int], bool]:
    n = len(source.files)
    rows = np.unique(np.linspace(0, n - 1, num=min(n, _SAMPLE)).astype(np.int64))
    if until is not None:  # any beginning is spread over the rows, too
        rows = np.random.default_rng(0).permutation(rows)
    shorts: list[int] = []
    grey = True
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
    if not shorts:
        raise DataError(
            f"the data must hold readable images, but none of {n} files in {source.name!r} opens "
            f"({problem}): check them"
        )
    return shorts, grey
