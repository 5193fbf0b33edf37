"""What to do with files that hold data and are not read, also beside images."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache

from automl.data.sources.base import counted
from automl.data.sources.files.base import Files
from automl.data.sources.files.layout import printable
from automl.data.sources.files.split_names import part_beside, split_of, words_in
from automl.data.sources.files.tables.read_table import BY_CONTENT, JSON_HINT, holds_images, most_bytes
from automl.errors import DataError

OTHER_FILES = {
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".numbers"), "save the sheet as CSV"),
    **dict.fromkeys((".rar", ".7z", ".zst"), "unpack it, and give the folder"),
    **dict.fromkeys(
        (".npz", ".npy", ".h5", ".hdf5", ".mat", ".pkl", ".pt"),
        "load it in Python: automl.fit(images, labels)",
    ),
    **dict.fromkeys(
        (".gz", ".bz2", ".xz"), "unpack it, and give what is in it (a compressed tar ends with .tar.gz)"
    ),
    ".json": JSON_HINT,
    ".xml": "write a table with the columns image and label, as CSV or JSON lines (.jsonl)",
    **dict.fromkeys((".mp4", ".avi", ".mov"), "save its frames as images"),
}
# Files beside images that may hold their labels.
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers", ".mat", ".pkl", ".npy")
_PACKED = (".csv.gz", ".tsv.gz", ".json.gz", ".jsonl.gz", ".txt.gz", ".csv.bz2", ".csv.xz")
# Words in names of files that are tables of images if their content is one; there are many other text and JSON files.
_NAMES_OF_TABLES = """
label labels annotation annotations list lists metadata meta coco instances gt truth groundtruth targets attr
attributes dataset data images files filelist split splits project
"""
_TABLE_WORDS = frozenset(_NAMES_OF_TABLES.split())
_NUMBER = re.compile(r"\d+")
_MOST_BY_CONTENT = 20  # files of one folder; more are those of single images, such as boxes
_LIST_HINT = "write an image and its label on each line (cat/1.jpg 0)"


def tables_by_content(files: Files, paths: Sequence[str]) -> list[str]:
    """Return those of text and JSON files whose names and contents are those of tables of images and labels."""
    named = [path for path in paths if _is_named_like_table(path)]
    if len(named) > _MOST_BY_CONTENT:
        return []
    return [path for path in named if _lists_images(files, path)]


def unread_beside(files: Files, around: str, *, sheets: bool) -> tuple[str, ...]:
    """Return a clause on each kind of files in the folder `around` that may hold labels, and cannot be read.

    `sheets`: text and JSON, which may be anything, do not count.
    """
    paths = [path for path in files.paths if posixpath.dirname(path) == around]
    said: dict[str, list[str]] = {}
    for path in paths:
        suffix = posixpath.splitext(path)[1].lower()
        if suffix in _SHEETS or path.lower().endswith(_PACKED):
            said.setdefault(OTHER_FILES[suffix], []).append(path)
    named = [] if sheets else [path for path in paths if _is_named_like_table(path)]
    for path in named if len(named) <= _MOST_BY_CONTENT else ():
        if not _lists_images(files, path):
            said.setdefault(JSON_HINT if path.lower().endswith(".json") else _LIST_HINT, []).append(path)
    return tuple(
        f"{printable(found[0])}{_more(found)} beside them cannot be read as a table of labels: {hint}"
        for hint, found in said.items()
    )


def _more(paths: Sequence[str]) -> str:
    return f" and {counted(len(paths) - 1, 'other file')}" if len(paths) > 1 else ""


def _is_named_like_table(path: str) -> bool:
    stem, suffix = posixpath.splitext(posixpath.basename(path))
    return suffix.lower() in BY_CONTENT and _means_table(_NUMBER.sub("0", stem))


@lru_cache(maxsize=1024)  # of many files, most names differ in numbers alone
def _means_table(stem: str) -> bool:
    return bool(split_of(stem) or part_beside(stem) or set(words_in(stem)) & _TABLE_WORDS)


def _lists_images(files: Files, path: str) -> bool:
    try:
        content = files.read(path, most=most_bytes(path))
    except DataError:  # it is too large, or no file: then it is ignored, which is told
        return False
    return holds_images(path, content, labelled=True)
