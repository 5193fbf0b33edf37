"""What an objective prints: kept in a file for each trial, and in memory for a person who is not at its process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

OUTPUT = "output.log"
MOST = 20_000  # characters of a round that are shown; the file has all


class _Tee:
    """A stream that also writes to others. After `close_others` it is the stream alone."""

    def __init__(self, stream: TextIO, others: list[Any]) -> None:
        self._stream, self._others = stream, others

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
        return f"{found}\n(more in {OUTPUT})\n" if cut else found


@contextmanager
def printed(file: Path | None, shown: Shown | None = None) -> Iterator[None]:
    """In this block, append to `file` what is printed to stdout and stderr, and add it to `shown`.

    None: nowhere. A file that cannot be written is left out.
    """
    opened = None if file is None else _opened(file)
    try:
        with _redirected([] if opened is None else [opened.write], shown):
            yield
    finally:
        if opened is not None:
            opened.close()


def _opened(file: Path) -> TextIO | None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("a", encoding="utf-8", buffering=1)
    except OSError:
        return None


@contextmanager
def _redirected(others: list[Any], shown: Shown | None) -> Iterator[None]:
    wanted = [*others, *([] if shown is None else [shown.add])]
    before = sys.stdout, sys.stderr
    if not wanted:
        yield
        return
    tees = [_Tee(stream, wanted) for stream in before]
    sys.stdout, sys.stderr = tees
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for tee in tees:
            tee.close_others()
