"""The sealed part of the data."""

from __future__ import annotations

from automl.errors import HoldoutError
from automl.records import Rows


class Holdout:
    """Rows that nobody sees until the end. `len()` is known, the rows come out of `open()` once.

    It is no `Rows`, so that nothing which trains or searches accepts it, and it cannot be pickled into a
    worker.
    """

    def __init__(self, rows: Rows) -> None:
        self.__rows = rows
        self.__reads = 0

    @property
    def reads(self) -> int:
        """How often it was opened."""
        return self.__reads

    def open(self, *, again: bool = False) -> Rows:
        """The rows. Raises HoldoutError at the second call, because a score that was chosen by looking is no
        estimate.

        With `again` it opens all the same, and is counted.
        """
        if self.__reads and not again:
            raise HoldoutError(
                f"the holdout must be opened once, and it was opened already (reads: {self.__reads}): "
                "use the score that was taken then, or pass again=True and say so beside the number"
            )
        self.__reads += 1
        return self.__rows

    def __len__(self) -> int:
        return len(self.__rows)

    def __repr__(self) -> str:
        return f"Holdout({len(self)} rows, reads={self.__reads})"

    def __getstate__(self) -> object:
        raise HoldoutError("the holdout must stay where the study runs: it cannot be pickled or copied")
