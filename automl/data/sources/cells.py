"""Cells as plain Python objects, as numbers, and words that mean a missing value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

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
