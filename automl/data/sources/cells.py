"""Cells as plain Python objects, as numbers, and words that mean a missing value."""

from __future__ import annotations

import math
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
