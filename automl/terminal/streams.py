"""The streams of a command: they may be closed, or have an encoding that lacks characters of our tables."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from automl.terminal.printable import printable

_STAND_INS = str.maketrans(
    {
        **dict.fromkeys("─━", "-"),
        **dict.fromkeys("▁▂▃", "_"),
        **dict.fromkeys("▄▅▆", "-"),
        **dict.fromkeys("▇█", "^"),
        **{
            "✓": "+",
            "✗": "x",
            "●": "*",
            "○": "o",
            "▲": "^",
            "▼": "v",
            "·": ".",
            "…": "...",
            "→": "->",
            "×": "x",
        },
    }
)
_HANDLER = "automl-stand-ins"


def prepare_streams() -> None:
    """Make stdout and stderr of this process safe to write to: any text, and also where they are closed.

    A closed stderr is the null device. Writing to a closed stdout raises OSError.
    """
    _open_closed_numbers()
    codecs.register_error(_HANDLER, _replace)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None and name == "stdout":
            setattr(sys, name, _Closed())
        elif stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  # it stays open
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


class _Closed(io.TextIOBase):
    """A stdout that the caller has closed: results that are written to it would be lost without a word."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Raises OSError, as a stream on a closed number does."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def writable(self) -> bool:
        return True


class UntilBroken:
    """A stream whose reader may go, or whose disk may fill, while work goes on: from then on it takes text silently."""

    def __init__(self, stream: TextIO | io.TextIOBase) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> int:
        """Write the text, or nothing where the stream can take none; return its length."""
        if not self._broken:
            try:
                self._stream.write(text)
            except (OSError, ValueError):  # ValueError: the stream is closed
                self._broken = True
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if the stream can still take it."""
        if not self._broken:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._broken = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def discard_output() -> None:
    """Send what is left in stdout nowhere, because it cannot be written: Python would try again at exit."""
    with suppress(OSError, ValueError):  # not a stream with a number
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def takes_symbols(encoding: str | None) -> bool:
    """Return whether a stream with this encoding can show the symbols of our tables and views."""
    try:
        "─✓▁".encode(encoding or "ascii")
    except (LookupError, UnicodeError):
        return False
    return True


def _open_closed_numbers() -> None:
    """Open the null device for standard streams that are closed.

    Otherwise the next file that is opened, such as a database, gets the number of stdout, and whatever a library prints
    ends up in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number
            if opened != number:
                os.close(opened)


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Handle characters that an encoding lacks: a stand-in of ASCII, else a backslash escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = printable(error.object[error.start : error.end]).translate(_STAND_INS)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
