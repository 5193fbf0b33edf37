"""Numbers that stand for no value: -9999 among amounts, and -1 for a label that does not apply."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from automl.data.sources.base import counted
from automl.data.sources.cells import number
from automl.errors import DataError

_USUAL = frozenset(
    sign * float(digits) for digits in ("99", "999", "9999", "99999", "999999") for sign in (-1, 1)
)
_FEWEST, _FAR = 10, 1e3  # numbers in a column; distances from the median
_NO, _YES = -1.0, 1.0
Cells = dict[str, list[Any]]


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
        notes += _outlier_notes(name, [value for value in found if value not in _USUAL])
    return notes


def _outlier_notes(name: str, values: list[float]) -> list[str]:
    """Return a note on numbers that lie a thousand times as far from the median as most others do."""
    middle = median(values) if len(values) >= _FEWEST else 0.0
    distances = sorted(abs(value - middle) for value in values)
    usual = distances[int(0.9 * (len(distances) - 1))] if len(values) >= _FEWEST else 0.0
    far = [value for value in values if usual and abs(value - middle) > _FAR * usual]
    if not far:
        return []
    others = [value for value in values if abs(value - middle) <= _FAR * usual]
    return [
        f"{far[0]:g} in {name} ({counted(len(far), 'row')} of this kind) lies far from the others ({min(others):g} to "
        f"{max(others):g}) and is learned: correct it, or empty the cell to leave the row out."
    ]


def minus_one_notes(cells: Mapping[str, list[Any]], task: str) -> list[str]:
    """Return a note on -1 beside the numbers of classes from 0 on: it often stands for images without a label."""
    notes = []
    for name, column in cells.items() if task == "classification" and len(cells) == 1 else ():
        found = {number(cell) for cell in column if cell is not None}
        if (
            _NO in found
            and 0.0 in found
            and min(value if value is not None else _NO for value in found) == _NO
        ):
            n = sum(1 for cell in column if cell is not None and number(cell) == _NO)
            notes.append(
                f"-1 in {name} ({counted(n, 'row')}) is a class: if it means that there is no label, empty these cells."
            )
    return notes


def from_signs(cells: Cells, task: str) -> tuple[Cells, list[str]]:
    """Return several columns of -1, 0, 1 and empty cells as columns of 0 and 1, and notes; anything else as it is.

    -1 is 0 where a column holds no 0. Beside 0 and 1, as in CheXpert, it may mean an uncertain label: for the task
    "multilabel" it is 0, and so are empty cells, labels that are not mentioned. For "auto" such columns are amounts if
    no cell is empty. Otherwise DataError is raised, as nobody can tell. Empty cells beside 1 alone are 0.
    CheXpert: Irvin et al. 2019, https://arxiv.org/abs/1901.07031, where -1 as 0 is called U-Zeros.
    """
    if len(cells) < 2 or task == "regression":
        return cells, []
    kinds = {name: {number(cell) for cell in column if cell is not None} for name, column in cells.items()}
    if not all(kind <= {_NO, 0.0, _YES} for kind in kinds.values()):
        return cells, []
    signs = [name for name, kind in kinds.items() if _NO in kind]
    if any(0.0 in kinds[name] for name in signs):
        return _uncertain(cells, signs, task)
    changed = {name: _with_zeros(column, minus=name in signs) for name, column in cells.items()}
    notes = [f"-1 in {_shown(signs)} taken for 0: the label does not apply."] if signs else []
    bare = [name for name, kind in kinds.items() if kind == {_YES} and None in cells[name]]
    if bare:
        notes.append(f"Empty cells in {_shown(bare)} taken for 0, as the others are 1.")
        changed |= {name: _with_zeros(cells[name], empty=True) for name in bare}
    return changed, notes


def _uncertain(cells: Cells, signs: list[str], task: str) -> tuple[Cells, list[str]]:
    """Return columns of which `signs` hold -1 beside 0, and notes. Raises DataError if they may be of two tasks."""
    rows = sum(1 for name in signs for cell in cells[name] if number(cell) == _NO)
    empty = sum(column.count(None) for column in cells.values())
    if task == "multilabel":
        notes = [
            f"-1 beside 0 in {_shown(signs)} ({counted(rows, 'cell')}) is an uncertain label, taken for 0."
        ]
        notes += [f"{counted(empty, 'empty cell')} beside them taken for 0: not mentioned."] if empty else []
        return {name: _with_zeros(column, minus=True, empty=True) for name, column in cells.items()}, notes
    if task == "auto" and empty:
        raise DataError(
            f"columns of labels must hold 0 and 1, but -1 beside 0 in {_shown(signs)} ({counted(rows, 'cell')}) and "
            "empty cells may be uncertain labels and those not mentioned: `--task multilabel` (in Python task) takes "
            "both for 0, `--task regression` learns the numbers"
        )
    said = f"-1, 0 and 1 in {_shown(signs)} are amounts; if -1 is an uncertain label, --task multilabel takes it for 0."
    return cells, [said] if task == "auto" else []


def _with_zeros(column: list[Any], *, minus: bool = False, empty: bool = False) -> list[Any]:
    """Return a column with 0 for -1 (`minus`) and for empty cells (`empty`)."""
    return [0 if (cell is None and empty) or (minus and number(cell) == _NO) else cell for cell in column]


def _shown(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def is_signs(column: list[Any]) -> bool:
    """Return whether all cells that are not empty are -1 or 1, and both occur."""
    return {number(cell) for cell in column if cell is not None} == {_NO, _YES}
