"""Turn the cells of label columns into a task and the targets of a model."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from automl.data.sources.base import Targets, counted
from automl.data.sources.cells import MISSING, named_by_objects, number, plain
from automl.data.sources.numbers.amount_targets import amount_targets
from automl.data.sources.numbers.amounts import MOST_CLASSES, amounts_in, codes, is_list, read_amounts
from automl.data.sources.numbers.placeholders import from_signs, is_signs, minus_one_notes, placeholder_notes
from automl.errors import DataError
from automl.records import LabelType, Task
from automl.terminal.printable import short

_BITS = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "0.0": 0.0, "1.0": 1.0}
_LISTS = (list, tuple, set, frozenset)
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_WHOLE_FRACTION = re.compile(r"\+?(-?\d+)(?:\.0*)?")  # 1, 1.0 or +1
_VECTOR = "output "  # the name of a column without a name, before its number
_FEWEST_WORDS = 3  # that combine in labels of several words
_LONGEST_LIST, _MOST_TARGETS = 10_000, 2**28  # characters of a list in a cell; numbers in all targets


@dataclass(frozen=True)
class Labels:
    """The content of label columns. `targets` has a row for each True in `kept`; shapes as in `Source`.

    `label_type` is the type in which the labels were given.
    """

    task: Task
    classes: tuple[str, ...]
    targets: Targets
    kept: npt.NDArray[np.bool_]
    notes: tuple[str, ...]
    label_type: LabelType = "text"


def read_labels(columns: Mapping[str, Sequence[Any]], *, task: str, typed: bool = True) -> Labels:
    """Read the targets in columns of equal length, for `task` or, with "auto", for the task that fits.

    One column: lists, or texts with "|" between labels, are multilabel. Numbers with fractions are a regression, and
    so are more than ten different whole numbers, unless the name of the column or zeros before the numbers say that
    these are classes. So are numbers with a currency, a unit and the like (`numbers.amounts`). Everything else is
    classification, where 1.0 and 1 are one class. Several columns: 0 and 1 are classification if each row has
    one 1 (one-hot), else multilabel; other numbers are a regression. Rows without a label are left out and counted.
    Unless the cells are `typed`, those of a CSV are whole numbers if all are written as such (7, but not 007).
    Raises DataError with the first cell that does not fit, also for a text among numbers that are amounts.
    """
    cells = {name: [plain(cell) for cell in column] for name, column in columns.items()}
    cells, named = _named(cells)
    cells, told = from_signs(cells, task)
    told = [*named, *told]
    certain: frozenset[str] = frozenset()
    if task in ("auto", "regression"):
        read = read_amounts(cells, asked=task, bits=_all_bits(cells))
        cells, told, certain = read.cells, [*told, *read.notes], read.certain
    chosen = _infer(cells, certain) if task == "auto" else cast(Task, task)
    if chosen == "classification":
        cells, same = _in_one_spelling(cells)
        told += [*same, *_without_spaces(columns)]
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
    told += _notes(chosen, task, cells, kept)
    # Bits without names get names that are no numbers.
    label_type = "text" if chosen == "multilabel" and _is_vector(shown) else _label_type(shown)
    if not typed and label_type == "text" and all(map(_is_whole, classes)):
        label_type = "int"
    return Labels(chosen, classes, targets, kept, tuple(told), label_type)


def _named(cells: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], list[str]]:
    """Return columns of objects with the names in them, and a note on each."""
    notes = []
    for name, column in cells.items():
        if (found := named_by_objects(column)) is not None:
            cells = {**cells, name: found}
            first = next(filter(None, found), "")
            notes.append(f"Labels in {name} are the names in its objects, such as {first!r:.60}.")
    return cells, notes


def label_columns(labels: npt.NDArray[Any]) -> dict[str, Sequence[Any]]:
    """Return the columns of labels (N,), (N, 1) or (N, outputs)."""
    if labels.ndim == 1 or labels.shape[1] == 1:
        return {"label": labels.reshape(-1).tolist()}
    return vector_columns(labels)


def as_array(labels: Any) -> Any:
    """Return labels in rows of a list, such as one-hot rows or a column, as the array that they stand for.

    Rows of equal length are one if they have one entry, only 0 and 1, or numbers with fractions. Other lists, such as
    those of several labels, stay as they are.
    """
    rows = list(labels) if isinstance(labels, (list, tuple)) else []
    if not rows or not all(isinstance(row, (list, tuple, np.ndarray)) and np.ndim(row) == 1 for row in rows):
        return labels
    if len({len(row) for row in rows}) != 1 or not len(rows[0]):
        return labels
    cells = [plain(cell) for row in rows for cell in row]
    numeric = all(isinstance(cell, (bool, int, float)) for cell in cells)
    matrix = numeric and (set(cells) <= {0, 1} or any(isinstance(cell, float) for cell in cells))
    if len(rows[0]) > 1 and not matrix:
        return labels
    return np.array(cells, dtype=None if numeric else object).reshape(len(rows), -1)


def columns_of_table(labels: Any) -> dict[str, Sequence[Any]] | None:
    """Return the columns of a DataFrame of labels by their names; None for anything else."""
    if not (hasattr(labels, "iloc") and hasattr(labels, "columns")):
        return None
    return {str(name): labels.iloc[:, k].tolist() for k, name in enumerate(labels.columns)}


def vector_columns(vectors: npt.NDArray[Any]) -> dict[str, Sequence[Any]]:
    """Return the columns of (N, outputs), with names that sort in their order."""
    width = len(str(vectors.shape[1] - 1))
    return {f"{_VECTOR}{k:0{width}d}": vectors[:, k].tolist() for k in range(vectors.shape[1])}


def is_bits(column: Iterable[Any]) -> bool:
    """Return whether all non-empty cells are 0 or 1 (or true, false; or -1 or 1), and both occur."""
    cells = [plain(cell) for cell in column]
    found = {_BITS.get(str(cell).lower()) for cell in cells if cell is not None}
    return found == {0.0, 1.0} or is_signs(cells)


def is_numbers(column: Iterable[Any]) -> bool:
    """Return whether all non-empty cells are numbers."""
    return all(number(cell) is not None for cell in map(plain, column) if cell is not None)


def _all_bits(cells: Mapping[str, list[Any]]) -> bool:
    return all(str(cell).lower() in _BITS for column in cells.values() for cell in column if cell is not None)


def _one_hot(cells: Mapping[str, list[Any]]) -> bool:
    """Return whether each row of several columns has one 1 and else 0."""
    if len(cells) < 2 or not _all_bits(cells):
        return False
    rows = zip(*cells.values(), strict=True)
    return all(sum(_BITS.get(str(cell).lower(), 2.0) for cell in row) == 1.0 for row in rows)


def _infer(cells: Mapping[str, list[Any]], certain: frozenset[str]) -> Task:
    if len(cells) > 1:
        if _one_hot(cells):
            return "classification"
        return "multilabel" if _all_bits(cells) else "regression"
    name, column = next(iter(cells.items()))
    if name in certain:
        return "regression"
    present = [cell for cell in column if cell is not None]
    if any(isinstance(cell, _LISTS) or (isinstance(cell, str) and is_list(cell)) for cell in present):
        return "multilabel"
    numbers = [number(cell) for cell in present if not isinstance(cell, bool)]
    found = [value for value in numbers if value is not None]
    if len(found) < len(present) or codes(present):
        return "classification"
    return "regression" if amounts_in(name, found) else "classification"


def _with_labels(cells: Mapping[str, list[Any]], task: Task) -> npt.NDArray[np.bool_]:
    if task == "multilabel" and len(cells) == 1:  # an empty cell is an image to which no label applies
        return np.ones(len(next(iter(cells.values()))), dtype=np.bool_)
    return np.array(
        [all(cell is not None for cell in row) for row in zip(*cells.values(), strict=True)], dtype=np.bool_
    )


def _classes(cells: Mapping[str, list[Any]]) -> tuple[tuple[str, ...], Targets]:
    """Return class names, sorted (numbers by value), and the index of each row's class."""
    column = _from_one_hot(cells) if len(cells) > 1 else next(iter(cells.values()))
    odd = [cell for cell in column if not isinstance(cell, (str, int, float))]
    if odd:
        raise DataError(
            f"class labels must be text or whole numbers, but {odd[0]!r} was given: choose another target"
        )
    words = [f"{cell:.0f}" if isinstance(cell, float) and cell.is_integer() else str(cell) for cell in column]
    names = sorted(set(words), key=_order)
    place = {name: i for i, name in enumerate(names)}
    return tuple(names), np.array([place[word] for word in words], dtype=np.int64)


def _in_one_spelling(cells: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the column with 1.0 and 1 as one class, 1, where both are there; and what was changed."""
    name, column = next(iter(cells.items()))
    texts = {cell for cell in column if isinstance(cell, str)}
    if len(cells) > 1 or codes(texts):
        return cells, []
    words = texts | {str(cell) for cell in column if type(cell) is int}
    words |= {f"{cell:.0f}" for cell in column if type(cell) is float and cell.is_integer()}
    whole = {
        text: found[1] for text in texts if (found := _WHOLE_FRACTION.fullmatch(text)) and found[1] != text
    }
    twice = sorted(text for text, form in whole.items() if form in words)
    if not twice:
        return cells, []
    said = f"{whole[twice[0]]!r} and {twice[0]!r} in {name} are one class, as are others that differ in this way."
    return {name: [whole.get(cell, cell) if isinstance(cell, str) else cell for cell in column]}, [said]


def _without_spaces(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return a sentence on labels that differ only in spaces around them, which are one class; nothing for none."""
    forms: dict[str, set[str]] = {}
    for cell in {cell for column in columns.values() for cell in column if isinstance(cell, str)}:
        forms.setdefault(cell.strip(), set()).add(cell)
    twice = next((sorted(found) for text, found in sorted(forms.items()) if text and len(found) > 1), None)
    if twice is None:
        return []
    shown = " and ".join(repr(short(text)) for text in twice[:2])
    return [f"{shown} in {_names(columns)} are one class, as spaces around labels do not count."]


def _from_one_hot(cells: Mapping[str, list[Any]]) -> list[Any]:
    """Return one column with the name of the column that holds the 1, or its number if it has no name."""
    if not _one_hot(cells):
        raise DataError(
            f"a classification must have one target column, not {_names(cells)}, or columns with one 1 in each row: "
            "name one, or use the task 'multilabel' or 'regression'"
        )
    names = [str(int(name.removeprefix(_VECTOR))) if _is_vector(cells) else name for name in cells]
    rows = zip(*cells.values(), strict=True)
    return [names[[_BITS[str(cell).lower()] for cell in row].index(1.0)] for row in rows]


def _is_vector(cells: Mapping[str, Any]) -> bool:
    return all(re.fullmatch(f"{_VECTOR}\\d+", name) for name in cells)


def _order(name: str) -> tuple[int, float, str]:
    """Return a sort key: numbers by value and before words."""
    value = number(name)
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
    if len(sets) * len(names) > _MOST_TARGETS:
        raise DataError(
            f"labels must repeat from row to row, but {len(sets):,} rows have {len(names):,} different ones: choose "
            "another target"
        )
    place = {name: i for i, name in enumerate(names)}
    targets = np.zeros((len(sets), len(names)), dtype=np.float32)
    for row, labels in enumerate(sets):
        targets[row, [place[label] for label in labels]] = 1.0
    return tuple(names), targets


def _labels_of(cell: Any) -> set[str]:
    if cell is None:
        return set()
    if isinstance(cell, str) and "|" not in cell and is_list(cell):
        cell = _listed(cell)
    parts = cell.split("|") if isinstance(cell, str) else cell if isinstance(cell, _LISTS) else [cell]
    if odd := [part for part in parts if isinstance(part, dict)]:
        raise DataError(
            f"labels must be text or numbers, but {odd[0]!r:.200} was given: choose another target"
        )
    return {str(part).strip() for part in parts} - {""}


def _listed(text: str) -> Any:
    """Return the list in a text such as "['cat', 'dog']" or "[cat, dog]"."""
    if len(text) <= _LONGEST_LIST:  # Python's parser takes a hundred times the memory of a text
        try:
            found = ast.literal_eval(text)
            return [found] if isinstance(found, str) else found
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return [part.strip() for part in text[1:-1].split(",")]
    return [part.strip() for part in text[1:-1].split(",")]


_READERS = {"classification": _classes, "multilabel": _several, "regression": amount_targets}


def _notes(
    task: Task, asked: str, cells: Mapping[str, list[Any]], kept: npt.NDArray[np.bool_]
) -> tuple[str, ...]:
    notes = []
    why = _why(task, cells) if asked == "auto" else ""
    if why:
        notes.append(f"Task: {task} of {_names(cells)}, {why}; --task (in Python task) chooses another.")
    notes += placeholder_notes(cells) if task == "regression" else minus_one_notes(cells, task)
    empty = sum(1 for cell in next(iter(cells.values())) if cell is None)
    if task == "multilabel" and len(cells) == 1 and empty:
        notes.append(f"{counted(empty, 'row')} without a label kept: no label applies to them.")
    if not kept.all():
        notes.append(f"{counted(int((~kept).sum()), 'row')} without a value in {_names(cells)} left out.")
    return tuple(notes)


def _why(task: Task, cells: Mapping[str, list[Any]]) -> str:
    """Return why a task was chosen, "" for words or few numbers in one column, which are classes."""
    if task != "classification":
        return "as its values suggest"
    if len(cells) > 1:
        return "as each row has one 1 and else 0"
    column = next(iter(cells.values()))
    if code := codes(column):
        return f"as numbers such as {code} are codes"
    present = [cell for cell in column if cell is not None]
    if joined := _joined(present):
        return f"in which {joined!r} is one class: if it means several labels, write | between them"
    if words := sorted({cell for cell in present if isinstance(cell, str) and cell.lower() in MISSING}):
        return f"in which {words[0]!r} is a class, not a missing value"
    many = len({number(cell) for cell in present}) if all(number(cell) is not None for cell in present) else 0
    if many > MOST_CLASSES:
        return f"in which {many} numbers name classes"
    different = len(set(map(str, present)))
    if different > MOST_CLASSES and 2 * different > len(present):
        return f"with {different} classes in {len(present)} rows (is it the right column?)"
    return ""


def _joined(cells: Iterable[Any]) -> str:
    """Return a text such as "cat;dog" of which all parts are labels elsewhere; "" if there is none."""
    texts = {cell for cell in cells if isinstance(cell, str)}
    for mark in (";", ",", "+", "&", "/", " "):
        parts = {text: [part.strip() for part in text.split(mark)] for text in sorted(texts) if mark in text}
        single = texts - parts.keys()
        known = (
            single if mark == " " else texts | {part for of in parts.values() for part in of if len(of) > 1}
        )
        found = next(
            (text for text, of in parts.items() if set(of) & single and set(of) <= known and "" not in of), ""
        )
        if found:
            return found
    words = {text: set(text.split()) for text in texts}
    uses = Counter(word for of in words.values() for word in of)
    again = all(uses[word] > 1 for of in words.values() if len(of) > 1 for word in of)
    return (
        max(words, key=lambda text: len(words[text]))
        if again and _FEWEST_WORDS <= len(uses) < len(words)
        else ""
    )


def _label_type(cells: Mapping[str, list[Any]]) -> LabelType:
    """Return the type of the labels."""
    if len(cells) > 1:
        return "int" if _is_vector(cells) else "text"
    parts: Counter[type] = Counter()
    for cell in next(iter(cells.values())):
        parts.update(map(type, cell) if isinstance(cell, _LISTS) else [] if cell is None else [type(cell)])
    kinds: dict[type, LabelType] = {bool: "bool", int: "int", float: "float"}
    return kinds.get(next(iter(parts)), "text") if len(parts) == 1 else "text"


def _is_whole(word: str) -> bool:
    """Return whether a label is written as Python writes a whole number."""
    return _WHOLE.fullmatch(word) is not None


def _names(cells: Mapping[str, Any]) -> str:
    return ", ".join(cells)
