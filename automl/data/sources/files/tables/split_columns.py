"""Columns of a table that assign its rows to the parts of a split."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automl.data.sources.base import counted
from automl.data.sources.files.split_names import HOLDOUT, TRAIN, UNLABELLED, VAL, split_of
from automl.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SPLIT = "split"
# Names of columns whose cells, if all of them are words such as train and test, are the parts.
USUAL = ("subset", "partition", "dataset", "set", "phase", "usage", "datasplit", "splitname")
# Columns of true and false, and the part of the rows for which they are true.
FLAGS = {
    **dict.fromkeys(("istest", "isholdout"), HOLDOUT),
    **dict.fromkeys(("isvalid", "isval", "isvalidation"), VAL),
    **dict.fromkeys(("istrain", "istraining", "istrainingimage"), TRAIN),
}
IS_VALID = "isvalid"
_ROWS_OF = {HOLDOUT: "test", VAL: "validation", TRAIN: "training"}
_TRUE, _FALSE = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no", "")
_LOOKED_AT = 20  # cells of a column of another name


@dataclass(frozen=True)
class SplitColumns:
    """The column that names the part of each row, and those that are true for the rows of a part.

    `not_quite` is a column of a usual name of which only some cells are parts, or all are 0, 1 and 2.
    """

    column: str | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    not_quite: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all these columns."""
        return (*((self.column,) if self.column else ()), *self.flags)

    def note(self) -> str:
        """Return what these columns were taken for, as a part of a sentence; "" for none."""
        if self.column is None:
            return "".join(f", {name!r} the {_ROWS_OF[part]} rows" for name, part in self.flags.items())
        beside = "".join(f", {name!r} is not used beside it" for name in self.flags)
        return f", {self.column!r} the parts of the split{beside}"


def find_split_columns(frame: pd.DataFrame, taken: Collection[str | None]) -> SplitColumns:
    """Return the columns that say to which part a row belongs, without those that are `taken` for other things.

    These are the column split; else one of a usual name of which all cells mean parts; else any column whose cells are
    train and other parts; else columns such as is_test.
    """
    free = [str(name) for name in frame.columns if name not in taken]
    by_name = {_plain(name): name for name in reversed(free)}
    usual = [by_name[name] for name in USUAL if name in by_name]
    column = by_name.get(SPLIT)
    if column is None:
        column = next((name for name in usual if _parts_in(frame, name)), None)
    if column is None:
        column = next(
            (name for name in free if TRAIN in (found := _parts_in(frame, name)) and len(found) > 1), None
        )
    flags = {
        name: FLAGS[plain]
        for plain, name in by_name.items()
        if plain in FLAGS and (plain == IS_VALID or _is_true_or_false(frame, name))
    }
    odd = None if column else next((name for name in usual if _some_part(frame, name)), None)
    odd = odd or (None if column else next((name for name in usual if _few_numbers(frame, name)), None))
    return SplitColumns(column, flags, odd)


def assigned_parts(
    frame: pd.DataFrame, columns: SplitColumns, given: list[str], where: str
) -> tuple[list[str], tuple[str, ...]]:
    """Return the part of each row: by `columns`, or else as `given`; and notes. Raises DataError for other cells."""
    words = [] if columns.column is None else texts(frame, columns.column)
    if any(words):
        parts = {word: split_of(word) for word in set(words)}
        unknown = [word for word in words if word and parts[word] in ("", UNLABELLED)]
        if unknown:
            raise DataError(
                f"the column {columns.column} must hold train, val or test, but {unknown[0]!r:.60} is in {where!r}: "
                "rename it"
            )
        empty = words.count("")
        told = f"{counted(empty, 'row')} without a part in {columns.column!r} used for training."
        return [parts[word] for word in words], (told,) if empty else ()
    true = {part: _true_rows(frame, name, where) for name, part in columns.flags.items()}
    if any(true.values()):
        return [_part_of({part: rows[i] for part, rows in true.items()}) for i in range(len(frame))], ()
    if columns.not_quite is not None:
        if _few_numbers(frame, columns.not_quite):
            told = (
                f"The numbers in {columns.not_quite!r} are not taken for parts of a split: a column split with train, "
                "val and test assigns parts."
            )
            return given, (told,)
        told = (
            f"Some cells of {columns.not_quite!r} look like parts of a split, but not all of them, so it is not used: "
            "a column split with train, val and test assigns parts."
        )
        return given, (told,)
    return given, ()


def texts(frame: pd.DataFrame, column: str) -> list[str]:
    """Return the cells of a column as text, "" where one is missing."""
    cells = frame[column]
    return ["" if missing else str(cell).strip() for cell, missing in zip(cells, cells.isna(), strict=True)]


def _part_of(true: Mapping[str, bool]) -> str:
    """Return the part of a row; where only training rows are marked, the others are for the test."""
    for part in (HOLDOUT, VAL, TRAIN):
        if true.get(part):
            return part
    return HOLDOUT if TRAIN in true and HOLDOUT not in true else TRAIN


def _true_rows(frame: pd.DataFrame, name: str, where: str) -> list[bool]:
    """Return for each row whether the cell is true; nothing if all are empty."""
    words = [word.lower() for word in texts(frame, name)]
    odd = [word for word in words if word not in (*_TRUE, *_FALSE)]
    if odd:
        raise DataError(f"the column {name} must hold true or false, but {odd[0]!r:.60} is in {where!r}")
    return [word in _TRUE for word in words] if any(words) else []


def _is_true_or_false(frame: pd.DataFrame, name: str) -> bool:
    return {word.lower() for word in texts(frame, name)} <= {*_TRUE, *_FALSE}


def _parts_in(frame: pd.DataFrame, name: str) -> set[str]:
    """Return the parts that the cells of a column mean; none if one of them means no part."""
    parts: set[str] = set()
    for cells in (frame[name].head(_LOOKED_AT), frame[name]):
        words = _words(cells.tolist())
        parts = {split_of(word) for word in words or ()}
        if not parts or parts & {"", UNLABELLED}:
            return set()
    return parts


def _some_part(frame: pd.DataFrame, name: str) -> bool:
    return any(split_of(word) not in ("", UNLABELLED) for word in _words(frame[name].tolist()) or ())


def _few_numbers(frame: pd.DataFrame, name: str) -> bool:
    """Return whether the cells are 0, 1 and perhaps 2, which may stand for parts."""
    found = {cell.removesuffix(".0") for cell in texts(frame, name)}
    return len(found) > 1 and found <= {"0", "1", "2", "3"}


def _words(cells: Sequence[Any]) -> set[str] | None:
    """Return the different texts in cells, without empty ones; None if other things are among them."""
    words = {cell.strip() if isinstance(cell, str) else None for cell in cells if not _is_empty(cell)} - {""}
    return None if None in words else {word for word in words if word is not None}


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)


def _plain(name: Any) -> str:
    return re.sub(r"[\W_]+", "", str(name).lower())
