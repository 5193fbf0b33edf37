"""Find lists of the parts of a split: train.txt beside test.txt, split.json, list_eval_partition.txt, splits.csv."""

from __future__ import annotations

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from automl.data.sources.files.base import Files
from automl.data.sources.files.split_names import HOLDOUT, TRAIN, VAL, split_of, splits_among, words_in
from automl.data.sources.files.tables.columns import make_table
from automl.data.sources.files.tables.encoding import decoded
from automl.data.sources.files.tables.json_table import image_names, parts_in
from automl.data.sources.files.tables.read_table import LISTS, SUFFIXES, most_bytes, read_table
from automl.data.sources.files.tables.split_columns import assigned_parts, find_split_columns, texts
from automl.documents.json_file import parse_json
from automl.errors import DataError

PARTS = (TRAIN, VAL, HOLDOUT)
_MOST_LISTS = 20  # files of a folder; more are those of single images
_MOST_JSON = 2**26  # bytes; larger ones are annotations of objects
_TABLES = (".csv", ".tsv", ".parquet")
_BOM = b"\xef\xbb\xbf"
# CUB-200's files of "1 CLASS/NAME.jpg" and of "1 0", where 1 stands for training.
_NUMBERED, _OF_NUMBERS = "images.txt", "train_test_split.txt"
_TOGETHER = "trainval"  # the images of train and val again
# Words in names of files that hold all parts, and of columns with CelebA's numbers of these.
_WORDS = frozenset(("split", "splits", "partition", "partitions"))
_LABEL = "label"  # the name that `read_list` gives to a column without one
_BY_NUMBER = {"0": TRAIN, "1": VAL, "2": HOLDOUT}


class PartList(NamedTuple):
    """The names of the images of a part in a file; `how` says what was assumed."""

    path: str
    part: str
    lines: Sequence[str]
    how: str = ""


def lists_of_parts(files: Files, learned: Collection[str] = ()) -> list[list[PartList]]:
    """Return the lists of training and other images that may be those of the data; any of them may be of other things.

    They are files in one folder that are called train and test, train and val, or the like: text with an image on each
    line, JSON that holds names of images, or tables with a column of them. They are also CUB-200's files, and one file
    whose name has the word split or partition: JSON with the images of each part, or a table of images and their parts.
    These may be 0 for train, 1 for val and 2 for test, as in CelebA, in a list without names of columns or in a column
    called partition or split. Tables that are `learned` say no parts.
    """
    by_folder: dict[str, list[str]] = defaultdict(list)
    alone: list[str] = []
    for path in files.paths.ending(SUFFIXES):
        if _WORDS & set(words_in(_stem(path))):
            alone.append(path)
        if path not in learned:
            by_folder[posixpath.dirname(path)].append(path)
    found = []
    for folder, paths in by_folder.items():
        if len(paths) > _MOST_LISTS:  # VOC's Main has lists of each class, too
            paths = [path for path in paths if split_of(_stem(path))]
        if len(paths) <= _MOST_LISTS:
            found += _of_folder(files, folder, paths)
    for path in [path for path in alone if path not in learned] if len(alone) <= _MOST_LISTS else ():
        lists = _in_one_file(files, path)
        if TRAIN in (of := {one.part for one in lists}) and len(of) > 1:
            found.append(lists)
    return found


def _of_folder(files: Files, folder: str, paths: Sequence[str]) -> list[list[PartList]]:
    """Return the lists of the parts in a folder: those in text, those in JSON, those in tables, or CUB-200's."""
    found = []
    for kind, read in ((LISTS, _lines), ((".json",), _names), (_TABLES, _images_of_table)):
        stems = {path: _stem(path) for path in paths if path.lower().endswith(kind)}
        named = splits_among(stems.values())
        parts = {path: named[stem] for path, stem in stems.items() if named.get(stem) in PARTS}
        apart = {path: part for path, part in parts.items() if stems[path].lower() != _TOGETHER}
        if {TRAIN, VAL} <= set(apart.values()):
            parts = apart
        if TRAIN in parts.values() and len(set(parts.values())) > 1:
            found.append([PartList(path, part, read(files, path)) for path, part in parts.items()])
    if not found and {posixpath.join(folder, name) for name in (_NUMBERED, _OF_NUMBERS)} <= set(paths):
        found.append(_numbered(files, folder))
    return found


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


def _numbered(files: Files, folder: str) -> list[PartList]:
    """Return the images for training and for the test in CUB-200's files."""
    path = posixpath.join(folder, _OF_NUMBERS)
    pairs = [line.split() for line in _lines(files, path)]
    training = {pair[0]: pair[1] == "1" for pair in pairs if len(pair) == 2}
    images = [line.split(maxsplit=1) for line in _lines(files, posixpath.join(folder, _NUMBERED))]
    images = [pair for pair in images if len(pair) == 2 and pair[0] in training]
    return [
        PartList(path, part, [name for number, name in images if training[number] == (part == TRAIN)])
        for part in (TRAIN, HOLDOUT)
    ]


def _in_one_file(files: Files, path: str) -> list[PartList]:
    """Return the lists of all parts in one file; nothing if it holds something else."""
    if path.lower().endswith(".json"):
        of_parts = parts_in(_json(files, path)) or {}
        named = {key: image_names(value) for key, value in of_parts.items()}
        return [
            PartList(path, split_of(key), names) for key, names in named.items() if split_of(key) in PARTS
        ]
    try:
        frame = read_table(path, files.read(path, most=most_bytes(path)), lambda: files.paths)
        table = make_table(frame, where=path, find=_nothing)
        columns = find_split_columns(frame, (table.image,) if table else ())
        if table is None:
            return []
        splits, _ = assigned_parts(frame, columns, [""] * len(frame), path)
    except DataError:  # then it is no table of parts
        return []
    names, how = texts(frame, table.image), ""
    if not any(splits):
        others = [name for name in frame.columns if name != table.image]
        numbers = len(others) == 1 and (_WORDS & set(words_in(others[0])) or _is_unnamed(files, path))
        splits = _of_numbers(texts(frame, others[0])) if numbers else []
        how = " (0 is train, 1 is val, 2 is test)"
    of_part: dict[str, list[str]] = defaultdict(list)
    for name, part in zip(names if splits else (), splits, strict=True):
        if name:
            of_part[part or TRAIN].append(name)
    return [PartList(path, part, lines, how) for part, lines in of_part.items()]


def _is_unnamed(files: Files, path: str) -> bool:
    """Return whether a file is a list whose first lines name no column label: the numbers in it have no name."""
    if not path.lower().endswith(LISTS):
        return False
    return all(_LABEL not in re.split(r"[\s,;]+", line.lower()) for line in _lines(files, path)[:2])


def _of_numbers(cells: Sequence[str]) -> list[str]:
    """Return the parts that 0, 1 and 2 stand for, if these are all cells, and most are 0; else nothing."""
    counts = Counter(cells)
    if counts.keys() != _BY_NUMBER.keys() or counts["0"] <= max(counts["1"], counts["2"]):
        return []
    return [_BY_NUMBER[cell] for cell in cells]


def _nothing(cell: str) -> str | None:
    return None


def _names(files: Files, path: str) -> list[str]:
    return image_names(_json(files, path))


def _json(files: Files, path: str) -> Any:
    """Return the document in a file; None if there is none."""
    try:
        return parse_json(files.read(path, most=min(_MOST_JSON, most_bytes(path))).removeprefix(_BOM))
    except (DataError, ValueError):  # then it lists no images
        return None


def _images_of_table(files: Files, path: str) -> list[str]:
    """Return the names of the images in a table; nothing if it has no column of them."""
    try:
        frame = read_table(path, files.read(path, most=most_bytes(path)), lambda: files.paths)
        table = make_table(frame, where=path, find=_nothing)
    except DataError:  # then it lists no images
        return []
    return [] if table is None else [name for name in texts(frame, table.image) if name]


def _lines(files: Files, path: str) -> list[str]:
    """Return the lines of a text file without comments; nothing if it is no text."""
    try:
        text = decoded(path, files.read(path, most=most_bytes(path)), [], lambda: files.paths)
    except (DataError, ValueError):  # then it lists no images
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
