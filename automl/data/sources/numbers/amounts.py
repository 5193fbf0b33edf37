"""Decide which columns hold amounts, to be learned by a regression, and which numbers are names of classes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automl.data.sources.numbers.read_column import Reading, read_column
from automl.errors import DataError

# A column with one of these words in its name holds classes, even if these are many numbers.
_CLASS_WORDS = frozenset(
    ("label", "labels", "class", "classes", "cls", "category", "categories", "species", "genus", "breed")
    + ("type", "kind", "code", "id", "classid", "labelid", "classname", "classno")
)
# Columns of these names do if their numbers are those of classes: 0 or 1 to K, each in several rows.
_EITHER = frozenset(("target", "targets", "y"))
_ROWS_EACH = 3
# Up to this many different whole numbers in other columns are classes; more are a regression.
MOST_CLASSES = 10
_FEWEST = 3  # different numbers with a unit that are a regression
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|[\W_\d]+")


@dataclass(frozen=True)
class Amounts:
    """Columns in which numbers in other forms are read, notes on that, and the columns whose forms are of amounts."""

    cells: dict[str, list[Any]]
    notes: tuple[str, ...]
    certain: frozenset[str]


def read_amounts(cells: Mapping[str, list[Any]], *, asked: str, bits: bool) -> Amounts:
    """Read the numbers in the columns where these are amounts, or where the task "regression" is `asked` for.

    `bits`: all columns hold 0 and 1. Raises DataError for a cell among amounts that is no number, unless a regression
    was asked for, which refuses it later.
    """
    found, notes, certain = dict(cells), list[str](), set[str]()
    for name, column in cells.items():
        texts = {cell for cell in column if isinstance(cell, str)}
        numeric = any(map(_has_digit, texts)) or any(type(cell) in (int, float) for cell in column)
        named = any(map(is_list, texts)) or (asked == "auto" and codes(texts) != "")
        if not (texts and numeric) or named:
            continue
        reading = read_column(name, column, fractions=asked == "regression")
        if reading is None:
            continue
        if asked == "auto":
            amounts = _are_amounts(name, reading) or (len(cells) > 1 and not bits)
            _refuse_odd(name, reading, amounts=amounts)
            if reading.odd or not (amounts or reading.cells == _without(column, reading)):
                notes += _told_names(name, reading)
                continue
            certain.update([name] if _is_certain(reading) else [])
        found[name] = reading.cells
        notes += reading.notes
    return Amounts(found, tuple(notes), frozenset(certain))


def amounts_in(name: str, found: Sequence[float]) -> bool:
    """Return whether the plain numbers of a column are amounts, not classes."""
    if any(value != round(value) for value in found if math.isfinite(value)):
        return True
    different = set(found)
    if len(different) <= MOST_CLASSES or {word.lower() for word in _WORDS.split(name)} & _CLASS_WORDS:
        return False
    numbered = different in (set(range(len(different))), set(range(1, len(different) + 1)))
    return not (name.lower() in _EITHER and numbered and len(found) >= _ROWS_EACH * len(different))


def codes(texts: Iterable[Any]) -> str:
    """Return the first number with zeros before it, such as 001: these are codes; "" if there is none."""
    found = (text for text in texts if isinstance(text, str) and len(text) > 1)
    return next((text for text in found if text[0] == "0" and text.isdecimal()), "")


def is_list(text: str) -> bool:
    """Return whether a text is a list of labels: cat|dog, [cat, dog], ('cat', 'dog')."""
    ends = text[:1] + text[-1:]
    quoted = ends in ("()", "{}") and ":" not in text and any(mark in text for mark in "'\"")
    return "|" in text or ends == "[]" or quoted


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _are_amounts(name: str, reading: Reading) -> bool:
    return _is_certain(reading) or amounts_in(name, reading.numbers)


def _is_certain(reading: Reading) -> bool:
    return reading.amounts and len(set(reading.numbers)) >= _FEWEST


def _without(column: Sequence[Any], reading: Reading) -> list[Any]:
    """Return the column without the words for missing values alone."""
    return [None if read is None else cell for cell, read in zip(column, reading.cells, strict=True)]


def _refuse_odd(name: str, reading: Reading, *, amounts: bool) -> None:
    """Raise DataError for few odd cells among amounts, or among any numbers if all of them mean numbers."""
    odd = reading.odd
    unclear = {str(cell) for cell in odd} == set(reading.unclear)
    few = bool(odd) and (1 if unclear else 2) * len(odd) < len(reading.numbers)
    if not few or not (amounts or unclear):
        return
    others = (
        f" and {len(odd) - 1} other cells" if len(odd) > 2 else " and another cell" if len(odd) == 2 else ""
    )
    are = "are" if len(odd) > 1 else "is"
    what = (
        "a column of amounts must hold numbers"
        if amounts
        else "a column of numbers must hold plain numbers alone"
    )
    raise DataError(
        f"{what}, but {odd[0]!r}{others} in {name} {are} none: correct it, empty the "
        "cell to leave the row out, or choose the task 'classification' (--task) if the numbers are names"
    )


def _told_names(name: str, reading: Reading) -> list[str]:
    """Return that numbers in other forms were taken for names of classes."""
    if not reading.notes or reading.odd:
        return []
    how = reading.notes[0].rstrip(".")
    return [
        f"The values of {name} are taken for names of classes; --task regression (in Python task='regression') reads "
        f"them as numbers ({how})."
    ]
