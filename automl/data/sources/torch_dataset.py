"""A map-style torch Dataset or anything like it, and several of them as the parts of one data set."""

from __future__ import annotations

import bisect
import hashlib
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from automl.data.decoding.pixel_range import (
    PixelRange,
    is_deep,
    range_of,
    sampled,
    to_eight_bits,
    usual_range,
)
from automl.data.pixels import is_deep_mode
from automl.data.sources.arrays import values_of
from automl.data.sources.base import Source, hash_lines, numbered, refuse_target
from automl.data.sources.dataset_labels import (
    LABEL_ATTRIBUTES,
    DatasetLabels,
    known_labels,
    named_classes,
    pair_of,
    read_dataset_labels,
)
from automl.data.sources.labels import read_labels
from automl.errors import DataError
from automl.records import ReadOptions

_LOOKED_AT = 32  # items, for the range of their pixels
_WHITE = 255.0
# Private to torchvision: seven of its sets keep their `targets` there. Without it, every image is decoded once more to
# learn its label.
_TORCHVISION_LABELS = "_labels"


class DatasetSource(Source):
    """Pairs (image, label) by index: images are PIL images, arrays or tensors as in `ArraySource`.

    Labels come from the attribute `targets` or `labels` if it agrees with the items, otherwise from every item. The
    attribute `classes` names them. Raises DataError for items that are not pairs, and for images that change from one
    reading to the next. `columns` are the labels, if they have names.
    """

    def __init__(
        self, dataset: Any, *, task: str, columns: Mapping[str, Sequence[Any]] | None = None
    ) -> None:
        self._dataset = dataset
        self.name = type(dataset).__name__
        n = _length(dataset)
        first, label = _first_pair(dataset)
        found = read_dataset_labels(dataset, label) if columns is None else DatasetLabels(columns)
        labels = read_labels(found.columns, task=task)
        if not labels.kept.all():
            raise DataError(
                "every item of a Dataset must have a label, but some are None or NaN: leave these out"
            )
        names = found.names if labels.task == "classification" else ()
        self.classes, told = named_classes(labels.classes, names)
        self.task, self.targets = labels.task, labels.targets
        self.notes = (*labels.notes, *found.notes, *told)
        self.pixel_range = _range(dataset, _pixels(first))
        self.label_type = labels.label_type if self.classes == labels.classes else "text"
        self.files: Sequence[str] = numbered(n)
        self.splits: Sequence[str] = [""] * n
        self.groups: Sequence[str] = [""] * n
        if self.read(0) != self.read(0):
            raise DataError(
                "a Dataset must return the same image each time, but its first one changes: remove random "
                "transforms (automl augments by itself)"
            )

    def read(self, i: int) -> bytes:
        """Return the pixels of item i with their shape, as a .npy file. Raises DataError with a short reason."""
        try:
            image = pair_of(self._dataset[i])[0]
        except Exception as error:  # somebody else's code
            raise DataError(f"the Dataset raised {type(error).__name__}: {error}") from error
        buffer = io.BytesIO()
        np.save(buffer, _eight_bits(_pixels(image), self.pixel_range), allow_pickle=False)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        return Image.fromarray(np.load(io.BytesIO(data), allow_pickle=False))

    def state(self) -> str:
        """Hash all images: nothing else shows whether a Dataset has changed."""
        return hash_lines(f"{i}\0{hashlib.sha256(self.read(i)).hexdigest()}" for i in range(len(self.files)))


class JoinedSource(DatasetSource):
    """Several Datasets by the part that each stands for ("" if there is only one), and the folder of their files."""

    def __init__(self, parts: dict[str, Any], *, name: str, folder: Path, task: str) -> None:
        super().__init__(Joined(list(parts.values())), task=task)
        self.name = name
        self.splits = [part for part, items in parts.items() for _ in range(len(items))]
        self._folder = folder

    def state(self) -> str:
        """Hash names, sizes and modification times of the files in the folder."""
        files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        found = ((path, path.stat()) for path in files)
        return hash_lines(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}" for path, stat in found)


class Joined:
    """The items of several map-style Datasets, in order; has `targets` if all of them know their labels."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = parts
        self._ends = list(itertools.accumulate(len(part) for part in parts))
        self.classes = getattr(parts[0], "classes", None)
        labels = [known_labels(part, *LABEL_ATTRIBUTES, _TORCHVISION_LABELS) for part in parts]
        if all(known is not None for known in labels):
            self.targets = [label for known in labels if known is not None for label in known]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, i: int) -> Any:
        part = bisect.bisect_right(self._ends, i)
        return self._parts[part][i - (self._ends[part - 1] if part else 0)]


def open_dataset(data: Any, options: ReadOptions) -> Source:
    """Open a map-style Dataset. Raises DataError."""
    refuse_target(options.target, "a Dataset")
    return DatasetSource(data, task=options.task)


def is_dataset(data: Any) -> bool:
    """Return whether it has a length and items by number, as torch's map-style Datasets, and is not Python's own."""
    plain = isinstance(data, (str, bytes, list, tuple, dict, set, np.ndarray)) or hasattr(data, "detach")
    column = hasattr(data, "iloc") and not hasattr(data, "columns")
    return not plain and not column and hasattr(data, "__len__") and hasattr(data, "__getitem__")


def is_loader(data: Any) -> bool:
    """Return whether it is a torch DataLoader, which gives batches of a Dataset."""
    return hasattr(data, "dataset") and hasattr(data, "batch_size") and hasattr(data, "collate_fn")


def _first_pair(dataset: Any) -> tuple[Any, Any]:
    try:
        first = dataset[0]
    except Exception as error:  # somebody else's code
        raise DataError(
            f"the first item of a Dataset must be readable, but {type(dataset).__name__} raised "
            f"{type(error).__name__}: {str(error):.200}"
        ) from error
    return pair_of(first)


def _length(dataset: Any) -> int:
    try:
        n = len(dataset)
    except TypeError as error:  # torch's ChainDataset has a length only if its parts have one
        raise DataError(
            f"a Dataset must have a length, but {type(dataset).__name__} has none ({error})"
        ) from error
    if n == 0:
        raise DataError("a Dataset must have items, but its length is 0")
    return n


def _range(dataset: Any, first: npt.NDArray[Any]) -> PixelRange:
    """Return the range of the pixels of some items; empty if those of the first one have 8 bits."""
    if not is_deep(first):
        return ()
    rows = np.unique(np.linspace(0, len(dataset) - 1, num=min(len(dataset), _LOOKED_AT)).astype(np.int64))
    samples = [sampled(first), *(sampled(_pixels(pair_of(dataset[row])[0])) for row in rows[1:].tolist())]
    found = range_of(samples)
    if samples[0].dtype.kind in "fb":
        low, high = min(float(s.min()) for s in samples), max(float(s.max()) for s in samples)
        if low < 0 or high > _WHITE:
            raise DataError(
                f"pixels must lie in 0..1 or 0..255, but they lie in {low:g}..{high:g}: leave out their normalization "
                "(automl computes mean and deviation itself)"
            )
        found = (0.0, 1.0 if high <= 1 else _WHITE)
    return found


def _eight_bits(pixels: npt.NDArray[Any], pixel_range: PixelRange) -> npt.NDArray[np.uint8]:
    return to_eight_bits(pixels, pixel_range or (usual_range(pixels) if is_deep(pixels) else ()))


def _pixels(image: Any) -> npt.NDArray[Any]:
    """Return the pixels (H, W) or (H, W, C), uint8 or with more bits."""
    if isinstance(image, Image.Image):
        plain = image.mode in ("L", "RGB", "RGBA") or is_deep_mode(image.mode)
        try:
            return np.asarray(image if plain else image.convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:  # closed, or damaged
            raise DataError(f"an image in memory cannot be read ({error}): open its file anew") from error
    pixels = values_of(image)
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
