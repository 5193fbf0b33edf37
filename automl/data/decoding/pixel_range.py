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
_OUTLIERS = 0.01  # percent of the pixels at each end: hot and dead ones must not set the range
_MOST_VALUES = 2**16  # of one image


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
    use half of it. Otherwise it is that of the values without 0.01 % at each end.
    """
    values = np.concatenate([sample.astype(np.float64) for sample in samples]) if samples else np.empty(0)
    if not len(values):
        return ()
    ends = np.percentile(values, (_OUTLIERS, 100 - _OUTLIERS), method="nearest")
    low, high = (float(value) for value in ends)
    usual = _FLOATS if any(sample.dtype.kind == "f" for sample in samples) else _WHOLE
    white = next((white for white in usual if high <= white), None)
    if low >= 0 and white is not None and high - low >= _USED * white:
        return (0.0, white)
    if high > low:
        return (low, high)
    return (0.0, white) if low >= 0 and white is not None else (low, low + 1.0)


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

    Of these, 1 % or more lie further outside of the range than it is wide.
    """
    if not is_deep(values) or not values.size:
        return
    black, white = pixel_range
    low, high = (float(value) for value in np.percentile(_finite(values, pixel_range), (1, 99)))
    if low < 2 * black - white or high > 2 * white - black:
        raise DataError(
            f"pixels from {low:g} to {high:g} do not fit the range {black:g} to {white:g} of the data set"
        )


def _finite(values: npt.NDArray[Any], pixel_range: PixelRange) -> npt.NDArray[np.float64]:
    black, white = pixel_range
    return np.nan_to_num(values.astype(np.float64), nan=black, posinf=white, neginf=black)


def usual_range(values: npt.NDArray[Any]) -> PixelRange:
    """Return the range of deep pixels where no data set says it: 0..1 for floats, else 0..65535."""
    return (0.0, 1.0) if values.dtype.kind in "fb" else (0.0, 65535.0)
