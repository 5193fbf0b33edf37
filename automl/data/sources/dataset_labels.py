"""The labels of a torch Dataset, and the names that it and the Datasets inside of it have for their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl.data.sources.arrays import tensor_values
from automl.data.sources.labels import label_columns
from automl.errors import DataError

LABEL_ATTRIBUTES = ("targets", "labels")
_NAMES = ("classes", "class_to_idx", "idx_to_class", "class_names")
_IMAGE_KEYS = ("image", "img", "picture", "pixel_values")
_LABEL_KEYS = ("label", "labels", "target", "class", "fine_label")
_KNOWN = "the names of its classes are not used"


@dataclass(frozen=True)
class DatasetLabels:
    """The label of each item in columns. `names` are those of numbered classes, () for none; `notes` tell."""

    columns: Mapping[str, Sequence[Any]]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def pair_of(item: Any) -> tuple[Any, Any]:
    """Return image and label of an item: a pair, or a dict with such keys. Raises DataError for anything else."""
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return item[0], item[1]
    if isinstance(item, Mapping):
        found = [next((key for key in keys if key in item), None) for keys in (_IMAGE_KEYS, _LABEL_KEYS)]
        if None not in found:
            return item[found[0]], item[found[1]]
        raise DataError(
            "items of a Dataset must be pairs (image, label), or dicts with the keys image and label, but have the "
            f"keys {', '.join(map(str, item))}: return such pairs"
        )
    raise DataError(
        f"items of a Dataset must be pairs (image, label), not {type(item).__name__}: return such pairs"
    )


def image_in(item: Any) -> Any:
    """Return the image in an item, which may be a pair with a label or a dict; else the item itself."""
    if isinstance(item, Mapping):
        return next((item[key] for key in _IMAGE_KEYS if key in item), item)
    return item[0] if isinstance(item, (tuple, list)) and item else item


def read_dataset_labels(dataset: Any, first: Any) -> DatasetLabels:
    """Return the labels of a Dataset, of which `first` is that of item 0.

    They come from an attribute if it agrees with the items at both ends, and otherwise from every item. Datasets
    inside with other names for their classes are put together by these names.
    """
    n = len(dataset)
    known = known_labels(dataset, *LABEL_ATTRIBUTES)
    if known is not None and not (_same(known[0], first) and _same(known[-1], pair_of(dataset[n - 1])[1])):
        known = None  # the items have other labels, such as those of a wrapper
    labels = [plain_label(pair_of(dataset[i])[1]) for i in range(n)] if known is None else known
    rows = _names_by_row(dataset, n)
    different = set(rows)
    names = rows[0]
    if len(different) == 1:
        why = _changed(dataset, labels) if names else ""
        return DatasetLabels(_columns(labels), () if why else names, (f"{why}, {_KNOWN}.",) if why else ())
    if not all(_fits(label, own) for label, own in zip(labels, rows, strict=True)):
        told = (
            f"As the Datasets inside have different classes, {_KNOWN}: check that a number means one class."
        )
        return DatasetLabels(_columns(labels), (), (told,))
    words = [own[int(label)] for label, own in zip(labels, rows, strict=True)]
    return DatasetLabels(
        {"label": words}, (), ("The Datasets inside have different classes, put together by their names.",)
    )


def named_classes(found: tuple[str, ...], names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the numbered classes that were found, if there is one for each; and notes."""
    if not names or not all(word.isdecimal() for word in found):
        return found, ()
    if len(set(names)) == len(names) and all(int(word) < len(names) for word in found):
        return tuple(names[int(word)] for word in found), ()
    why = "two of them are the same" if len(set(names)) < len(names) else f"there are {len(names)} of them"
    return found, (f"The names of classes of the Dataset are not used, as {why}.",)


def known_labels(dataset: Any, *attributes: str) -> list[Any] | None:
    """Return the first of these attributes that is as long as the Dataset; None if there is none.

    Those of a torch Subset or ConcatDataset are looked for in what it is made of. A target_transform is applied.
    """
    for name in attributes:
        values = getattr(dataset, name, None)
        if values is not None and hasattr(values, "__len__") and len(values) == len(dataset):
            change = getattr(dataset, "target_transform", None)
            plain = [plain_label(value) for value in values]
            return plain if change is None else [plain_label(change(value)) for value in plain]
    whole, indices = getattr(dataset, "dataset", None), getattr(dataset, "indices", None)
    if whole is not None and indices is not None and len(indices) == len(dataset):
        labels = known_labels(whole, *attributes)
        return None if labels is None else [labels[int(i)] for i in indices]
    parts = [known_labels(part, *attributes) for part in getattr(dataset, "datasets", ())]
    if parts and all(part is not None for part in parts):
        return [label for part in parts if part is not None for label in part]
    return None


def plain_label(label: Any) -> Any:
    """Return a label without the tensor or the array around it."""
    if hasattr(label, "detach"):
        label = tensor_values(label)
    return label.item() if isinstance(label, (np.ndarray, np.generic)) and np.ndim(label) == 0 else label


def _same(known: Any, label: Any) -> bool:
    return np.array_equal(np.asarray(known), np.asarray(plain_label(label)))


def _columns(labels: list[Any]) -> dict[str, Sequence[Any]]:
    """Return one column of labels, or one for each position if every label is a vector of numbers."""
    shapes = {
        label.shape if isinstance(label, np.ndarray) and label.dtype.kind in "biuf" else ()
        for label in labels
    }
    if len(shapes) == 1 and len(next(iter(shapes))) == 1:
        return label_columns(np.stack(labels))
    return {"label": labels}


def _names_by_row(dataset: Any, n: int) -> list[tuple[str, ...]]:
    """Return for each item the names of the classes of the Dataset that it comes from, () for none."""
    names = _own_names(dataset)
    if names:
        return [names] * n
    whole, indices = getattr(dataset, "dataset", None), getattr(dataset, "indices", None)
    if whole is not None and hasattr(whole, "__len__"):
        rows = _names_by_row(whole, len(whole))
        if indices is not None and len(indices) == n:
            return [rows[int(i)] for i in indices]
        return rows if len(rows) == n else [rows[0] if len(set(rows)) == 1 else ()] * n
    parts = [part for part in getattr(dataset, "datasets", ()) if hasattr(part, "__len__")]
    rows = [names for part in parts for names in _names_by_row(part, len(part))]
    return rows if len(rows) == n else [()] * n


def _own_names(dataset: Any) -> tuple[str, ...]:
    """Return the names that an attribute of the Dataset has for classes 0, 1 and so on; empty if there is none."""
    for attribute in _NAMES:
        found = getattr(dataset, attribute, None)
        if isinstance(found, Mapping):
            pairs = [(key, value) if _is_number(key) else (value, key) for key, value in found.items()]
            if pairs and all(_is_number(number) for number, _ in pairs):
                numbered = {int(number): _word(name) for number, name in pairs}
                if sorted(numbered) == list(range(len(numbered))):
                    return tuple(numbered[k] for k in range(len(numbered)))
        elif found is not None and not isinstance(found, str) and hasattr(found, "__len__"):
            return tuple(_word(name) for name in found)
    return ()


def _word(name: Any) -> str:
    """Return a name; the first of several, as torchvision's ImageNet has them."""
    return str(name[0]) if isinstance(name, (tuple, list)) and name else str(name)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _changed(dataset: Any, labels: list[Any]) -> str:
    """Return why numbers are no longer those of the named classes of what is inside; "" if they are."""
    if _is_transformed(dataset):
        return "As the Dataset has a target_transform"
    whole = getattr(dataset, "dataset", None)
    if _own_names(dataset) or whole is None or not hasattr(whole, "__len__") or hasattr(dataset, "indices"):
        return ""
    inside = known_labels(whole, *LABEL_ATTRIBUTES)
    same = inside is None or (len(inside) == len(labels) and all(map(_same, inside, labels)))
    return "" if same else "As the Dataset has other labels than the one inside of it"


def _is_transformed(dataset: Any) -> bool:
    """Return whether the labels of a Dataset, or of one inside of it, go through a function."""
    inside = [getattr(dataset, "dataset", None), *getattr(dataset, "datasets", ())]
    return getattr(dataset, "target_transform", None) is not None or any(
        part is not None and _is_transformed(part) for part in inside
    )


def _fits(label: Any, names: tuple[str, ...]) -> bool:
    return bool(_is_number(label) and 0 <= int(label) < len(names) and len(set(names)) == len(names))
