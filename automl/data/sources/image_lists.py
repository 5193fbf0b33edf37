"""Images in memory and their labels: one array, or a list of paths, bytes, PIL images or arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from automl.data.sources.arrays import ArraySource, tensor_values
from automl.data.sources.base import Source, refuse_target
from automl.data.sources.cells import groups_of
from automl.data.sources.files.manifest import open_frame
from automl.data.sources.labels import as_array, columns_of_table, label_columns
from automl.data.sources.torch_dataset import DatasetSource
from automl.errors import DataError
from automl.records import ReadOptions


class ImageList:
    """Images of any sizes and their labels, as a map-style Dataset."""

    def __init__(self, images: Sequence[Any], labels: Sequence[Any]) -> None:
        self._images = images
        self.targets = labels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        return self._images[i], self.targets[i]


def open_pair(data: Any, options: ReadOptions) -> Source:
    """Open (images, labels), or (images, labels, groups) with a group for each image. Raises DataError.

    `images` are one array as in `ArraySource`, or a list (or array, or Series) of paths, relative to the current
    folder, of the bytes or open files of images, of PIL images, or of arrays as in `DatasetSource`.
    """
    refuse_target(options.target, "arrays")
    images, labels, *rest = data
    if labels is None or isinstance(labels, (str, bytes, dict, set, frozenset)):
        raise DataError(
            f"labels must be a list, an array or a column, with one entry for each image, not {type(labels).__name__}"
        )
    if isinstance(images, (str, os.PathLike)):
        raise DataError(
            f"labels belong to images in memory or a list of paths, not to the path {str(images)!r}: give a list, or "
            "leave out the labels"
        )
    items = _items(images)
    first = items[0] if items else None
    if isinstance(first, (str, os.PathLike, bytes, bytearray)) or hasattr(first, "read"):
        groups = _one_each(rest[0], len(items), "groups") if rest else None
        return _files(items, labels, groups, options.task)
    if isinstance(first, Image.Image) or _differ(items):
        named = columns_of_table(labels)
        source = DatasetSource(
            ImageList(items, _one_each(labels, len(items))), task=options.task, columns=named
        )
        source.name = "images"
        return _grouped(source, *rest)
    if hasattr(first, "detach"):
        import torch

        images = torch.stack(items)
    named = labels if columns_of_table(labels) else _plain(labels)
    return _grouped(ArraySource(images, named, task=options.task), *rest)


def _grouped(source: ArraySource | DatasetSource, groups: Any = None) -> Source:
    """Return the source with the group of each row, "" for those without one."""
    if groups is not None:
        given = _one_each(groups, len(source.files), "groups")
        source.groups, told = groups_of(given, "groups")
        source.notes += told
    return source


def _items(images: Any) -> list[Any]:
    """Return the entries of a list, a Series or an array of objects; nothing for an array of numbers."""
    if hasattr(images, "iloc") and hasattr(images, "tolist"):
        return list(images.tolist())
    if isinstance(images, np.ndarray):
        return [] if images.dtype.kind in "buif" else list(images.reshape(-1).tolist())
    return list(images) if isinstance(images, (list, tuple)) else []


def _differ(items: list[Any]) -> bool:
    """Return whether these are arrays or tensors of different shapes."""
    shapes = {tuple(item.shape) for item in items if hasattr(item, "shape")}
    return len(shapes) > 1


def _files(items: list[Any], labels: Any, groups: list[Any] | None, task: str) -> Source:
    import pandas as pd

    cells = [_cell(item) for item in items]
    columns = _columns(labels, len(items))
    image = "image"
    while image in columns:
        image += "_"
    frame = pd.DataFrame({image: pd.Series(cells, dtype=object)})
    for name, column in columns.items():
        frame[name] = pd.Series(list(column), dtype=object)
    together = None
    if groups is not None:
        together = "group"
        while together in frame:
            together += "_"
        frame[together] = pd.Series(groups, dtype=object)
    source = open_frame(frame, ReadOptions(",".join(columns), task, image, together))
    source.name = "images"
    return source


def _cell(item: Any) -> str | bytes:
    """Return a path, or the bytes of an image. Raises DataError."""
    if isinstance(item, (str, os.PathLike)):
        return os.fspath(item)
    if isinstance(item, (bytes, bytearray)):
        return bytes(item)
    try:
        item.seek(0)
        return bytes(item.read())
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise DataError(
            f"images of one list must all be of one kind, but {item!r:.60} is of another"
        ) from error


def _columns(labels: Any, n: int) -> dict[str, Sequence[Any]]:
    if (named := columns_of_table(labels)) is not None:
        _one_each(labels, n)
        return named
    plain = _plain(labels)
    numeric = isinstance(plain, np.ndarray) and plain.ndim == 2
    return label_columns(plain) if numeric else {"label": _one_each(plain, n)}


def _one_each(labels: Any, n: int, what: str = "labels") -> list[Any]:
    """Return the labels as a list. Raises DataError unless there is one for each image."""
    plain = _plain(labels)
    try:
        found = list(plain) if plain is not None else []
    except TypeError as error:
        raise DataError(f"{what} must be a list or an array, not {plain!r:.60}") from error
    if len(found) != n:
        raise DataError(f"{what} must have one entry for each of {n} images, not {len(found)}")
    return found


def _plain(labels: Any) -> Any:
    """Return a tensor, a column of a table or rows of a list as an array, and anything else as it is."""
    if hasattr(labels, "detach"):
        return tensor_values(labels)
    return labels.to_numpy() if hasattr(labels, "to_numpy") else as_array(labels)
