"""The range of pixels with more than 8 bits: found once for a data set, and used for every image of it.

Scaling each image by its own values would remove differences of brightness between images, and a range of the file
format alone would leave few of 256 levels: 12-bit values in 16-bit files fill a sixteenth of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.errors import DataError

# (black, white) of a data set; empty if its pixels have 8 bits.
PixelRange = tuple[float, ...]

# White in usual units: floats, then 8, 10, 12, 14 and 16 bits. Black is 0.
_FLOATS, _WHOLE = (1.0, 255.0, 65535.0), (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
_USED = 0.5  # of a usual range, so that it is taken; else the range of the values is
_OUTLIERS = 0.01  # percent of the pixels at each end: single hot and dead ones must not set the range
# Nor must many of them: percent at each end that may lie far outside of the others, and how far, in widths of the rest.
_TAIL, _FENCE = 2.0, 1.0
# A value of its own, such as -9999 or 65535 where nothing was measured: at least this share of the pixels, this many
# widths away from the others, of which there are many different ones.
_SPIKE, _AWAY, _MANY = 0.001, 2.0, 16
_NO_PIXEL = 1e30  # beyond: -3.4e38 and the like, which GIS programs write
_MOST_VALUES, _MOST_OF_ALL = 2**16, 2**20  # of one image, and of all that decide on the range
_SAME, _NOTHING = 1e-9, 1e-30  # differences that float32 pixels do not have: of the values, and of any
_BRIGHT, _DIFFER = 0.5, 0.05  # of the largest of fractions of white, and of their standard deviation
_NORMALIZED = 10.0  # no pixels exceed it after their mean was subtracted, in standard deviations
_TOLD = 0.0005  # of the pixels outside of the range, from which it is told


def is_deep(values: npt.NDArray[Any]) -> bool:
    """Return whether pixels need a range: all but uint8 do."""
    return values.dtype != np.uint8


def sampled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return at most 65,536 finite values of an image, evenly spread."""
    flat = values.reshape(-1)
    flat = flat[:: max(1, -(-len(flat) // _MOST_VALUES))]
    return flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat


def range_of(samples: Sequence[npt.NDArray[Any]]) -> PixelRange:
    """Return black and white for images of which these are `sampled` values; empty for none.

    It is the usual range that holds them (0..1 and 0..255 of floats; 8, 10, 12, 14 or 16 bits of whole numbers) if they
    use half of it. Otherwise it is that of the values. Values do not count if they are among 0.01 % at each end, if
    they are further outside of the middle 96 % than these are wide, or if one far value means that nothing was
    measured (decision 135).
    """
    values = _measured(samples)
    if not len(values):
        return ()
    low, high = _ends(values)
    usual = _FLOATS if any(sample.dtype.kind == "f" for sample in samples) else _WHOLE
    white = next((white for white in usual if high <= white), None)
    if low >= 0 and white is not None and high - low >= _USED * white:
        return (0.0, white)
    largest = max(abs(low), abs(high))
    if high - low > max(_SAME * largest, _NOTHING):
        return (low, high)
    return (0.0, white) if low >= 0 and white is not None else (low, low + max(1.0, _SAME * largest))


def _measured(samples: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return all values but those that stand for no measurement."""
    step = max(1, sum(sample.size for sample in samples) // _MOST_OF_ALL)
    values = (
        np.concatenate([sample[::step].astype(np.float64) for sample in samples]) if samples else np.empty(0)
    )
    values = values[np.abs(values) < _NO_PIXEL]
    for _ in range(2):  # one at each end
        values = _without_spike(values)
    return values


def _without_spike(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    for end in (values.min(initial=np.inf), values.max(initial=-np.inf)):
        rest = values[values != end]
        if (
            len(values) - len(rest) < _SPIKE * len(values)
            or len(np.unique(rest[:: max(1, len(rest) // _MOST_VALUES)])) < _MANY
        ):
            continue
        low, high = np.percentile(rest, (_TAIL, 100 - _TAIL))
        gap = rest.min() - end if end < rest.min() else end - rest.max()
        if gap > _AWAY * max(high - low, 1e-12):
            return np.asarray(rest)
    return values


def _ends(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the lowest and highest value that count."""
    low, high = np.percentile(values, (_OUTLIERS, 100 - _OUTLIERS), method="nearest")
    inner = np.percentile(values, (_TAIL, 100 - _TAIL), method="nearest")
    if inner[0] == inner[1]:  # a background with little on it
        others = values[values != inner[0]]
        inner = np.percentile(np.append(others, inner[0]), (_TAIL, 100 - _TAIL), method="nearest")
    width = inner[1] - inner[0]
    if width > 0:
        low, high = max(low, inner[0] - _FENCE * width), min(high, inner[1] + _FENCE * width)
    return float(low), float(high)


def outside_note(samples: Sequence[npt.NDArray[Any]], pixel_range: PixelRange) -> str:
    """Return how many pixels lie outside of the range, "" for hardly any."""
    n = sum(sample.size for sample in samples)
    if not n or not pixel_range:
        return ""
    black, white = pixel_range
    outside = sum(int(((sample < black) | (sample > white)).sum()) for sample in samples)
    if outside < _TOLD * n:
        return ""
    return (
        f"{100 * outside / n:.2g} % of the pixels lie outside of {black:g}..{white:g}, where the others are (hot "
        "pixels, or places without a measurement): they become black or white."
    )


def to_eight_bits(values: npt.NDArray[Any], pixel_range: PixelRange) -> npt.NDArray[np.uint8]:
    """Return the pixels scaled from the range to 0..255, clipped; uint8 as they are.

    Raises DataError as `require_fitting` does.
    """
    if not is_deep(values):
        return values
    require_fitting(values, pixel_range)
    return scaled(values, pixel_range)


def scaled(values: npt.NDArray[Any], pixel_range: PixelRange) -> npt.NDArray[np.uint8]:
    """Return pixels with more than 8 bits scaled from the range to 0..255, and clipped."""
    black, white = pixel_range
    plain = _finite(values, pixel_range)
    return np.round((plain - black).clip(0, white - black) * (255.0 / (white - black))).astype(np.uint8)


def require_fitting(values: npt.NDArray[Any], pixel_range: PixelRange) -> None:
    """Raise DataError for pixels that are clearly in other units than those of the data set.

    Of these, half or more lie further outside of the range than it is wide. One value does not count if there are
    others: it may mean that nothing was measured.
    """
    if not is_deep(values) or not values.size:
        return
    black, white = pixel_range
    finite = sampled(values)
    if not finite.size and not np.isfinite(values).any():
        raise DataError("no pixel with a value (all are NaN or infinite)")
    if not finite.size:
        return
    plain = _finite(finite, pixel_range)
    low, high = (float(value) for value in np.percentile(plain, (1, 99)))
    far = (plain < 2 * black - white) | (plain > 2 * white - black)
    if 2 * far.sum() < len(plain):
        return
    most = int(np.unique(plain[far], return_counts=True)[1].max(initial=0))
    rest, others = len(plain) - most, int(far.sum()) - most
    if not rest or 2 * others >= rest:
        raise DataError(
            f"pixels from {low:g} to {high:g} do not fit the range {black:g} to {white:g} of the data set"
        )


def require_amounts(values: npt.NDArray[Any], pixel_range: PixelRange) -> None:
    """Raise DataError for fractions of white (0..1), or normalized pixels, where a model knows amounts (0..4095).

    It would see them as black. Among the files of a data set they are what they are, as the range is one for all.
    """
    finite = sampled(values)
    if (
        not finite.size
        or not pixel_range
        or pixel_range[0] != 0
        or pixel_range[1] not in _WHOLE
        or not _is_share(finite)
    ):
        return
    low, high, white = float(finite.min()), float(finite.max()), pixel_range[1]
    do = "undo their normalization" if low < 0 else f"multiply them by {white:g} if 1 is white"
    raise DataError(
        f"pixels from {low:.2g} to {high:.2g} do not fit the range 0 to {white:g} of the data set: {do}"
    )


def _is_share(values: npt.NDArray[Any]) -> bool:
    """Return whether these are floats in 0..1 that differ, or normalized ones: among amounts all would be black."""
    if values.dtype.kind != "f" or values.max() > (1 if values.min() >= 0 else _NORMALIZED):
        return False
    if values.min() < -_NORMALIZED:
        return False
    return float(values.max()) > _BRIGHT and float(values.std()) > _DIFFER and bool((values % 1 > 0).any())


def _finite(values: npt.NDArray[Any], pixel_range: PixelRange) -> npt.NDArray[np.float64]:
    black, white = pixel_range
    return np.nan_to_num(values.astype(np.float64), nan=black, posinf=white, neginf=black)


def usual_range(values: npt.NDArray[Any]) -> PixelRange:
    """Return the range of deep pixels where no data set says it: 0..1 for floats, else 0..65535."""
    return (0.0, 1.0) if values.dtype.kind in "fb" else (0.0, 65535.0)
