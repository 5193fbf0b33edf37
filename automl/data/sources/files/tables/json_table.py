"""Read tables of images in JSON: rows, columns, labels by file, files by class, and COCO."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from automl.data.sources.base import counted
from automl.data.sources.files.layout import IMAGE_SUFFIXES
from automl.data.sources.files.tables.columns import IMAGE_COLUMNS

Rows = list[dict[str, Any]]
_LOOKED_AT = 20  # entries
_LABEL, _IMAGE = "label", "image"


def rows_in(found: Any, note: list[str], name: str = "") -> Rows | None:
    """Return the rows in JSON that lists images, and add a note on how it was read; None for anything else.

    Known are {"1.jpg": "cat"}, {"1.jpg": {"label": "cat"}}, {"cat": ["1.jpg"]}, [{"image": "1.jpg", "label": "cat"}],
    [["1.jpg", "cat"]], {"image": ["1.jpg"], "label": ["cat"]}, the same with an object in place of each list, as
    pandas writes it, COCO, and any of the lists as the only list in an object.
    """
    if isinstance(found, list):
        return _records(found)
    if not isinstance(found, dict) or not found:
        return None
    coco = _coco(found, note, name)
    if coco is not None:
        return coco
    values = list(found.values())
    if all(map(_is_image, islice(found, _LOOKED_AT))):
        return [
            {**value, _IMAGE: key} if isinstance(value, dict) else {_IMAGE: key, _LABEL: value}
            for key, value in found.items()
        ]
    if all(_are_images(value) for value in values):
        note.append(f"{name} was read as the files of each class.")
        return [{_IMAGE: file, _LABEL: key} for key, files in found.items() for file in files]
    columns = _columns(found)
    if columns is not None:
        return columns
    inside = [rows for value in values if isinstance(value, list) and (rows := _records(value)) is not None]
    return inside[0] if len(inside) == 1 else None


def _records(found: Sequence[Any]) -> Rows | None:
    """Return the rows of objects, or of pairs of a file and a label; None if the first ones name no images."""
    first = found[:_LOOKED_AT]
    if not first:
        return None
    if all(isinstance(row, dict) for row in found):
        named = any(_plain(key) in IMAGE_COLUMNS for row in first for key in row)
        return list(found) if named or all(any(map(_is_image, row.values())) for row in first) else None
    pairs = all(isinstance(row, list) and len(row) == 2 and _is_image(row[0]) for row in found)
    return [{_IMAGE: row[0], _LABEL: row[1]} for row in found] if pairs else None


def _columns(found: dict[str, Any]) -> Rows | None:
    """Return the rows of columns, which are lists of one length or objects with the same keys."""
    if not any(_plain(name) in IMAGE_COLUMNS for name in found):
        return None
    values = list(found.values())
    if all(isinstance(value, dict) and value.keys() == values[0].keys() for value in values):
        return [{name: found[name][key] for name in found} for key in values[0]]
    if all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        return [dict(zip(found, cells, strict=True)) for cells in zip(*values, strict=True)]
    return None


def _coco(found: dict[str, Any], note: list[str], name: str) -> Rows | None:
    """Return a row for each image of COCO's JSON, whose labels are the categories of its annotations.

    They are one label if no image has several, else a list. https://cocodataset.org/#format-data
    """
    images, annotations = found.get("images"), found.get("annotations")
    if not (isinstance(images, list) and isinstance(annotations, list)):
        return None
    if not images or not all(isinstance(image, dict) and "file_name" in image for image in images):
        return None
    kinds = [kind for kind in found.get("categories") or () if isinstance(kind, dict)]
    names = {str(kind.get("id")): str(kind.get("name")) for kind in kinds}
    labels: dict[str, set[str]] = defaultdict(set)
    for entry in annotations:
        if isinstance(entry, dict) and "category_id" in entry:
            number = str(entry["category_id"])
            labels[str(entry.get("image_id"))].add(names.get(number, number))
    of_image = [sorted(labels.get(str(image.get("id")), ())) for image in images]
    several = any(len(said) > 1 for said in of_image)
    empty = sum(not said for said in of_image)
    none = f" ({counted(empty, 'image')} without any)" if empty else ""
    note.append(
        f"{name} is in COCO's form: the categories of the annotations of an image are its labels{none}; boxes and "
        "outlines are not learned."
    )
    return [
        {_IMAGE: image["file_name"], _LABEL: said if several else (said[0] if said else None)}
        for image, said in zip(images, of_image, strict=True)
    ]


def _are_images(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_image, value[:_LOOKED_AT]))


def _is_image(cell: Any) -> bool:
    return isinstance(cell, str) and PurePosixPath(cell.strip()).suffix.lower() in IMAGE_SUFFIXES


def _plain(name: Any) -> str:
    return re.sub(r"[\W_]+", "", str(name).lower())
