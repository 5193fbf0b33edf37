"""Find the split in lists beside class folders: meta/train.txt and meta/test.txt of Food-101, or those of CUB-200."""

from __future__ import annotations

import posixpath
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from automl.data.sources.base import counted
from automl.data.sources.files.base import Files
from automl.data.sources.files.folder_kinds import listed
from automl.data.sources.files.layout import IMAGE_SUFFIXES, Layout, printable
from automl.data.sources.files.split_names import HOLDOUT, TRAIN, VAL, splits_among
from automl.data.sources.files.tables.encoding import decoded
from automl.data.sources.files.tables.read_table import LISTS, most_bytes
from automl.errors import DataError

_PARTS = (TRAIN, VAL, HOLDOUT)
_MOST_LISTS = 20  # text files of a folder; more are those of single images
_SHARE = 0.9  # of the lines that must name images, and of the images that must be in a list
_SEVERAL = -1  # a name of several images
# CUB-200's files of "1 CLASS/NAME.jpg" and of "1 0", where 1 stands for training.
_NUMBERED, _OF_NUMBERS = "images.txt", "train_test_split.txt"


class _List(NamedTuple):
    """A text file, the part that it lists, and its lines."""

    path: str
    part: str
    lines: Sequence[str]


def with_listed_split(files: Files, layout: Layout) -> Layout:
    """Return images with the parts in which text files list them, and a note; unchanged where no lists fit.

    Two lists or more lie in one folder and are called train and test, train and val, or the like. A line begins with
    an image, with its class folder or alone, and perhaps without extension. 90 % of the lines or more must name images,
    and as many images must be listed, none in two parts; images in no list are for training. CUB-200's files are
    known, too. Lists of parts that do not fit are told.
    """
    of_parts = [] if any(layout.splits) else _lists_of_parts(files)
    if not of_parts:
        return layout
    rows = _rows_by_name([files.paths[i] for i in layout.kept.tolist()])
    for lists in of_parts:
        found = [_rows_in(one, rows) for one in lists]
        if not any(found):
            continue  # they are no lists of images
        parts, problem = _parts(lists, found, len(layout.splits))
        names = listed({printable(one.path) for one in lists})
        if problem:
            said = f"Not used as parts of a split, as {problem}: {names}."
            return replace(layout, notes=(*layout.notes, said))
        splits = [parts.get(row, TRAIN) for row in range(len(layout.splits))]
        counts = Counter(splits)
        shares = ", ".join(f"{part} {counts[part]:,}" for part in _PARTS if counts[part])
        said = f"Parts of the split as in {names}: {shares}."
        unlisted = len(splits) - len(parts)
        told = (
            (f"{counted(unlisted, 'image')} in none of these lists used for training.",) if unlisted else ()
        )
        return replace(layout, splits=splits, notes=(*layout.notes, said, *told))
    return layout


def _lists_of_parts(files: Files) -> list[list[_List]]:
    """Return for each folder with lists of training and other images these lists."""
    texts: dict[str, list[str]] = defaultdict(list)
    for path in files.paths:
        if path.lower().endswith(LISTS):
            texts[posixpath.dirname(path)].append(path)
    found = []
    for folder, paths in texts.items():
        if len(paths) > _MOST_LISTS:
            continue
        stems = {path: posixpath.splitext(posixpath.basename(path))[0] for path in paths}
        named = splits_among(stems.values())
        parts = {path: named[stem] for path, stem in stems.items() if named.get(stem) in _PARTS}
        if TRAIN in parts.values() and len(set(parts.values())) > 1:
            found.append([_List(path, part, _lines(files, path)) for path, part in parts.items()])
        elif {posixpath.join(folder, name) for name in (_NUMBERED, _OF_NUMBERS)} <= set(paths):
            found.append(_numbered(files, folder))
    return found


def _numbered(files: Files, folder: str) -> list[_List]:
    """Return the images for training and for the test in CUB-200's files."""
    path = posixpath.join(folder, _OF_NUMBERS)
    pairs = [line.split() for line in _lines(files, path)]
    training = {pair[0]: pair[1] == "1" for pair in pairs if len(pair) == 2}
    images = [line.split(maxsplit=1) for line in _lines(files, posixpath.join(folder, _NUMBERED))]
    images = [pair for pair in images if len(pair) == 2 and pair[0] in training]
    return [
        _List(path, part, [name for number, name in images if training[number] == (part == TRAIN)])
        for part in (TRAIN, HOLDOUT)
    ]


def _lines(files: Files, path: str) -> list[str]:
    """Return the lines of a text file without comments; nothing if it is no text."""
    try:
        text = decoded(path, files.read(path, most=most_bytes(path)), [], lambda: files.paths)
    except (DataError, ValueError):  # then it lists no images
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _rows_by_name(paths: Sequence[str]) -> dict[str, int]:
    """Return the row of each image by its name without extension, with and without its folder."""
    rows: dict[str, int] = {}
    for row, path in enumerate(paths):
        parts = posixpath.splitext(path)[0].split("/")
        for key in {parts[-1], "/".join(parts[-2:])}:
            rows[key] = _SEVERAL if key in rows else row
    return rows


def _rows_in(one: _List, rows: Mapping[str, int]) -> list[int]:
    """Return the rows that a list names; nothing if less than 90 % of its lines name an image."""
    found = [row for line in one.lines if (row := _row(line, rows)) is not None]
    return found if len(found) >= _SHARE * len(one.lines) else []


def _row(line: str, rows: Mapping[str, int]) -> int | None:
    """Return the row of the image with which a line begins; None if there is none, or are several."""
    for cell in (line, line.split()[0], line.split(",")[0]):
        stem, suffix = posixpath.splitext(cell.replace("\\", "/"))
        name = stem if suffix.lower() in IMAGE_SUFFIXES else cell
        row = rows.get("/".join(name.split("/")[-2:]))
        if row is not None and row != _SEVERAL:
            return row
    return None


def _parts(lists: Sequence[_List], found: Sequence[list[int]], n: int) -> tuple[dict[int, str], str]:
    """Return the part of each row in a list, and why these are not used ("" if they are)."""
    parts: dict[int, str] = {}
    for one, rows in zip(lists, found, strict=True):
        if not rows:
            return {}, f"most lines of {printable(one.path)} name no image that is there"
        for row in rows:
            if parts.setdefault(row, one.part) != one.part:
                return {}, "images are in several of them"
    if len(parts) < _SHARE * n:
        return {}, f"only {len(parts):,} of {counted(n, 'image')} are in them"
    return parts, ""
