"""What an objective prints: kept in a file for each trial, and in memory for a person who is not at its process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOBase
from pathlib import Path
from typing import Any, TextIO

from automl.terminal.streams import UntilBroken

MOST = 20_000  # characters of a round that are shown; the file has all


class _Tee:
    """A stream that also writes to others. After `close_others` it is the stream alone.

    Where the stream can take no more, because its reader has gone, the others go on.
    """

    def __init__(self, stream: TextIO | TextIOBase, others: list[Any]) -> None:
        self._stream, self._others = UntilBroken(stream), others

    def write(self, text: str) -> int:
        """Write to all. A full disk stops no trial."""
        for other in self._others:
            with suppress(OSError):
                other(text)
        return self._stream.write(text)

    def close_others(self) -> None:
        """Write to the stream alone, for loggers that still hold this object."""
        self._others = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Nowhere(TextIOBase):
    """Stands for the streams of a program without a console, which are None."""

    def write(self, text: str) -> int:
        """Write nothing."""
        return len(text)


class Shown:
    """The text of a round, up to MOST characters."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = MOST

    def add(self, text: str) -> None:
        """Add what was written."""
        if self._left > 0:
            self._parts.append(text[: self._left])
            self._left -= len(text)

    def take(self) -> str:
        """Return what was added since the last call."""
        found = "".join(self._parts)
        cut = self._left < 0
        self._parts, self._left = [], MOST
        return f"{found}\n(the rest of this round is not shown)\n" if cut else found


class _File:
    """A file that is opened when something is written. One that cannot be written is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: TextIO | None = None

    def add(self, text: str) -> None:
        """Append what was written. Raises OSError."""
        if self._opened is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._opened = self._path.open("a", encoding="utf-8", buffering=1)
        self._opened.write(text)

    def close(self) -> None:
        """Close the file if it was opened."""
        if self._opened is not None:
            self._opened.close()


@contextmanager
def printed(file: Path | None, shown: Shown | None = None) -> Iterator[None]:
    """In this block, append to `file` what is printed to stdout and stderr, and add it to `shown`. None: nowhere.

    Printing to a stream whose reader has gone raises nothing: it is no failure of a trial.
    """
    kept = None if file is None else _File(file)
    others = [each.add for each in (kept, shown) if each is not None]
    before = sys.stdout, sys.stderr
    tees = [_Tee(stream or _Nowhere(), others) for stream in before]
    sys.stdout, sys.stderr = tees
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for tee in tees:
            tee.close_others()
        if kept is not None:
            kept.close()
