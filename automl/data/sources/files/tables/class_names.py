"""Name the numbers of classes in a list of images by a file beside it, such as classes.txt."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace

from automl.data.sources.files.base import Files
from automl.data.sources.files.tables.columns import Table
from automl.data.sources.files.tables.encoding import decoded
from automl.data.sources.files.tables.list_file import is_list
from automl.data.sources.files.tables.read_table import LISTS, NOTE
from automl.errors import DataError

_FILES = (
    *("classes.txt", "class_names.txt", "classnames.txt", "label_names.txt", "names.txt"),
    *("categories.txt", "synset_words.txt", "synsets.txt", "labels.txt"),
)
_MOST_BYTES, _LONGEST = 2**22, 1000  # of the file, and characters of a name
_NUMBER = re.compile(r"\d{1,9}")
_NUMBER_FIRST = re.compile(r"(\d{1,9})[\s,:;=]+(\S.*)")
_NUMBER_LAST = re.compile(r"(\S.*?)[\s,:;=]+(\d{1,9})")


def with_class_names(files: Files, tables: Sequence[Table]) -> Sequence[Table]:
    """Return lists of images in text files with the names of their classes, if a file beside them has these.

    The file has a name on each line, whose number is that of the line, or a number and a name. Lines are counted from 0
    if there is a class 0, and from 1 if the last class is that of the last line. Nothing is changed unless all classes
    are named. `frame.attrs` says so.
    """
    first, column = tables[0], tables[0].label
    if column is None or not all(
        table.label == column and table.where.lower().endswith(LISTS) for table in tables
    ):
        return tables
    cells = [cell for table in tables for cell in table.frame[column].tolist()]
    if not all(isinstance(cell, str) and _NUMBER.fullmatch(cell) for cell in cells):
        return tables
    numbers = {int(cell) for cell in cells}
    own = {posixpath.basename(table.where) for table in tables}
    for name in _FILES:
        path = posixpath.join(first.folder, name)
        names = _names(files, path, numbers) if name not in own and files.has(path) else {}
        if numbers and names.keys() >= numbers:
            where = ", ".join(sorted(own))
            said = f"The classes of {where} are named by {name} ({min(numbers)} is {names[min(numbers)]!r})."
            return [_named(table, column, names, said if table is first else "") for table in tables]
    return tables


def _named(table: Table, column: str, names: dict[int, str], said: str) -> Table:
    frame = table.frame.assign(**{column: [names[int(cell)] for cell in table.frame[column].tolist()]})
    frame.attrs = {NOTE: " ".join(filter(None, (table.frame.attrs.get(NOTE), said)))}
    return replace(table, frame=frame)


def _names(files: Files, path: str, numbers: set[int]) -> dict[int, str]:
    """Return the names in a file by their numbers; nothing if it is no such file, or the first number is not clear."""
    try:
        text = decoded(path, files.read(path, most=_MOST_BYTES), [])
    except (DataError, ValueError):
        return {}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or max(map(len, lines)) > _LONGEST or is_list(text, labelled=False):
        return {}
    for form, number, name in ((_NUMBER_FIRST, 1, 2), (_NUMBER_LAST, 2, 1)):
        found = [form.fullmatch(line) for line in lines]
        named = {int(one[number]): one[name] for one in found if one is not None}
        if len(named) == len(set(named.values())) == len(lines):
            return named
    if len(set(lines)) < len(lines) or (0 not in numbers and max(numbers) != len(lines)):
        return {}
    return dict(enumerate(lines, 0 if 0 in numbers else 1))
