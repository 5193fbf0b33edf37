"""The sealed part of the data."""

from __future__ import annotations

from automl.errors import HoldoutError
from automl.records import Rows


class Holdout:
    """Rows that are scored once, at the end. `len()` is known; `open()` returns the rows once.

    It is no `Rows`, so code that trains or searches does not accept it, and it cannot be pickled into a worker.
    """

    def __init__(self, rows: Rows) -> None:
        self.__rows = rows
        self.__reads = 0

    @property
    def reads(self) -> int:
        """How often the holdout was opened."""
        return self.__reads

    def open(self, *, again: bool = False) -> Rows:
        """Return the rows. Raises HoldoutError at the second call: a score chosen among several is biased.

        `again` allows further calls, which are counted.
        """
        if self.__reads and not again:
            raise HoldoutError(
                f"the holdout must be opened once, but it was opened already (reads: {self.__reads}): "
                "use the score of the first time, or pass again=True and report the number of reads"
            )
        self.__reads += 1
        return self.__rows

    def __len__(self) -> int:
        return len(self.__rows)

    def __repr__(self) -> str:
        return f"Holdout({len(self)} rows, reads={self.__reads})"

    def __getstate__(self) -> object:
        raise HoldoutError("the holdout must stay where the study runs: it cannot be pickled or copied")
