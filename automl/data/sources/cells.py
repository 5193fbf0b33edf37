"""Numbers in the cells of a column, also in other forms, and cells that mean a missing value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from automl.data.sources.base import counted
from automl.errors import DataError

MISSING = frozenset(
    (
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "-",
        "--",
        "---",
        "\u2013",
        "?",
        ".",
        "missing",
    )
)
_LISTS = (list, tuple, set, frozenset)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_POINTS_AND_COMMA = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+,\d+")
_WITH_UNIT = re.compile(r"([+-]?[\d.,]*\d)\s*([%\u2030$\u20ac\u00a3]|[^\W\d]{1,4})")
_SHOWN = 3


def plain(cell: Any) -> Any:
    """Return the cell as a Python object; None if it is empty."""
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, str):
        return cell.strip() or None
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def number(cell: Any) -> float | None:
    """Return the cell as a number, or None; "nan" is a word."""
    try:
        value = math.nan if isinstance(cell, _LISTS) else float(cell)
    except OverflowError:  # a whole number beyond all floats
        return math.inf if cell > 0 else -math.inf
    except (TypeError, ValueError):
        return None
    return None if math.isnan(value) else value


def read_numbers(name: str, column: Sequence[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Return a column of plain cells, most of which are numbers, with other forms of numbers as such, and notes.

    "1,5" and "1,234" and a unit after all numbers are other forms; which one the comma is follows from all cells of the
    column. Words that mean a missing value become None. Other texts stay, and the column stays as it is if most of its
    cells are no numbers. Raises DataError if a comma may be either.
    """
    distinct = {cell for cell in column if isinstance(cell, str)}
    missing = {text for text in distinct if text.lower() in MISSING}
    texts = sorted(text for text in distinct - missing if number(text) is None)
    others = set(texts)
    present = [
        cell for cell in column if cell is not None and not (isinstance(cell, str) and cell in missing)
    ]
    usual = [
        cell
        for cell in present
        if not (isinstance(cell, str) and cell in others) and number(cell) is not None
    ]
    convert, unit = _without_unit(texts, usual)
    values, told = _values(name, {text: convert(text) for text in texts}, usual)
    known = sum(1 for cell in present if isinstance(cell, str) and cell in values)
    if 2 * (len(usual) + known) <= len(present):
        return list(column), ()
    notes: list[str] = []
    if unit and values:
        notes.append(f"{unit!r} after the numbers in {name} left out.")
    notes += told
    if missing:
        rows = sum(1 for cell in column if isinstance(cell, str) and cell in missing)
        shown = ", ".join(map(repr, sorted(missing)[:_SHOWN]))
        notes.append(f"{shown} in {name} taken for a missing value in {counted(rows, 'row')}.")
    changed: dict[str, float | None] = {**values, **dict.fromkeys(missing, None)}
    return [changed.get(cell, cell) if isinstance(cell, str) else cell for cell in column], tuple(notes)


def _without_unit(texts: Sequence[str], usual: Sequence[Any]) -> tuple[Callable[[str], str], str]:
    """Return how to take the unit from a text, and the unit, if all texts have the same and all numbers have one."""
    found = [_WITH_UNIT.fullmatch(text) for text in texts]
    units = {match[2] for match in found if match is not None}
    if usual or len(units) != 1 or not all(found):
        return str, ""
    return (lambda text: str(_WITH_UNIT.fullmatch(text)[1])), units.pop()  # type: ignore[index]  # all match


def _values(
    name: str, bare: dict[str, str], usual: Sequence[Any]
) -> tuple[dict[str, float | None], tuple[str, ...]]:
    """Return the value of each text that is a number in another form, and notes."""
    values: dict[str, float | None] = {
        text: value for text, form in bare.items() if (value := number(form)) is not None
    }
    commas = {text: form for text, form in bare.items() if _is_other_form(form)}
    if not commas:
        return values, ()
    first = next(iter(commas))
    if _decimal(name, list(commas.values()), usual):
        found = {text: float(form.replace(".", "").replace(",", ".")) for text, form in commas.items()}
        return {**values, **found}, (f"Commas in {name} taken for decimal points ({first!r}).",)
    found = {
        text: float(form.replace(",", "")) for text, form in commas.items() if _THOUSANDS.fullmatch(form)
    }
    said = f"Commas in {name} taken for separators of thousands ({first!r})."
    return {**values, **found}, (said,) if found else ()


def _is_other_form(form: str) -> bool:
    return any(kind.fullmatch(form) for kind in (_DECIMAL_COMMA, _THOUSANDS, _POINTS_AND_COMMA))


def _decimal(name: str, forms: Sequence[str], usual: Sequence[Any]) -> bool:
    """Return whether commas are decimal points. Raises DataError if they may be either."""
    if any(_POINTS_AND_COMMA.fullmatch(form) for form in forms):
        return all(not _THOUSANDS.fullmatch(form) or "." not in form for form in forms)
    points = any("." in form for form in forms) or any(
        "." in str(cell) for cell in usual if isinstance(cell, str)
    )
    points = points or any(isinstance(cell, float) and cell != round(cell) for cell in usual)
    if points:
        return False
    if any(not _THOUSANDS.fullmatch(form) for form in forms):
        return all(_DECIMAL_COMMA.fullmatch(form) for form in forms)
    if usual:
        return False  # 987 beside 1,234
    raise DataError(
        f"numbers must be clear, but {forms[0]!r} in {name} may be {forms[0].replace(',', '')} or "
        f"{forms[0].replace(',', '.', 1)}: write them without a comma, or with a point"
    )
