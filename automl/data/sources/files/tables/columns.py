"""Which columns of a table name the images, and which are learned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from automl.data.sources.files.image_files import IMAGE_SUFFIXES
from automl.data.sources.files.tables.split_columns import IS_VALID, SPLIT, SplitColumns, find_split_columns
from automl.data.sources.labels import is_bits, is_numbers
from automl.errors import DataError, unknown_name

if TYPE_CHECKING:
    import pandas as pd

# Without case, spaces and punctuation: "Image Path" is imagepath.
IMAGE_COLUMNS = (
    *(
        "image",
        "imagepath",
        "filename",
        "path",
        "file",
        "filepath",
        "imagename",
        "imagefile",
        "img",
        "imgpath",
    ),
    *("imgname", "photo", "picture", "imageid", "imageindex", "idcode"),
)
LABEL_COLUMNS = (
    "label",
    "labels",
    "target",
    "class",
    "targets",
    "classes",
    "classid",
    "classname",
    "category",
    "choice",
)
_NUMBERS = ("id", "index", "")
_MAYBE_SPLITS = ("subset", "partition")
_OTHER_COLUMNS = (SPLIT, *_MAYBE_SPLITS, "group", IS_VALID, *_NUMBERS)
_LOOKED_AT = 20  # cells, to find out whether a column names files
_SHOWN = 12

Find = Callable[[str], str | None]


@dataclass(frozen=True)
class Table:
    """A table with a column of images. Its paths are relative to `folder`, which says the `split`.

    `label` is a column of a usual name to learn, and `group` the one with the groups of rows that belong together.
    """

    where: str
    folder: str
    split: str
    frame: pd.DataFrame
    image: str
    label: str | None
    group: str | None = None


def make_table(
    frame: pd.DataFrame,
    *,
    where: str,
    find: Find,
    folder: str = "",
    split: str = "",
    image: str | None = None,
    group: str | None = None,
) -> Table | None:
    """Return the table, or None if no column names images.

    It is the column `image` if that is given, otherwise one of a usual name, otherwise the first whose cells name image
    files; `find` returns the path of a file that is there. Groups are in the column `group`, by default the one that is
    called so. Raises DataError if there are no columns `image` and `group`.
    """
    again = sorted({name for name, n in Counter(frame.columns).items() if n > 1})
    if again:
        raise DataError(
            f"the columns of a table must have different names, but {where!r} has {again[0]!r} twice: rename one"
        )
    by_name = {_plain(column): str(column) for column in reversed(list(frame.columns))}
    if image is not None:
        if image not in frame.columns:
            raise DataError(unknown_name("image column", image, map(str, frame.columns)))
        found: str | None = image
    else:
        usual = [by_name[name] for name in IMAGE_COLUMNS if name in by_name]
        found = (
            usual[0] if len(usual) == 1 else _naming_files(frame[usual or list(frame.columns)], find)
        ) or next(iter(usual), None)
    if group is not None and group not in frame.columns:
        raise DataError(unknown_name("group column", group, map(str, frame.columns)))
    groups = by_name.get("group") if group is None else group
    usual = [by_name[name] for name in LABEL_COLUMNS if name in by_name]
    label = next((name for name in usual if name not in (found, groups)), None)
    return None if found is None else Table(where, folder, split, frame, found, label, groups)


def no_images(frame: pd.DataFrame, where: str) -> DataError:
    """Return the error for a table without a column of images."""
    if len(frame.columns) == 1 and re.search(r"\w\W+\w", str(frame.columns[0])):
        return DataError(
            f"the cells of a table must be separated by commas, semicolons, tabs or |, but the first line of {where!r} "
            f"has none of these ({str(frame.columns[0])!r:.80}): save the table with commas"
        )
    return DataError(
        f"a table must have a column that names the image files, such as image or file_name, but {where!r} has the "
        f"columns {columns_of(frame)}, and none names files there: name it with --image-column, or correct its paths"
    )


def target_columns(table: Table, target: str | None) -> tuple[list[str], list[str]]:
    """Return the columns to learn, and other columns that could be learned.

    Raises DataError for names that are no columns, and if it is not clear which column to learn.
    """
    frame = table.frame
    taken = (table.image, table.group)
    others = [name for name in frame.columns if name not in taken and _plain(name) not in _OTHER_COLUMNS]
    others = [name for name in others if not name.startswith("Unnamed:")]
    names = [] if target is None else _names_in(target, frame)
    parts = find_split_columns(frame, (*taken, table.label, *names)).names
    others = [name for name in others if name not in parts] or others
    if target is not None:
        for name in names:
            if name not in frame.columns:
                raise DataError(unknown_name("target column", name, others))
        chosen = list(dict.fromkeys(names))
    elif table.label is not None:
        chosen = [table.label]
    elif len(others) == 1:
        chosen = others
    elif not others and (names := _names_again(table)):
        chosen = names
    else:
        chosen = [name for name in others if is_bits(frame[name].tolist())]
        if len(chosen) < 2:
            raise DataError(_unclear(table, others))
    left = [name for name in frame.columns if _plain(name) in _MAYBE_SPLITS and name not in (*parts, *taken)]
    return chosen, [name for name in dict.fromkeys((*others, *left)) if name not in chosen]


def columns_of(frame: pd.DataFrame) -> str:
    """Return the names of the columns, with commas between them."""
    names = [repr(str(column)) for column in frame.columns]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def put_together(tables: Sequence[Table]) -> tuple[str, ...]:
    """Return a note on the tables of which the rows are put together, with their parts; nothing for one table."""
    if len(tables) < 2:
        return ()
    said = [PurePosixPath(each.where).name + (f" as {each.split}" if each.split else "") for each in tables]
    more = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return (f"Tables put together: {', '.join(said[:_SHOWN])}{more}.",)


def table_note(table: Table, learned: Sequence[str], split: SplitColumns) -> str:
    """Return what the columns of a table were taken for."""
    groups = f", {table.group!r} the groups" if table.group is not None else ""
    shown = ", ".join(map(repr, learned[:_SHOWN])) + (" and more" if len(learned) > _SHOWN else "")
    where = PurePosixPath(table.where).name
    said = f"Columns of {where}: {table.image!r} names the images{split.note()}{groups}; learned: {shown}."
    numbers = [
        name for name in table.frame.columns if _plain(name) in _NUMBERS or name.startswith("Unnamed:")
    ]
    numbers = [name for name in numbers if name not in (table.image, table.group, *learned)]
    if numbers:
        said += f" Taken for numbers of the rows, and not used: {', '.join(map(repr, numbers))}."
    return said


def _names_again(table: Table) -> list[str]:
    """Return the column id if it is the only one beside the images, and its cells repeat, so they are classes."""
    beside = [name for name in table.frame.columns if name not in (table.image, table.group)]
    if len(beside) != 1 or _plain(beside[0]) != "id":
        return []
    return beside if table.frame[beside[0]].nunique() < len(table.frame) else []


def _names_in(target: str, frame: pd.DataFrame) -> list[str]:
    """Return the columns that a target names: one, or several with commas between them."""
    return [target] if target in frame.columns else [part.strip() for part in target.split(",")]


def _plain(name: Any) -> str:
    return re.sub(r"[\W_]+", "", str(name).lower())


def _naming_files(frame: pd.DataFrame, find: Find) -> str | None:
    """Return the first column of which most of the first cells are images, or name image files that are there."""
    for column in frame.columns:
        cells = [cell for cell in frame[column].head(_LOOKED_AT).tolist() if cell is not None and cell != ""]
        found = sum(_names_image(cell, find) for cell in cells)
        if cells and 2 * found > len(cells):
            return str(column)
    return None


def _names_image(cell: Any, find: Find) -> bool:
    if isinstance(cell, dict):
        return isinstance(cell.get("bytes"), bytes)
    if not isinstance(cell, str):
        return isinstance(cell, bytes)
    text = cell.strip().replace("\\", "/")
    return PurePosixPath(text).suffix.lower() in IMAGE_SUFFIXES or find(text) is not None


def _unclear(table: Table, others: Sequence[str]) -> str:
    numbers = [name for name in others if is_numbers(table.frame[name].tolist())]
    return (
        f"a table must have a column label, target or class, but {table.where!r} has {columns_of(table.frame)}: name "
        "the column to learn with --target" + (f" (for example {numbers[0]})" if numbers else "")
    )
