"""What commands print: JSON for scripts, texts and tables for people."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from automl.errors import OutputError, ReaderGoneError
from automl.terminal.printable import json_safe, printable, printable_lines, short, short_words
from automl.terminal.wrapping import LEAST_WIDTH, wrapped

_WIDE_ENOUGH = 48  # a narrower last column with more than two lines reads badly
_BELOW = 4  # indentation of what does not fit beside the other columns
_LONGEST = 10_000  # characters of a cell where nothing limits the width


def say(text: str = "", *, flush: bool = False) -> None:
    """Print lines on stdout. Control characters are shown escaped: names of files and classes may hold some.

    Raises OutputError if stdout cannot be written: ReaderGoneError if its reader has gone.
    """
    _write(printable_lines(text) + "\n", flush=flush)


def complain(text: str) -> None:
    """Print a line on stderr, with control characters escaped. Nothing happens if stderr cannot be written."""
    with suppress(OSError, ValueError):
        print(printable(short_words(text)), file=sys.stderr, flush=True)


def say_wrapped(text: str, *, indent: int = 0) -> None:
    """Print a paragraph. In a terminal it is wrapped at words, with further lines indented."""
    for line in wrapped(text, terminal_width(), indent=indent):
        say(line)


def print_json(value: Any) -> None:
    """Print one JSON document; NaN and infinities become null."""
    document = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    try:
        document = json_safe(document)
        document.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        document = json.dumps(_plain(value), indent=2, allow_nan=False)
    _write(document + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table of texts; `right` names the columns that are aligned to the right.

    In a terminal it keeps to the width (see `table_lines`). In a file or pipe, lines are as long as they need to be.
    """
    for line in table_lines(columns, rows, right=right, width=terminal_width()):
        say(line)


def terminal_width() -> int | None:
    """Return the characters in a line of the terminal; None where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table_lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    width: int | None = None,
) -> list[str]:
    """Return the lines of a table for a terminal of `width` characters, or without a limit.

    The last column is wrapped into the room that is left. If that is narrow, it goes onto lines of its own below the
    others. If these do not fit, as many of them as needed go there, too, each with its name. In a terminal, names of
    hundreds of characters are cut, without a limit those of tens of thousands: all rows are as long.
    """
    columns, *rows = (_shown(cells, cut=width is not None) for cells in (columns, *rows))
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    beside = _beside(widths, width)
    if beside < len(columns) - 1 and width is not None:
        return _with_notes(columns, rows, right, widths[:beside], width)
    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)
    room = max(widths[-1], 1) if width is None else width - indent
    below = _is_narrow([cells[-1] for cells in rows], room, widths[-1])
    if below and width is not None:
        indent, room = _BELOW, max(width - _BELOW, LEAST_WIDTH)
    lines = []
    for cells in (columns, *rows):
        start = _padded(columns, cells, right, widths[:-1])
        last = cells[-1].rjust(widths[-1]) if columns[-1] in right else cells[-1]
        folded = [last]
        if len(last) > room:  # wrapping is slow, and thousands of rows may fit as they are
            folded = textwrap.wrap(last, room, drop_whitespace=columns[-1] not in right) or [""]
        first = [start] if below else [f"{start}  {folded.pop(0)}" if len(columns) > 1 else folded.pop(0)]
        lines += [line.rstrip() for line in first + [" " * indent + part for part in folded]]
    rule = "─" * min(max(map(len, lines)), width or 10**6)
    header = 1 if not below else 1 + len(textwrap.wrap(columns[-1], room))
    return [*lines[:header], rule, *lines[header:]]


def _shown(cells: Sequence[str], *, cut: bool) -> list[str]:
    if not cut and max(map(len, cells)) <= _LONGEST:
        return list(map(printable, cells))
    return [*(printable(short(cell)) for cell in cells[:-1]), printable(short_words(cells[-1]))]


def _beside(widths: Sequence[int], width: int | None) -> int:
    """Return how many of the first columns fit beside each other, all but the last if possible, and at least one."""
    most = len(widths) - 1
    if width is None:
        return most
    while most > 1 and sum(widths[:most]) + 2 * (most - 1) > width:
        most -= 1
    return most


def _is_narrow(cells: Sequence[str], room: int, widest: int) -> bool:
    """Return whether a column of `room` characters is so narrow that its words would form stairs."""
    if room < min(LEAST_WIDTH, widest):
        return True
    return room < _WIDE_ENOUGH and any(len(cell) > 2 * room for cell in cells)


def _with_notes(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[str],
    widths: Sequence[int],
    width: int,
) -> list[str]:
    """Return a table whose last columns are below each row, as `name value`. The header has the others."""
    beside = len(widths)
    lines = [_padded(columns, columns, right, widths).rstrip()]
    lines.append("─" * min(width, sum(widths) + 2 * (beside - 1)))
    for cells in rows:
        lines.append(_padded(columns, cells, right, widths).rstrip())
        below = zip(columns[beside:], cells[beside:], strict=True)
        said = "; ".join(f"{name} {cell}" for name, cell in below if cell not in ("", "-"))
        edge = " " * _BELOW
        lines += textwrap.wrap(
            said, width, initial_indent=edge, subsequent_indent=edge, break_on_hyphens=False
        )
    return lines


def _padded(columns: Sequence[str], cells: Sequence[str], right: Sequence[str], widths: Sequence[int]) -> str:
    """Return the first cells of a row, as many as there are widths."""
    kept = zip(columns, cells, widths, strict=False)
    return "  ".join(cell.rjust(size) if name in right else cell.ljust(size) for name, cell, size in kept)


def _write(text: str, *, flush: bool = False) -> None:
    try:
        sys.stdout.write(text)
        if flush:
            sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderGoneError(output_problem(error)) from error
    except OSError as error:
        raise OutputError(output_problem(error)) from error


def output_problem(error: Exception) -> str:
    """Return the message for a stdout that cannot be written."""
    return f"the output cannot be written: {getattr(error, 'strerror', None) or error}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Path):
        return str(value)
    # a numpy scalar
    return _plain(value.item()) if hasattr(value, "item") else str(value)
