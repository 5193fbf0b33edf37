"""Turn the cells of label columns into a task and the targets of a model."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from automl.data.sources.base import Targets, counted
from automl.errors import DataError
from automl.records import Task

# Columns of these names hold classes, even if these are many numbers.
_CLASS_COLUMNS = ("label", "class")
# Up to this many different whole numbers in other columns are classes; more are a regression.
_MOST_CLASSES = 10
_BITS = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "0.0": 0.0, "1.0": 1.0}
_LISTS = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class Labels:
    """The content of label columns. `targets` has a row for each True in `kept`; shapes as in `Source`."""

    task: Task
    classes: tuple[str, ...]
    targets: Targets
    kept: npt.NDArray[np.bool_]
    notes: tuple[str, ...]


def read_labels(columns: Mapping[str, Sequence[Any]], *, task: str) -> Labels:
    """Read the targets in columns of equal length, for `task` or, with "auto", for the task that fits.

    One column: lists, or texts with "|" between labels, are multilabel. Numbers with fractions are a regression, and
    so are more than ten different whole numbers unless the column is called label or class. Everything else is
    classification. Several columns: multilabel if all cells are 0 or 1, else regression. Rows without a label are
    left out and counted. Raises DataError with the first cell that does not fit.
    """
    cells = {name: [_plain(cell) for cell in column] for name, column in columns.items()}
    chosen = _infer(cells) if task == "auto" else cast(Task, task)
    kept = _with_labels(cells, chosen)
    if not kept.any():
        raise DataError(
            f"the target {_names(cells)} must have values, but every row is empty: name another column"
        )
    shown = {
        name: [cell for cell, keep in zip(column, kept, strict=True) if keep]
        for name, column in cells.items()
    }
    classes, targets = _READERS[chosen](shown)
    return Labels(chosen, classes, targets, kept, _notes(chosen, task, cells, kept))


def vector_columns(vectors: npt.NDArray[Any]) -> dict[str, Sequence[Any]]:
    """Return the columns of (N, outputs), with names that sort in their order."""
    width = len(str(vectors.shape[1] - 1))
    return {f"output {k:0{width}d}": vectors[:, k].tolist() for k in range(vectors.shape[1])}


def is_bits(column: Iterable[Any]) -> bool:
    """Return whether all non-empty cells are 0 or 1 (or true, false), and both occur."""
    found = {_BITS.get(str(cell).lower()) for cell in map(_plain, column) if cell is not None}
    return found == {0.0, 1.0}


def is_numbers(column: Iterable[Any]) -> bool:
    """Return whether all non-empty cells are numbers."""
    return all(_number(cell) is not None for cell in map(_plain, column) if cell is not None)


def _plain(cell: Any) -> Any:
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


def _infer(cells: Mapping[str, list[Any]]) -> Task:
    if len(cells) > 1:
        bits = all(
            str(cell).lower() in _BITS for column in cells.values() for cell in column if cell is not None
        )
        return "multilabel" if bits else "regression"
    name, column = next(iter(cells.items()))
    present = [cell for cell in column if cell is not None]
    if any(isinstance(cell, _LISTS) or (isinstance(cell, str) and _is_list(cell)) for cell in present):
        return "multilabel"
    numbers = [_number(cell) for cell in present if not isinstance(cell, bool)]
    found = [value for value in numbers if value is not None]
    if len(found) < len(present):
        return "classification"
    if any(value != round(value) for value in found if math.isfinite(value)):
        return "regression"
    amounts = name.lower() not in _CLASS_COLUMNS and len(set(found)) > _MOST_CLASSES
    return "regression" if amounts else "classification"


def _is_list(text: str) -> bool:
    return "|" in text or (text.startswith("[") and text.endswith("]"))


def _with_labels(cells: Mapping[str, list[Any]], task: Task) -> npt.NDArray[np.bool_]:
    if task == "multilabel" and len(cells) == 1:  # an empty cell is an image to which no label applies
        return np.ones(len(next(iter(cells.values()))), dtype=np.bool_)
    return np.array(
        [all(cell is not None for cell in row) for row in zip(*cells.values(), strict=True)], dtype=np.bool_
    )


def _classes(cells: Mapping[str, list[Any]]) -> tuple[tuple[str, ...], Targets]:
    """Return class names, sorted (numbers by value), and the index of each row's class."""
    if len(cells) > 1:
        raise DataError(
            f"a classification must have one target column, not {_names(cells)}: name one, or use the task "
            "'multilabel' or 'regression'"
        )
    column = next(iter(cells.values()))
    odd = [cell for cell in column if not isinstance(cell, (str, int, float))]
    if odd:
        raise DataError(
            f"class labels must be text or whole numbers, but {odd[0]!r} was given: choose another target"
        )
    words = [
        f"{cell:.0f}" if isinstance(cell, float) and cell == round(cell) else str(cell) for cell in column
    ]
    names = sorted(set(words), key=_order)
    number = {name: i for i, name in enumerate(names)}
    return tuple(names), np.array([number[word] for word in words], dtype=np.int64)


def _order(name: str) -> tuple[int, float, str]:
    """Return a sort key: numbers by value and before words."""
    value = _number(name)
    return (1, 0.0, name) if value is None else (0, value, name)


def _several(cells: Mapping[str, list[Any]]) -> tuple[tuple[str, ...], Targets]:
    """Return label names and a 0 or 1 for each: from one column each, or from the lists of one column."""
    if len(cells) > 1:
        rows = list(zip(*cells.values(), strict=True))
        odd = [cell for row in rows for cell in row if str(cell).lower() not in _BITS]
        if odd:
            raise DataError(
                f"columns of labels must hold 0 and 1, but {odd[0]!r} was given: choose others with --target"
            )
        return tuple(cells), np.array(
            [[_BITS[str(cell).lower()] for cell in row] for row in rows], dtype=np.float32
        )
    sets = [_labels_of(cell) for cell in next(iter(cells.values()))]
    names = sorted(set().union(*sets), key=_order)
    if not names:
        raise DataError("at least one row must have a label, but every list is empty: choose another target")
    number = {name: i for i, name in enumerate(names)}
    targets = np.zeros((len(sets), len(names)), dtype=np.float32)
    for row, labels in enumerate(sets):
        targets[row, [number[label] for label in labels]] = 1.0
    return tuple(names), targets


def _labels_of(cell: Any) -> set[str]:
    if cell is None:
        return set()
    if isinstance(cell, str) and cell.startswith("[") and cell.endswith("]"):
        try:
            cell = ast.literal_eval(cell)
        except (ValueError, SyntaxError):
            cell = [part.strip() for part in cell[1:-1].split(",")]
    parts = cell.split("|") if isinstance(cell, str) else cell if isinstance(cell, _LISTS) else [cell]
    return {str(part).strip() for part in parts} - {""}


def _amounts(cells: Mapping[str, list[Any]]) -> tuple[tuple[str, ...], Targets]:
    """Return column names and the numbers in them."""
    rows = list(zip(*cells.values(), strict=True))
    for row in rows:
        for cell in row:
            value = _number(cell)
            if value is None or not math.isfinite(value):
                raise DataError(
                    f"a regression needs finite numbers, but {cell!r} was given in {_names(cells)}: choose "
                    "another target, or the task 'classification'"
                )
    targets = np.array([[float(cell) for cell in row] for row in rows], dtype=np.float32)
    same = [
        name for name, low, high in zip(cells, targets.min(0), targets.max(0), strict=True) if low == high
    ]
    if same:
        raise DataError(
            f"a regression needs numbers that differ, but {same[0]!r} is the same in every row: leave it out"
        )
    return tuple(cells), targets


_READERS = {"classification": _classes, "multilabel": _several, "regression": _amounts}


def _number(cell: Any) -> float | None:
    """Return the cell as a number, or None; "nan" is a word."""
    try:
        value = math.nan if isinstance(cell, _LISTS) else float(cell)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(value) else value


def _notes(
    task: Task, asked: str, cells: Mapping[str, list[Any]], kept: npt.NDArray[np.bool_]
) -> tuple[str, ...]:
    notes = []
    if asked == "auto" and task != "classification":
        notes.append(f"Task: {task} of {_names(cells)}, as its values suggest; --task chooses another.")
    empty = sum(1 for cell in next(iter(cells.values())) if cell is None)
    if task == "multilabel" and len(cells) == 1 and empty:
        notes.append(f"{counted(empty, 'row')} without a label kept: no label applies to them.")
    if not kept.all():
        notes.append(f"{counted(int((~kept).sum()), 'row')} without a value in {_names(cells)} left out.")
    return tuple(notes)


def _names(cells: Mapping[str, Any]) -> str:
    return ", ".join(cells)
