"""Choose the size and the channels of the decoded images from the headers of some of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.constants import GPU_SIZE, SIZE_STEPS
from automl.data.decoding.pixel_range import PixelRange, outside_note, range_of, sampled
from automl.data.decoding.tiff_tags import dropped_bands, has_more_images
from automl.data.pixels import deep_values, is_deep, is_grey, quiet_pillow
from automl.data.sources.base import Source, counted
from automl.errors import DataError
from automl.machine import Moment
from automl.records import Resize

_SAMPLE, _LEAST, _DEEP = 512, 16, 64


@dataclass(frozen=True)
class Target:
    """The shape of decoded images, (img_size, img_size, in_chans), and how they become squares.

    `pixel_range` is black and white of images with more than 8 bits. `notes` say what of the images is not used.
    """

    img_size: int
    in_chans: int
    resize: Resize = "crop"
    pixel_range: PixelRange = ()
    notes: tuple[str, ...] = field(default=(), compare=False)


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
    seen = _look_at(source, until, look=pixel_range is None and not source.pixel_range)
    deep = source.pixel_range or (range_of(seen.deep) if pixel_range is None else pixel_range)
    any_size = Target(0, 1 if seen.grey else 3, pixel_range=deep, notes=seen.notes(deep))
    if img_size == "auto":
        held = auto_size(statistics.median(seen.shorts))
        size, large = min(held, max_size), min(held, large_size)
        return _pair(any_size, size, large if large > size else 0)
    if isinstance(img_size, int) and 8 <= img_size <= 1024:
        return _pair(any_size, img_size, large_size if large_size > img_size else 0)
    raise DataError(f"the image size must be 'auto' or an integer from 8 to 1024, not {img_size!r}")


def _pair(target: Target, size: int, large: int) -> tuple[Target, Target | None]:
    return replace(target, img_size=size), replace(target, img_size=large) if large else None


def choose_target(
    source: Source, *, img_size: int | Literal["auto"], max_size: int, until: Moment | None = None
) -> Target:
    """Choose the first shape of `choose_targets`."""
    return choose_targets(source, img_size=img_size, max_size=max_size, until=until)[0]


def auto_size(short_side: float) -> int:
    """Return the image size for images whose median short side is `short_side` pixels."""
    return next((size for limit, size in SIZE_STEPS if short_side <= limit), GPU_SIZE)


@dataclass
class _Seen:
    """The images that were looked at: short sides, whether all are grey, deep values, files that are used in part."""

    shorts: list[int] = field(default_factory=list)
    grey: bool = True
    deep: list[npt.NDArray[Any]] = field(default_factory=list)
    several: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def notes(self, pixel_range: PixelRange) -> tuple[str, ...]:
        """Return what of the images is not used."""
        notes = [outside_note(self.deep, pixel_range)]
        if self.several:
            of = f"{len(self.several):,} of {len(self.shorts):,} files looked at"
            notes.append(
                f"Only the first page or frame of a file is used; {of} have more, such as {self.several[0]}: save each "
                "page as a file of its own to use all."
            )
        if self.dropped:
            notes.append(
                f"Bands after grey or red, green and blue are not used; {len(self.dropped):,} of {len(self.shorts):,} "
                f"files looked at have some, such as {self.dropped[0]}."
            )
        return tuple(filter(None, notes))


def _look_at(source: Source, until: Moment | None, *, look: bool) -> _Seen:
    """Look at some images; at the values of those with more than 8 bits if `look`."""
    n = len(source.files)
    rows = np.unique(np.linspace(0, n - 1, num=min(n, _SAMPLE)).astype(np.int64))
    if until is not None:  # any beginning is spread over the rows, too
        rows = np.random.default_rng(0).permutation(rows)
    seen = _Seen()
    problem = ""
    with quiet_pillow():
        for i in rows.tolist():
            if until is not None and len(seen.shorts) >= _LEAST and until.passed():
                break
            try:
                image = source.decode(source.read(i))
            except DataError as error:
                problem = problem or f"{source.files[i]}: {error}"
                continue
            seen.shorts.append(min(image.size))
            seen.grey = seen.grey and is_grey(image)
            seen.dropped += [source.files[i]] if dropped_bands(image) else []
            seen.several += [source.files[i]] if has_more_images(image) else []
            if look and len(seen.deep) < _DEEP and is_deep(image):
                seen.deep += _values(image)
    if not seen.shorts:
        raise DataError(
            f"the data must hold readable images, but none of {counted(n, 'file')} in {source.name!r} opens "
            f"({problem}): check them"
        )
    return seen


def _values(image: Image.Image) -> list[npt.NDArray[Any]]:
    """Return values of the pixels; nothing for a damaged image, which decoding will name."""
    try:
        return [sampled(deep_values(image))]
    except Exception:  # readers raise nearly anything on bad bytes
        return []
