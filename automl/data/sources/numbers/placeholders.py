"""Numbers that stand for no value: -9999 among amounts, and -1 for a label that does not apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from automl.data.sources.base import counted
from automl.data.sources.cells import number

_USUAL = frozenset(
    sign * float(digits) for digits in ("99", "999", "9999", "99999", "999999") for sign in (-1, 1)
)
_NO, _YES = -1.0, 1.0


def placeholder_notes(cells: Mapping[str, list[Any]]) -> list[str]:
    """Return a note on each column of amounts in which a number such as -9999 lies far outside of the others."""
    notes = []
    for name, column in cells.items():
        found = [value for cell in column if (value := number(cell)) is not None]
        for value in sorted(set(found) & _USUAL):
            others = [other for other in found if other not in _USUAL]
            low, high = min(others, default=0.0), max(others, default=0.0)
            if high > low and not 2 * low - high <= value <= 2 * high - low:
                notes.append(
                    f"{value:g} in {name} ({counted(found.count(value), 'row')}) lies far from the others ({low:g} to "
                    f"{high:g}) and is learned: if it means a missing value, empty the cell to leave the row out."
                )
    return notes


def from_signs(cells: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], list[str]]:
    """Return several columns of -1 and 1 as columns of 0 and 1, and a note; anything else as it is."""
    if len(cells) < 2:
        return cells, []
    kinds = {name: {number(cell) for cell in column if cell is not None} for name, column in cells.items()}
    if not all(kind <= {_NO, _YES} or kind <= {0.0, _YES} for kind in kinds.values()):
        return cells, []
    signs = [name for name, kind in kinds.items() if _NO in kind]
    if not signs:
        return cells, []
    changed = {
        name: [0 if number(cell) == _NO else cell for cell in column] if name in signs else column
        for name, column in cells.items()
    }
    shown = ", ".join(signs[:3]) + (f" and {len(signs) - 3} more" if len(signs) > 3 else "")
    return changed, [f"-1 in {shown} taken for 0: the label does not apply."]


def is_signs(column: list[Any]) -> bool:
    """Return whether all cells that are not empty are -1 or 1, and both occur."""
    return {number(cell) for cell in column if cell is not None} == {_NO, _YES}
