"""A map of a data set: images that look alike lie close together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.cache.streamed_images import StreamedImages

MOST_POINTS = 800  # t-SNE takes about 3 s for them on one core
LEAST_POINTS = 8
SIDE = 24  # pixels of the thumbnails that are compared
_COMPONENTS, _PERPLEXITY = 40, 30.0


@dataclass(frozen=True)
class Look:
    """What thumbnails tell about some rows: their places on the map (n, 2) from 0 to 1, and their brightness (n,)."""

    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.float64]
    brightness: npt.NDArray[np.float64]


def look_at(
    images: npt.NDArray[np.uint8] | StreamedImages, rows: npt.NDArray[np.int64], *, seed: int = 0
) -> Look:
    """Return the look of at most 800 of the `rows` of `images` (N, H, W, C), drawn by `seed`.

    Places are by t-SNE (van der Maaten and Hinton, 2008) of the first 40 principal components of thumbnails of 24
    pixels. All are 0.5 for fewer than 8 images and for images that are all the same.
    """
    if len(rows) > MOST_POINTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_POINTS, replace=False))
    small = np.stack([_thumbnail(images[row]) for row in rows.tolist()])
    return Look(rows, _places(small.reshape(len(rows), -1), seed), small.mean(axis=(1, 2, 3)))


def _thumbnail(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    channels = pixels if pixels.shape[-1] == 3 else np.repeat(pixels[..., :1], 3, axis=-1)
    small = Image.fromarray(np.ascontiguousarray(channels)).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float64) / 255.0


def _places(values: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(values) < LEAST_POINTS or np.ptp(values, axis=0).max() < 1e-6:
        return np.full((len(values), 2), 0.5)
    components = min(_COMPONENTS, len(values) - 1)
    reduced = PCA(components, random_state=seed).fit_transform(values)
    perplexity = min(_PERPLEXITY, (len(values) - 1) / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, and of a variance of 0
        found = TSNE(perplexity=perplexity, init="pca", random_state=seed, max_iter=500).fit_transform(
            reduced
        )
    found = np.asarray(found, dtype=np.float64)
    span = np.ptp(found, axis=0)
    scaled: npt.NDArray[np.float64] = (found - found.min(axis=0)) / np.where(span > 0, span, 1.0)
    return scaled
