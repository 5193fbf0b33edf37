"""Rows that wait to be written, in as few statements as their order allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Executable

from automl.search.storage.sql import optuna_tables as rows

# The keys under which rows have the number of their trial.
_NUMBERS = (rows.TRIAL, "trial", "of_number", "number")


class Pending:
    """The waiting rows of one table.

    A statement with many rows costs a database hardly more than one with a single row, so a row joins the last batch of
    its statement. Only the rows of one trial keep their order: if another row of that trial waits behind that batch,
    the row begins a new one.
    """

    def __init__(self) -> None:
        self._batches: list[tuple[Executable, list[dict[str, Any]]]] = []
        self._of_statement: dict[Executable, int] = {}
        self._of_trial: dict[int, int] = {}

    def add(self, statement: Executable, row: Mapping[str, Any]) -> None:
        """Add a row."""
        number = next(row[name] for name in _NUMBERS if name in row)
        place = self._of_statement.get(statement, -1)
        if place < self._of_trial.get(number, 0):
            place = self._of_statement[statement] = len(self._batches)
            self._batches.append((statement, []))
        self._batches[place][1].append(dict(row))
        self._of_trial[number] = place

    def __iter__(self) -> Iterator[tuple[Executable, list[dict[str, Any]]]]:
        return iter(self._batches)
