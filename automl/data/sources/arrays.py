"""Images and labels in memory, and the digits that come with scikit-learn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.sources.base import (
    Source,
    hash_lines,
    label_words,
    numbered,
    refuse_target,
    require_classification,
)
from automl.data.sources.labels import Labels, label_columns, read_labels
from automl.errors import DataError

_LAYOUTS = "(N, H, W), (N, H, W, C) or (N, C, H, W) with C of 1, 3 or 4"


class ArraySource(Source):
    """Images in one array and their labels. Raises DataError for impossible shapes, ranges or labels.

    `images`: uint8, other integers or bool, or floats in 0..1 or 0..255; shapes as in `_LAYOUTS`, numpy or torch.
    If the channels could be first or last, a torch tensor is read as (N, C, H, W) and an array as (N, H, W, C).
    `labels`: one entry for each image, which may be a list of labels, or (N, outputs) with 0 and 1 for several
    labels or with numbers for a regression.
    """

    def __init__(self, images: Any, labels: Any, *, name: str = "arrays", task: str = "auto") -> None:
        self.name = name
        self._images = _channels_last(images)
        self._scale = _scale(self._images)
        found = _labels(labels, len(self._images), task)
        self.task, self.classes, self.targets = found.task, found.classes, found.targets
        self.files: Sequence[str] = numbered(len(self._images))
        self.splits: Sequence[str] = [""] * len(self._images)
        self.groups: Sequence[str] = [""] * len(self._images)
        self.notes: tuple[str, ...] = found.notes
        self.label_type = found.label_type

    def read(self, i: int) -> bytes:
        """Return the pixels of row i as uint8, row by row."""
        return np.ascontiguousarray(_eight_bits(self._images[i], self._scale)).tobytes()

    def decode(self, data: bytes) -> Image.Image:
        return _as_image(np.frombuffer(data, dtype=np.uint8).reshape(self._images.shape[1:]))

    def state(self) -> str:
        """Hash all pixels, in order."""
        digest = hashlib.sha256(repr((self._images.shape, self._images.dtype.str)).encode())
        for start in range(0, len(self._images), 1024):
            digest.update(np.ascontiguousarray(self._images[start : start + 1024]).tobytes())
        return digest.hexdigest()

    def content(self, digests: Sequence[str]) -> str:
        """Hash pixels and labels, independent of the order of the rows."""
        shape = self._images.shape[1:]
        rows = zip(label_words(self), digests, strict=True)
        return hash_lines(f"{label}\0{shape}\0{digest}" for label, digest in rows)


def to_images(images: Any) -> Iterator[Image.Image]:
    """Yield the images of an array, read as `ArraySource` reads them. Raises DataError."""
    array = _channels_last(images)
    scale = _scale(array)
    for image in array:
        yield _as_image(_eight_bits(image, scale))


def one_image(image: Any) -> Image.Image:
    """Return the image in an array or tensor (H, W), (H, W, C) or (C, H, W). Raises DataError."""
    array = image[None] if hasattr(image, "detach") else _as_array(image)[None]
    return next(iter(to_images(array)))


def open_arrays(data: Any, *, target: str | None, task: str) -> ArraySource:
    """Open a pair of arrays. Raises DataError."""
    refuse_target(target, "arrays")
    images, labels = data
    return ArraySource(images, labels, task=task)


def open_digits(data: Any, *, target: str | None, task: str) -> ArraySource:
    """Open scikit-learn's digits: 1,797 grey images of 8 x 8 pixels and 17 levels, ten classes."""
    require_classification(task, target, repr(data))
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255.0 / 16.0)).astype(np.uint8)
    return ArraySource(pixels, digits.target, name="digits")


def _eight_bits(image: npt.NDArray[Any], scale: float | None) -> npt.NDArray[Any]:
    return image if scale is None else np.round(image.astype(np.float64) * scale).astype(np.uint8)


def _as_image(pixels: npt.NDArray[Any]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))


def _as_array(values: Any) -> npt.NDArray[Any]:
    """Return a tensor, an array or a list as a numpy array. Raises DataError for ragged lists."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError(f"images and labels must each form one array, but they do not ({error})") from error


def _channels_last(images: Any) -> npt.NDArray[Any]:
    """Return the images as (N, H, W, C)."""
    array = _as_array(images)
    if array.dtype.kind not in "buif":
        raise DataError(f"images must be an array of numbers, not of {array.dtype}: resize and stack them")
    if array.ndim == 3:
        array = array[:, :, :, None]
    first_channels = array.ndim == 4 and array.shape[1] in (1, 3, 4)
    last_channels = array.ndim == 4 and array.shape[3] in (1, 3, 4)
    if first_channels and (hasattr(images, "detach") or not last_channels):
        array = np.moveaxis(array, 1, 3)
    elif not last_channels:
        raise DataError(f"images must have the shape {_LAYOUTS}, not {array.shape}: reshape them")
    if 0 in array.shape:
        raise DataError(f"images must hold at least one image with pixels, but their shape is {array.shape}")
    return array


def _scale(images: npt.NDArray[Any]) -> float | None:
    """Return the factor that brings the pixels to 0..255; None if they are uint8 already."""
    if images.dtype == np.uint8:
        return None
    low, high = float(images.min()), float(images.max())
    if not low >= 0 or not high <= 65535:
        raise DataError(
            f"pixels must lie in 0..1 or 0..255, but they lie in {low:g}..{high:g}: undo their normalization "
            "(automl computes mean and deviation itself)"
        )
    if images.dtype.kind in "fb" and high <= 1:
        return 255.0
    if high <= 255:
        return 1.0
    if images.dtype == np.uint16:
        return 255.0 / 65535.0
    raise DataError(f"pixels must lie in 0..1 or 0..255, but they reach {high:g}: scale them")


def _labels(labels: Any, n: int, task: str) -> Labels:
    """Read the labels. Raises DataError unless there is one entry, or one row, for each image."""
    if hasattr(labels, "detach"):
        labels = labels.detach().cpu().numpy()
    rows = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    numeric = isinstance(labels, np.ndarray) and labels.dtype.kind in "biuf"
    if len(rows) != n or (numeric and labels.ndim > 2):
        shape = labels.shape if isinstance(labels, np.ndarray) else (len(rows),)
        raise DataError(f"labels must have one entry per image, shape ({n},) or ({n}, outputs), not {shape}")
    columns: dict[str, Sequence[Any]] = {"label": rows}
    if isinstance(labels, np.ndarray) and labels.ndim == 2 and (numeric or labels.shape[1] == 1):
        columns = label_columns(labels)
    found = read_labels(columns, task=task)
    if not found.kept.all():
        empty = int(np.argmin(found.kept))
        raise DataError(
            f"every image must have a label, but that of image {empty} is {rows[empty]!r}: fill or drop such rows"
        )
    return found
