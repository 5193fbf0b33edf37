"""Images and labels in memory, and the digits that come with scikit-learn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.decoding.pixel_range import PixelRange, range_of, require_amounts, to_eight_bits
from automl.data.sources.base import (
    Source,
    hash_lines,
    label_words,
    numbered,
    require_classification,
)
from automl.data.sources.labels import Labels, as_array, columns_of_table, label_columns, read_labels
from automl.errors import DataError
from automl.records import ReadOptions

_MOST_VALUES = 2**22  # that decide on the range
NO_IMAGES = "the data must hold at least one image, but there is none"
_LAYOUTS = "(N, H, W), (N, H, W, C) or (N, C, H, W) with C of 1, 3 or 4"


class ArraySource(Source):
    """Images in one array and their labels. Raises DataError for impossible shapes, ranges or labels.

    `images`: uint8, other integers or bool, or floats in 0..1 or 0..255; `range_of` says how integers with more
    than 8 bits are scaled; shapes as in `_LAYOUTS`, numpy or torch.
    If the channels could be first or last, a torch tensor is read as (N, C, H, W) and an array as (N, H, W, C).
    `labels`: one entry for each image, which may be a list of labels, or (N, outputs) with 0 and 1 for several
    labels or with numbers for a regression, or a DataFrame, whose columns name the outputs.
    """

    def __init__(self, images: Any, labels: Any, *, name: str = "arrays", task: str = "auto") -> None:
        self.name = name
        self._images = channels_last(images)
        self.pixel_range = _range(self._images)
        found = _labels(labels, len(self._images), task)
        self.task, self.classes, self.targets = found.task, found.classes, found.targets
        self.files: Sequence[str] = numbered(len(self._images))
        self.splits: Sequence[str] = [""] * len(self._images)
        self.groups: Sequence[str] = [""] * len(self._images)
        self.notes: tuple[str, ...] = found.notes
        self.label_type = found.label_type

    def read(self, i: int) -> bytes:
        """Return the pixels of row i as uint8, row by row."""
        return np.ascontiguousarray(to_eight_bits(self._images[i], self.pixel_range)).tobytes()

    def decode(self, data: bytes) -> Image.Image:
        return _as_image(np.frombuffer(data, dtype=np.uint8).reshape(self._images.shape[1:]))

    def state(self) -> str:
        """Hash all pixels, in order."""
        digest = hashlib.sha256(repr((self._images.shape, self._images.dtype.str)).encode())
        for start in range(0, len(self._images), 1024):
            digest.update(np.ascontiguousarray(self._images[start : start + 1024]).tobytes())
        return digest.hexdigest()

    def outline(self) -> str:
        """Hash the labels, independent of the order of the rows."""
        return hash_lines(label_words(self))

    def content(self, digests: Sequence[str]) -> str:
        """Hash pixels and labels, independent of the order of the rows."""
        shape = self._images.shape[1:]
        rows = zip(label_words(self), digests, strict=True)
        return hash_lines(f"{label}\0{shape}\0{digest}" for label, digest in rows)


def to_images(images: Any, pixel_range: PixelRange = ()) -> Iterator[Image.Image]:
    """Yield the images of an array, read as `ArraySource` reads them, in the range of the data set of a model.

    `pixel_range` is empty if that had 8 bits: then whole numbers are 0..255 (of uint16 0..65535), and floats are 0..1
    if none of the images exceeds it. Raises DataError, also for pixels that are clearly in other units.
    """
    array = channels_last(images)
    deep = array.dtype != np.uint8 and not pixel_range
    known = _usual(array) if deep else pixel_range
    for image in array:
        require_amounts(image, pixel_range)
        yield _as_image(to_eight_bits(image, known))


def values_of(image: Any) -> npt.NDArray[Any]:
    """Return the pixels (H, W, C) in an array or tensor (H, W), (H, W, C) or (C, H, W). Raises DataError."""
    array = image[None] if hasattr(image, "detach") else _as_array(image)[None]
    return np.asarray(channels_last(array)[0])


def open_digits(data: Any, options: ReadOptions) -> ArraySource:
    """Open scikit-learn's digits: 1,797 grey images of 8 x 8 pixels and 17 levels, ten classes."""
    require_classification(options.task, options.target, repr(data))
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255.0 / 16.0)).astype(np.uint8)
    return ArraySource(pixels, digits.target, name="digits")


def _as_image(pixels: npt.NDArray[Any]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))


def tensor_values(tensor: Any) -> npt.NDArray[Any]:
    """Return the numbers in a tensor; those of a type that numpy lacks, such as bfloat16, as float32."""
    plain = tensor.detach().cpu()
    try:
        return np.asarray(plain.numpy())
    except (TypeError, RuntimeError):  # of other types, and of those that are sparse or conjugated
        try:
            return np.asarray((plain.to_dense() if plain.is_sparse else plain).float().numpy())
        except (TypeError, RuntimeError) as error:
            raise DataError(f"a tensor must hold plain numbers, but this one does not ({error})") from error


def _as_array(values: Any) -> npt.NDArray[Any]:
    """Return a tensor, an array or a list as a numpy array. Raises DataError for ragged lists."""
    if hasattr(values, "detach"):
        values = tensor_values(values)
    if np.ma.is_masked(values):
        raise DataError(
            "images must have a value in each place, but some are masked: fill them, images.filled(0)"
        )
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError(f"images and labels must each form one array, but they do not ({error})") from error


def channels_last(images: Any) -> npt.NDArray[Any]:
    """Return the images as (N, H, W, C)."""
    array = _as_array(images)
    if array.ndim and not len(array):
        raise DataError(NO_IMAGES)
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


def _range(images: npt.NDArray[Any]) -> PixelRange:
    """Return the range of all pixels; empty for uint8. Raises DataError for floats that cannot be meant as pixels."""
    if images.dtype == np.uint8:
        return ()
    if images.dtype.kind in "fb":
        return _usual(images)
    step = max(1, images.size // _MOST_VALUES)
    return range_of([images.reshape(-1)[::step]])


def _usual(images: npt.NDArray[Any]) -> PixelRange:
    """Return the usual range of pixels that are not uint8. Raises DataError for pixels outside of it."""
    low, high = float(images.min()), float(images.max())
    if low != low:
        raise DataError("pixels must be numbers, but some of them are NaN: replace them, for example with 0")
    if not low >= 0 or not high <= 65535:
        raise DataError(
            f"pixels must lie in 0..1 or 0..255, but they lie in {low:g}..{high:g}: undo their normalization "
            "(automl computes mean and deviation itself)"
        )
    if images.dtype == np.uint16:
        return (0.0, 65535.0)
    if high > 255:
        raise DataError(f"pixels must lie in 0..1 or 0..255, but they reach {high:g}: scale them")
    return (0.0, 1.0) if images.dtype.kind in "fb" and high <= 1 else (0.0, 255.0)


def _labels(labels: Any, n: int, task: str) -> Labels:
    """Read the labels. Raises DataError unless there is one entry, or one row, for each image."""
    if hasattr(labels, "detach"):
        labels = tensor_values(labels)
    named = columns_of_table(labels)
    labels = as_array(labels) if named is None else labels.to_numpy(dtype=object)
    rows = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    numeric = isinstance(labels, np.ndarray) and labels.dtype.kind in "biuf"
    if len(rows) != n or (numeric and labels.ndim > 2):
        shape = labels.shape if isinstance(labels, np.ndarray) else (len(rows),)
        raise DataError(f"labels must have one entry per image, shape ({n},) or ({n}, outputs), not {shape}")
    columns: dict[str, Sequence[Any]] = {"label": rows}
    if isinstance(labels, np.ndarray) and labels.ndim == 2 and (numeric or labels.shape[1] == 1):
        columns = label_columns(labels)
    found = read_labels(columns if named is None else named, task=task)
    if not found.kept.all():
        empty = int(np.argmin(found.kept))
        raise DataError(
            f"every image must have a label, but that of image {empty} is {rows[empty]!r}: fill or drop such rows"
        )
    return found
