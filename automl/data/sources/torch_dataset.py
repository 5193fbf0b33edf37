"""A map-style torch Dataset, or anything like it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.sources.arrays import one_image
from automl.data.sources.base import Source, hash_lines, refuse_target
from automl.data.sources.labels import read_labels, vector_columns
from automl.errors import DataError

_LABEL_ATTRIBUTES = ("targets", "labels")


class DatasetSource(Source):
    """Pairs (picture, label) by index: pictures are PIL images, arrays or tensors as in `ArraySource`.

    Labels come from the attribute `targets` or `labels` where it is as long as the data set, otherwise every
    item is taken once; `classes`, if there are as many as labels, names them. Raises DataError for items that
    are no pairs, and for pictures that change from one reading to the next.
    """

    def __init__(self, dataset: Any, *, task: str) -> None:
        self._dataset = dataset
        self.name = type(dataset).__name__
        n = len(dataset)
        if n == 0:
            raise DataError("a Dataset must have items, but its length is 0")
        _require_pair(dataset[0])
        labels = read_labels(_columns(_labels(dataset, n)), task=task)
        if not labels.kept.all():
            raise DataError(
                "every item of a Dataset must have a label, but some are None or NaN: leave these out"
            )
        self.task, self.targets, self.notes = labels.task, labels.targets, labels.notes
        self.classes = (
            _class_names(dataset, labels.classes) if self.task == "classification" else labels.classes
        )
        width = max(5, len(str(n - 1)))
        self.files: Sequence[str] = [f"{i:0{width}d}" for i in range(n)]
        self.splits: Sequence[str] = [""] * n
        self.groups: Sequence[str] = [""] * n
        if self.read(0) != self.read(0):
            raise DataError(
                "a Dataset must give the same picture each time, but its first one changes: take random "
                "transforms away (automl augments by itself)"
            )

    def read(self, i: int) -> bytes:
        """The pixels of item i with their shape, as a .npy file. Raises DataError with a short reason."""
        try:
            picture = self._dataset[i][0]
        except Exception as error:  # somebody else's code
            raise DataError(f"the Dataset raised {type(error).__name__}: {error}") from error
        buffer = io.BytesIO()
        np.save(buffer, _pixels(picture), allow_pickle=False)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        """The picture with these pixels."""
        return Image.fromarray(np.load(io.BytesIO(data), allow_pickle=False))

    def state(self) -> str:
        """Hash of all pictures: a Dataset does not say otherwise whether it has changed."""
        return hash_lines(f"{i}\0{hashlib.sha256(self.read(i)).hexdigest()}" for i in range(len(self.files)))

    def close(self) -> None:
        """Nothing is open."""


def open_dataset(data: Any, *, target: str | None, task: str) -> Source:
    """Open a map-style Dataset. Raises DataError."""
    refuse_target(target, "a Dataset")
    return DatasetSource(data, task=task)


def is_dataset(data: Any) -> bool:
    """Whether it has a length and items by number, as torch's map-style Datasets, and is none of Python's own."""
    plain = isinstance(data, (str, bytes, list, tuple, dict, set, np.ndarray)) or hasattr(data, "detach")
    return not plain and hasattr(data, "__len__") and hasattr(data, "__getitem__")


def _require_pair(item: Any) -> None:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(
            f"items of a Dataset must be pairs (image, label), not {type(item).__name__}: return such pairs"
        )


def _labels(dataset: Any, n: int) -> list[Any]:
    for name in _LABEL_ATTRIBUTES:
        values = getattr(dataset, name, None)
        if values is not None and hasattr(values, "__len__") and len(values) == n:
            return [_plain(value) for value in values]
    return [_plain(dataset[i][1]) for i in range(n)]


def _plain(label: Any) -> Any:
    if hasattr(label, "detach"):
        label = label.detach().cpu().numpy()
    return label.item() if isinstance(label, (np.ndarray, np.generic)) and np.ndim(label) == 0 else label


def _columns(labels: list[Any]) -> dict[str, Sequence[Any]]:
    """One column of labels, or one a place where every label is a vector of numbers."""
    shapes = {
        label.shape if isinstance(label, np.ndarray) and label.dtype.kind in "biuf" else ()
        for label in labels
    }
    if len(shapes) == 1 and len(next(iter(shapes))) == 1:
        return vector_columns(np.stack(labels))
    return {"label": labels}


def _class_names(dataset: Any, found: tuple[str, ...]) -> tuple[str, ...]:
    """The data set's own names of classes 0, 1 and so on, if there is one for each."""
    names = getattr(dataset, "classes", None)
    numbered = tuple(str(i) for i in range(len(found)))
    if names is None or len(names) != len(found) or found != numbered or len(set(names)) != len(names):
        return found
    return tuple(str(name) for name in names)


def _pixels(picture: Any) -> npt.NDArray[Any]:
    """uint8 (H, W) or (H, W, C)."""
    if isinstance(picture, Image.Image):
        plain = picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGB")
        return np.asarray(plain)
    return np.asarray(one_image(picture))
