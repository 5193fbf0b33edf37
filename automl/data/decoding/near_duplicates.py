"""Find nearly equal images, and number the rows that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.constants import COMPARE_ALL_UP_TO, MOST_PAIRS_PER_IMAGE, NEAR_DUPLICATE_TOLERANCE

SIDE = 16
_MOST_SAMPLES = 64
_CHUNK = 50_000
_SAMPLE = 4096
_MOST_CANDIDATES = 50
_ROWS_AT_ONCE = 512

Pairs = npt.NDArray[np.int64]


def thumbnails(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return grey 16 x 16 thumbnails of (n, size, size, channels): means of up to 16 samples per cell."""
    size = images.shape[1]
    side = min(max(SIDE, size // SIDE * SIDE), _MOST_SAMPLES)
    samples = images
    if side != size:
        index = np.arange(side) * size // side
        samples = images[:, index][:, :, index]
    grey = samples[..., 0].astype(np.uint16)
    for channel in range(1, samples.shape[3]):
        grey += samples[..., channel]
    cell = side // SIDE
    rows = np.add.reduce(grey.reshape(len(images), SIDE, cell, side), axis=2)
    total = np.add.reduce(rows.reshape(len(images), SIDE, SIDE, cell), axis=3, dtype=np.uint32)
    return np.asarray(total // (cell * cell * samples.shape[3]), dtype=np.uint8)


def near_duplicates(thumbs: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> tuple[Pairs, bool]:
    """Return pairs (m, 2) of `rows` whose thumbnails differ by less than `NEAR_DUPLICATE_TOLERANCE`.

    `rows` are usable images whose bytes differ. The second value says whether similarity is informative: it is False,
    and there are no pairs, if too many images look alike.

    Exact without comparing all pairs: a projection makes no distance larger, so every pair is among the neighbours in
    a few principal components, which a k-d tree finds. Hashes of gradients (dHash) are noise on plain surfaces: in a
    set of 1,300 images with 18 copies, 5,000 pairs were equal in all but 4 bits.
    """
    none = np.empty((0, 2), dtype=np.int64)
    if len(rows) < 2:
        return none, True
    near = _neighbours(thumbs[rows])
    if near is None:
        return none, False
    kept = [
        near[k : k + _CHUNK][_close(thumbs, rows, near[k : k + _CHUNK])] for k in range(0, len(near), _CHUNK)
    ]
    pairs = np.concatenate([none, *kept])
    if len(pairs) > MOST_PAIRS_PER_IMAGE * len(rows):
        return none, False
    found = np.sort(rows[pairs], axis=1)
    return found[np.lexsort(found.T[::-1])], True


def _neighbours(thumbs: npt.NDArray[np.uint8]) -> Pairs | None:
    """Return all pairs within the tolerance, and others; None if there are too many to check."""
    half = SIDE // 2
    # Means of 2 x 2 pixels make no distance larger either, and their 64 principal axes take little time.
    cells = thumbs.reshape(-1, half, 2, half, 2).sum(axis=(2, 4), dtype=np.uint16)
    pixels = cells.reshape(-1, half * half)
    # The distance of half * half sums of 4 whose root mean square is the tolerance, plus the rounding of float32.
    radius = 4 * NEAR_DUPLICATE_TOLERANCE * half * (1 + 1e-5)
    return _all_within(pixels, radius) if len(pixels) <= COMPARE_ALL_UP_TO else _tree_within(pixels, radius)


def _all_within(pixels: npt.NDArray[np.uint16], radius: float) -> Pairs | None:
    """Return pairs of few rows within `radius`, by comparing all pairs."""
    # Sums of squares below 2**24 are exact in float32; distances far above do not matter.
    values = pixels.astype(np.float32) - np.float32(pixels.mean())
    squares = (values * values).sum(axis=1)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(values), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        apart = squares[part, None] + squares[None, start:] - 2 * (values[part] @ values[start:].T)
        # Rounding is relative to the squares, not to their difference.
        slack = 1e-5 * (squares[part, None] + squares[None, start:])
        near = np.argwhere(apart <= radius**2 + slack) + start
        found.append(near[near[:, 0] < near[:, 1]])
        if sum(map(len, found)) > _MOST_CANDIDATES * (len(values) + _SAMPLE):
            return None
    return np.concatenate(found)


def _tree_within(pixels: npt.NDArray[np.uint16], radius: float) -> Pairs | None:
    """Return pairs of many rows within `radius` in a few principal components, by a k-d tree."""
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(0)
    sample = pixels[rng.permutation(len(pixels))[:_SAMPLE]].astype(np.float32)
    centre = sample.mean(axis=0)
    _, axes = np.linalg.eigh((sample - centre).T @ (sample - centre))
    for components in (6, 16, 48):
        projected = np.concatenate(
            [(pixels[k : k + _CHUNK] - centre) @ axes[:, -components:] for k in range(0, len(pixels), _CHUNK)]
        )
        tree = cKDTree(projected, balanced_tree=False)
        few = cKDTree(projected[rng.permutation(len(pixels))[: _SAMPLE // 8]])
        expected = (tree.count_neighbors(few, radius) / few.n - 1) * tree.n / 2
        if expected <= _MOST_CANDIDATES * (len(pixels) + _SAMPLE):
            return np.asarray(tree.query_pairs(radius, output_type="ndarray"), dtype=np.int64)
    return None


def clusters(n: int, links: Sequence[Pairs | Sequence[str]]) -> npt.NDArray[np.int64]:
    """Return the number of each row's cluster, which is its first row.

    `links` are pairs of rows, or a name for each row, where rows of an equal name (not "") belong together.
    """
    parent = np.arange(n)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for link in links:
        for a, b in link.tolist() if isinstance(link, np.ndarray) else _chains(link):
            low, high = sorted((root(a), root(b)))
            parent[high] = low
    while (parent[parent] != parent).any():
        parent = parent[parent]
    return parent


def _chains(names: Sequence[str]) -> list[tuple[int, int]]:
    """Pair each row with the first of its name."""
    first: dict[str, int] = {}
    return [
        (first.setdefault(name, i), i) for i, name in enumerate(names) if name and first.get(name, -1) != i
    ]


def _close(thumbs: npt.NDArray[np.uint8], rows: npt.NDArray[Any], near: Pairs) -> npt.NDArray[np.bool_]:
    a, b = (thumbs[rows[near[:, k]]].astype(np.float32) for k in (0, 1))
    return np.asarray(((a - b) ** 2).mean(axis=(1, 2)) < NEAR_DUPLICATE_TOLERANCE**2)
