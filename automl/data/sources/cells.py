"""Cells as plain Python objects, as numbers, and words that mean a missing value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from automl.documents.json_file import parse_json

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
# Keys of objects for the name of a label, as labelling tools call it.
_NAMES = ("label", "name", "class", "class_name", "className", "category", "title", "choices", "value")
_LISTS = (list, tuple, set, frozenset)


def plain(cell: Any) -> Any:
    """Return the cell as a Python object; None if it is empty."""
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, bytes):  # HDF5 and NumPy hold short texts so
        cell = cell.decode("utf-8", "backslashreplace")
    if isinstance(cell, str):
        return cell.strip() or None
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return None
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def named_by_objects(column: Sequence[Any]) -> list[Any] | None:
    """Return the names in a column of objects, as labelling tools write them; None if no cell is one.

    {"label": "cat", "coordinates": ...} is cat, and a list of such objects the list of its names; so are objects as
    JSON in a text. They are one label in each cell if no cell has several. Objects without a name stay as they are.
    """
    if not any(isinstance(cell, (dict, list)) or (isinstance(cell, str) and "{" in cell) for cell in column):
        return None
    found = [_names_in(cell) for cell in column]
    if not any(changed for changed, _ in found):
        return None
    names = [name for _, name in found]
    if any(isinstance(name, _LISTS) and len(name) > 1 for name in names):
        return names
    return [(next(iter(name), None) if isinstance(name, _LISTS) else name) for name in names]


def _names_in(cell: Any) -> tuple[bool, Any]:
    """Return whether a cell holds objects with names, and these names, or the cell."""
    if isinstance(cell, str) and cell[:1] in "{[" and cell[-1:] in "}]" and "{" in cell:
        try:
            parsed = parse_json(cell.encode("utf-8", "surrogatepass"))
        except ValueError:
            return False, cell
        return found if (found := _names_in(parsed))[0] else (False, cell)
    if isinstance(cell, dict):
        name = next((cell[key] for key in _NAMES if isinstance(cell.get(key), (str, list))), None)
        return (False, cell) if name is None else (True, name)
    if isinstance(cell, list) and cell and all(isinstance(part, dict) for part in cell):
        inside = [_names_in(part) for part in cell]
        if all(changed and isinstance(name, str) for changed, name in inside):
            return True, sorted({name for _, name in inside})
    return False, cell


def number(cell: Any) -> float | None:
    """Return the cell as a number, or None; "nan" is a word, and so is 1_2."""
    try:
        value = (
            math.nan if isinstance(cell, _LISTS) or (isinstance(cell, str) and "_" in cell) else float(cell)
        )
    except OverflowError:  # a whole number beyond all floats
        return math.inf if cell > 0 else -math.inf
    except (TypeError, ValueError):
        return None
    return None if math.isnan(value) else value


def groups_of(cells: Iterable[Any], name: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the group of each row, "" for none, and a note where different cells are one group.

    Cells that differ in letter case, spaces or as 1 and 1.0 do are one; "NA", "-" and the like are none.
    """
    words = ["" if (cell := plain(given)) is None else str(cell) for given in cells]
    words = ["" if word.lower() in MISSING else word for word in words]
    forms: dict[str, str] = {}
    groups = [forms.setdefault(_group_key(word), word) for word in words]
    other = next(((word, group) for word, group in zip(words, groups, strict=True) if word != group), None)
    if other is None:
        return groups, ()
    return groups, (
        f"{other[1]!r} and {other[0]!r} in {name} are one group, as are others that differ in this way.",
    )


def _group_key(word: str) -> str:
    text = " ".join(word.casefold().split())
    return text.removesuffix(".0") if re.fullmatch(r"\d+\.0", text) else text
