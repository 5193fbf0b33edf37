"""Read tables of images in JSON: rows, columns, labels by file, files by class, and COCO."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from automl.data.sources.base import counted
from automl.data.sources.files.image_files import IMAGE_SUFFIXES
from automl.data.sources.files.split_names import TRAIN, splits_among
from automl.data.sources.files.tables.columns import IMAGE_COLUMNS
from automl.data.sources.files.tables.split_columns import SPLIT

Rows = list[dict[str, Any]]
_LOOKED_AT = 20  # entries
_LABEL, _IMAGE = "label", "image"


def is_labelled(rows: Rows) -> bool:
    """Return whether rows hold more than images and their parts."""
    return any(key not in (_IMAGE, SPLIT) for row in rows[:_LOOKED_AT] for key in row)


def rows_in(found: Any, note: list[str], name: str = "") -> Rows | None:
    """Return the rows in JSON that lists images, and add a note on how it was read; None for anything else.

    Known are {"1.jpg": "cat"}, {"1.jpg": {"label": "cat"}}, {"cat": ["1.jpg"]}, [{"image": "1.jpg", "label": "cat"}],
    [["1.jpg", "cat"]], [["1.jpg", 0, "cat"]], {"image": ["1.jpg"], "label": ["cat"]}, the same with an object in place
    of each list, as pandas writes it, COCO, any of the lists as the only list in an object, and a list for each part of
    a split, whose names are then in the column split. So are Label Studio's tasks with choices, and FiftyOne's
    {"classes": ["cat"], "labels": {"1": 0}}.
    """
    if isinstance(found, list):
        return _records(found)
    if not isinstance(found, dict) or not found:
        return None
    if _is_coco(found):
        return _coco(found, note, name)
    named = _labels_by_number(found)
    if named is not None:
        return named
    of_parts = parts_in(found)
    if of_parts is not None:
        return [row for part, value in of_parts.items() for row in _with_part(value, part)]
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


def parts_in(found: Any) -> dict[str, list[Any]] | None:
    """Return the lists of images in {"train": [...], "test": [...]} by the names of the parts; None for anything else.

    Beside them there may be other things, but no list of images.
    """
    if not isinstance(found, dict) or TRAIN not in splits_among(found).values():
        return None
    lists = {
        key: value
        for key, value in found.items()
        if isinstance(value, list) and (_records(value) is not None or _are_images(value))
    }
    named = splits_among(lists)
    fits = len(lists) > 1 and named.keys() == lists.keys() and TRAIN in named.values()
    return lists if fits and len(set(named.values())) > 1 else None


def _with_part(found: list[Any], part: str) -> Rows:
    rows = _records(found)
    if rows is None:
        rows = [{_IMAGE: name} for name in found]
    return [{**row, SPLIT: part} for row in rows]


def image_names(found: Any) -> list[str]:
    """Return the names of images in a list, perhaps with labels beside them, or in the lists of an object."""
    if isinstance(found, dict):
        return [name for value in found.values() if isinstance(value, list) for name in image_names(value)]
    names = []
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, list) and entry:
            entry = entry[0]
        elif isinstance(entry, dict):
            entry = next((value for key, value in entry.items() if _plain(key) in IMAGE_COLUMNS), None)
        if isinstance(entry, str) and entry.strip():
            names.append(entry.strip())
    return names


def _records(found: Sequence[Any]) -> Rows | None:
    """Return the rows of objects, or of files and labels, perhaps with numbers; None if the first name no images."""
    first = found[:_LOOKED_AT]
    if not first:
        return None
    if all(map(_is_task, first)):
        return [row for task in found if (row := _task(task)) is not None] or None
    if all(isinstance(row, dict) for row in found):
        named = any(_plain(key) in IMAGE_COLUMNS for row in first for key in row)
        return list(found) if named or all(any(map(_is_image, row.values())) for row in first) else None
    pairs = all(isinstance(row, list) and _is_labelled(row) for row in found)
    return [{_IMAGE: row[0], _LABEL: row[-1]} for row in found] if pairs else None


def _is_labelled(row: list[Any]) -> bool:
    """Return whether cells are a file and its label, perhaps with the number of the label between them."""
    if len(row) == 3 and not (isinstance(row[1], int) and isinstance(row[2], str)):
        return False
    return len(row) in (2, 3) and _is_image(row[0])


def _labels_by_number(found: dict[str, Any]) -> Rows | None:
    """Return the rows of FiftyOne's numbers of classes by the names of images without extension."""
    classes, labels = found.get("classes"), found.get("labels")
    if not (isinstance(classes, list) and isinstance(labels, dict) and labels):
        return None
    if not all(isinstance(k, int) and 0 <= k < len(classes) for k in labels.values()):
        return None
    return [{_IMAGE: name, _LABEL: str(classes[k])} for name, k in labels.items()]


def _is_task(found: Any) -> bool:
    """Return whether this is a task of Label Studio. https://labelstud.io/guide/export"""
    return (
        isinstance(found, dict)
        and isinstance(found.get("data"), dict)
        and isinstance(found.get("annotations"), list)
    )


def _task(found: Any) -> dict[str, Any] | None:
    """Return the image and the choices of a task, of its last annotation that was not cancelled; None without image."""
    if not _is_task(found):
        return None
    image = next((cell for cell in found["data"].values() if _is_image(cell)), None)
    choices: list[str] = []
    for annotation in found["annotations"]:
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            choices = _choices(annotation.get("result"))
    label = choices[0] if len(choices) == 1 else choices or None
    return None if image is None else {_IMAGE: image, _LABEL: label}


def _choices(result: Any) -> list[str]:
    values = (
        [entry.get("value") for entry in result if isinstance(entry, dict)]
        if isinstance(result, list)
        else []
    )
    found = [value.get("choices") for value in values if isinstance(value, dict)]
    return [str(choice) for choices in found if isinstance(choices, list) for choice in choices]


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


def _is_coco(found: dict[str, Any]) -> bool:
    images = found.get("images")
    named = isinstance(images, list) and all(isinstance(one, dict) and "file_name" in one for one in images)
    return bool(images) and named and isinstance(found.get("annotations"), list)


def _coco(found: dict[str, Any], note: list[str], name: str) -> Rows | None:
    """Return a row for each image of COCO's JSON, whose labels are the categories of its annotations.

    They are one label if no image has several, else a list. None for captions and other annotations without categories.
    https://cocodataset.org/#format-data
    """
    images, annotations = found["images"], found["annotations"]
    if annotations and not any(isinstance(entry, dict) and "category_id" in entry for entry in annotations):
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
