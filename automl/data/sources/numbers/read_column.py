"""Read the numbers in a column of a table, in whatever form they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from automl.data.sources.base import counted
from automl.data.sources.cells import MISSING, number
from automl.data.sources.numbers.forms import Form, is_limit, parse
from automl.data.sources.numbers.separators import values_of
from automl.errors import DataError

_SHOWN = 3
_QUOTIENT = "/"  # the unit of fractions whose denominators differ


@dataclass(frozen=True)
class Reading:
    """A column in which numbers in other forms are read; `notes` say how.

    `numbers` are all values, and `odd` the cells that are none of them. `unclear` are odd cells that mean a number: <1,
    10-20, or 5 % among numbers without a unit. `amounts`: their form, such as a currency, says that these are amounts.
    """

    cells: list[Any]
    notes: tuple[str, ...]
    numbers: tuple[float, ...]
    odd: tuple[Any, ...]
    unclear: tuple[str, ...]
    amounts: bool


@dataclass(frozen=True)
class _Cells:
    """The different cells of a column: `forms` and `plain` are numbers in texts, `missing` words for no value."""

    forms: Mapping[str, Form]
    plain: frozenset[str]
    missing: frozenset[str]

    @staticmethod
    def of(column: Iterable[Any]) -> _Cells:
        texts = {cell for cell in column if isinstance(cell, str)}
        missing = {text for text in texts if text.lower() in MISSING}
        forms = {text: form for text in sorted(texts - missing) if (form := parse(text)) is not None}
        plain = {text for text in texts - missing - forms.keys() if number(text) is not None}
        return _Cells(forms, frozenset(plain), frozenset(missing))

    def unit(self, cell: Any) -> str | None:
        """Return the unit of a number, "" for none; None for a cell that is no number."""
        if not isinstance(cell, str):
            return None if number(cell) is None else ""
        if cell in self.plain:
            return ""
        return self.forms[cell].unit if cell in self.forms else None

    def means_number(self, cell: Any) -> bool:
        """Return whether a cell is a number, with a unit or without, or a bound or range."""
        unit = self.unit(cell)
        return is_limit(str(cell)) or unit == "" or (unit is not None and self.forms[cell].amount)


def read_column(name: str, column: Sequence[Any], *, fractions: bool = False) -> Reading | None:
    """Return a column of plain cells, most of which are numbers, with other forms of numbers as such.

    Known are separators of thousands, decimal commas, signs, currencies, and a unit that is the same everywhere. Words
    that mean a missing value become None. `fractions`: 1/4 is a quotient. Returns None if most cells are no numbers, or
    have different endings. Raises DataError if a comma may be either, or units differ.
    """
    known = _Cells.of(column)
    present = [
        cell for cell in column if cell is not None and not (isinstance(cell, str) and cell in known.missing)
    ]
    units = [known.unit(cell) for cell in present]
    unit = _one_unit(name, units, known.forms, fractions=fractions)
    if unit is None:
        return None
    chosen = [
        form
        for form in known.forms.values()
        if form.unit == unit or (unit == _QUOTIENT and form.unit[:1] == unit)
    ]
    values, commas = _values(name, chosen, present, unit)

    def is_read(cell: Any) -> bool:
        return (
            cell in values
            if isinstance(cell, str) and cell in known.forms
            else known.unit(cell) == unit == ""
        )

    odd = [cell for cell in present if not is_read(cell)]
    changed: dict[str, float | None] = {
        text: value for text, value in values.items() if value != number(text)
    }
    notes = [
        *_notes(name, [known.forms[text] for text in changed], unit, commas),
        *_missing_note(name, column, known.missing),
    ]
    changed.update(dict.fromkeys(known.missing, None))
    cells = [changed.get(cell, cell) if isinstance(cell, str) else cell for cell in column]
    found = [
        number(changed.get(cell, cell) if isinstance(cell, str) else cell)
        for cell in present
        if is_read(cell)
    ]
    part_of_names = unit != "" and not any(form.amount for form in chosen)  # 5A
    return Reading(
        cells=cells,
        notes=tuple(notes),
        numbers=tuple(value for value in found if value is not None),
        odd=tuple(odd),
        unclear=() if part_of_names else tuple(str(cell) for cell in odd if known.means_number(cell)),
        amounts=bool(commas) or any(form.amount or form.power or form.separators for form in chosen),
    )


def _one_unit(
    name: str, units: Sequence[str | None], forms: Mapping[str, Form], *, fractions: bool
) -> str | None:
    """Return the unit of most numbers; None if most cells are no numbers, or have endings that are no units.

    Raises DataError if they are in several units.
    """
    counts = Counter(unit for unit in units if unit is not None)
    if 2 * counts.total() <= len(units):
        return None
    unit, rows = counts.most_common(1)[0]
    if 2 * rows > len(units):
        return unit
    if fractions and all(unit[:1] == _QUOTIENT for unit in counts):
        return _QUOTIENT
    examples = {form.unit: form for form in forms.values()}
    if not all(examples[unit].amount for unit in counts if unit):
        return None
    shown = " and ".join(
        repr(examples[unit].text) if unit else "numbers without a unit" for unit in sorted(counts)[:2]
    )
    quotients = all(unit[:1] == _QUOTIENT for unit in counts)
    what = "may be fractions, dates or names" if quotients else "are in different units"
    other = ", or 'regression' if they are fractions" if quotients else ""
    raise DataError(
        f"numbers to learn must be in one unit, but {shown} in {name} {what}: write plain numbers, or choose the task "
        f"'classification' (--task) if they are names{other}"
    )


def _values(
    name: str, chosen: Sequence[Form], present: Sequence[Any], unit: str
) -> tuple[dict[str, float], str]:
    """Return the value of each text, and what commas were taken for, as `values_of` does."""
    bare = [value for cell in present if not isinstance(cell, str) and (value := number(cell)) is not None]
    points = not unit and any(abs(value) < 2**53 and value != round(value) for value in bare)
    values, commas = values_of(name, chosen, whole=bool(bare) and not unit, points=points)
    if unit == _QUOTIENT:
        denominators = {form.text: float(form.unit.lstrip(_QUOTIENT)) for form in chosen}
        values = {text: value / denominators[text] for text, value in values.items() if denominators[text]}
    return values, commas


def _notes(name: str, read: Sequence[Form], unit: str, commas: str) -> list[str]:
    """Return how the numbers in other forms were read."""
    notes: list[str] = []
    if unit == _QUOTIENT:
        notes.append(f"Fractions in {name} taken for their values ({read[0].text!r})." if read else "")
    elif unit and read:
        side = "before" if read[0].before else "after"
        notes.append(f"{unit!r} {side} the numbers in {name} left out.")
    if commas:
        notes.append(commas)
    for kinds, said in (
        ("separators", "Spaces or apostrophes in {name} taken for separators of thousands ({text!r})."),
        ("minus", "{mark!r} in {name} taken for a minus sign ({text!r})."),
    ):
        first = next((form for form in read if getattr(form, kinds)), None)
        if first is not None:
            notes.append(said.format(name=name, text=first.text, mark=getattr(first, kinds)))
    return [note for note in notes if note]


def _missing_note(name: str, column: Sequence[Any], missing: frozenset[str]) -> list[str]:
    if not missing:
        return []
    rows = sum(1 for cell in column if isinstance(cell, str) and cell in missing)
    shown = ", ".join(map(repr, sorted(missing)[:_SHOWN]))
    return [f"{shown} in {name} taken for a missing value in {counted(rows, 'row')}."]
