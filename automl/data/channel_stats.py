"""Mean and deviation of the training pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from automl.data.cache.streamed_images import StreamedImages, open_images

# Enough images, and pixels of each, for three significant digits.
_MOST_ROWS = 5_000
_MOST_SIDE = 48
_MOST_STREAMED = 1_000  # these have to be decoded first
_CHUNK_BYTES = 2**20
# Images of one colour have no deviation; one grey level avoids a division by zero.
_SMALLEST_STD = 1 / 255


def channel_statistics(
    path: Path, index: npt.NDArray[np.int64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return (mean, std) per channel of pixels scaled to 0..1, of the rows `index` in the images at `path`.

    Uses at most 5,000 rows (1,000 if they are streamed) and a regular grid of pixels of large images, in bounded
    memory. Empty for no rows.
    """
    if not len(index):
        return (), ()
    images = open_images(path)
    most = _MOST_STREAMED if isinstance(images, StreamedImages) else _MOST_ROWS
    if len(index) > most:
        index = index[np.linspace(0, len(index) - 1, num=most).astype(np.int64)]
    channels = images.shape[3]
    step = max(1, _CHUNK_BYTES // int(np.prod(images.shape[1:])))
    # A histogram of 256 levels describes uint8 pixels exactly.
    counts = np.zeros((channels, 256), dtype=np.int64)
    apart = max(1, images.shape[1] // _MOST_SIDE)
    for start in range(0, len(index), step):
        chunk = images[index[start : start + step]][:, apart // 2 :: apart, apart // 2 :: apart]
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    levels = np.arange(256) / 255.0
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean = weights @ levels
    variance = (weights * (levels[None, :] - mean[:, None]) ** 2).sum(axis=1)
    std = np.maximum(np.sqrt(variance), _SMALLEST_STD)
    return tuple(float(value) for value in mean), tuple(float(value) for value in std)
