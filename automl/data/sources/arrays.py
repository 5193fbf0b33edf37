"""Pictures and labels that are in memory already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.sources.base import Labels, digests_of, hash_lines, load_row, require_classification
from automl.errors import DataError
from automl.records import Task

_LAYOUTS = "(N, H, W), (N, H, W, C) or (N, C, H, W) with C of 1, 3 or 4"


class ArraySource:
    """Pictures in one array and their labels. Raises DataError for shapes, ranges or labels that cannot be
    meant.

    `images`: uint8, other integers or bool, or floats in 0..1 or 0..255; shapes as in `_LAYOUTS`, numpy or
    torch. Where both ends could be the channels, a torch tensor is read as (N, C, H, W), an array as (N, H,
    W, C).
    """

    task: Task = "classification"

    def __init__(self, images: Any, labels: Any, *, name: str = "arrays") -> None:
        self.name = name
        self._images = _channels_last(images)
        self._scale = _scale(self._images)
        self.classes, self.labels = _encode(_as_array(labels), len(self._images))
        width = max(5, len(str(len(self._images) - 1)))
        self.files: Sequence[str] = [f"{i:0{width}d}" for i in range(len(self._images))]
        self.splits: Sequence[str] = [""] * len(self._images)
        self.notes: tuple[str, ...] = ()

    @property
    def targets(self) -> Labels:
        """The labels."""
        return self.labels

    def read(self, i: int) -> bytes:
        """The pixels of row i as uint8, row by row."""
        return np.ascontiguousarray(_eight_bits(self._images[i], self._scale)).tobytes()

    def decode(self, data: bytes) -> Image.Image:
        """The picture with these pixels."""
        return _as_image(np.frombuffer(data, dtype=np.uint8).reshape(self._images.shape[1:]))

    def load(self, i: int) -> Image.Image:
        """The picture of row i."""
        return load_row(self, i)

    def state(self) -> str:
        """Hash of all pixels and labels, in order."""
        digest = hashlib.sha256(repr((self._images.shape, self._images.dtype.str, self.classes)).encode())
        digest.update(self.labels.tobytes())
        for start in range(0, len(self._images), 1024):
            digest.update(np.ascontiguousarray(self._images[start : start + 1024]).tobytes())
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """Hash of pixels and class names, whatever the order of the rows."""
        return self.content(digests_of(self))

    def content(self, digests: Sequence[str]) -> str:
        """The fingerprint from the SHA-256 of every row."""
        names = [self.classes[label] for label in self.labels]
        shape = self._images.shape[1:]
        return hash_lines(f"{name}\0{shape}\0{digest}" for name, digest in zip(names, digests, strict=True))

    def close(self) -> None:
        """Nothing is open."""


def to_images(images: Any) -> Iterator[Image.Image]:
    """The pictures of an array without labels, read as `ArraySource` reads them. Raises DataError."""
    array = _channels_last(images)
    scale = _scale(array)
    for image in array:
        yield _as_image(_eight_bits(image, scale))


def open_arrays(data: Any, *, target: str | None, task: str) -> ArraySource:
    """Open a pair of arrays. Raises DataError."""
    require_classification(task, target, "arrays")
    images, labels = data
    return ArraySource(images, labels)


def _eight_bits(image: npt.NDArray[Any], scale: float | None) -> npt.NDArray[Any]:
    return image if scale is None else np.round(image.astype(np.float64) * scale).astype(np.uint8)


def _as_image(pixels: npt.NDArray[Any]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))


def _as_array(values: Any) -> npt.NDArray[Any]:
    """numpy's view of a tensor, an array or a list. Raises DataError for ragged lists."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError(f"images and labels must each form one array, but they do not ({error})") from error


def _channels_last(images: Any) -> npt.NDArray[Any]:
    """The images as (N, H, W, C)."""
    array = _as_array(images)
    if array.dtype.kind not in "buif":
        raise DataError(
            f"images must be an array of numbers, not of {array.dtype}: stack pictures of one size"
        )
    if array.ndim == 3:
        array = array[:, :, :, None]
    first_channels = array.ndim == 4 and array.shape[1] in (1, 3, 4)
    last_channels = array.ndim == 4 and array.shape[3] in (1, 3, 4)
    if first_channels and (hasattr(images, "detach") or not last_channels):
        array = np.moveaxis(array, 1, 3)
    elif not last_channels:
        raise DataError(f"images must have the shape {_LAYOUTS}, not {array.shape}: reshape them")
    if 0 in array.shape:
        raise DataError(
            f"images must hold at least one picture with pixels, but their shape is {array.shape}"
        )
    return array


def _scale(images: npt.NDArray[Any]) -> float | None:
    """The factor that brings the pixels to 0..255; None where they are uint8 already."""
    if images.dtype == np.uint8:
        return None
    low, high = float(images.min()), float(images.max())
    if not low >= 0 or not high <= 65535:
        raise DataError(
            f"pixels must lie in 0..1 or 0..255, but they lie in {low:g}..{high:g}: undo their normalisation "
            "(the mean and the deviation are found again)"
        )
    if images.dtype.kind in "fb" and high <= 1:
        return 255.0
    if high <= 255:
        return 1.0
    if images.dtype == np.uint16:
        return 255.0 / 65535.0
    raise DataError(f"pixels must lie in 0..1 or 0..255, but they reach {high:g}: scale them")


def _encode(labels: npt.NDArray[Any], n: int) -> tuple[tuple[str, ...], Labels]:
    """Class names, sorted (numbers by value), and the number of each row's class."""
    if labels.shape != (n,):
        raise DataError(
            f"labels must have one entry an image, shape ({n},), not {labels.shape}: give class names"
        )
    if labels.dtype.kind == "O":
        odd = [value for value in labels.tolist() if not isinstance(value, (str, int))]
        if odd:
            raise DataError(
                f"labels must be integers or strings, but {odd[0]!r} was given: fill or drop such rows"
            )
        labels = labels.astype(str)
    if labels.dtype.kind == "f":
        if not np.array_equal(labels, np.round(labels)):
            raise DataError(
                f"labels must be integers or strings, not {labels.dtype} with fractions: round them"
            )
        labels = labels.astype(np.int64)
    if labels.dtype.kind not in "biuUS":
        raise DataError(f"labels must be integers or strings, not {labels.dtype}: convert them")
    names, numbers = np.unique(labels, return_inverse=True)
    return tuple(str(name) for name in names.tolist()), numbers.astype(np.int64).reshape(n)
