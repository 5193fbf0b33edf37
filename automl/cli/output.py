"""What commands print: JSON for scripts, tables for people."""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_MIN_WIDTH = 24


def print_json(value: Any) -> None:
    """Print one JSON document; NaN and infinities become null."""
    json.dump(_plain(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table of texts; `right` names the columns that are aligned to the right.

    In a terminal the last column is wrapped into the remaining width, or onto lines of its own if that is too
    narrow. In a file or pipe, lines are as long as they need to be.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table_lines(columns, rows, right=right, width=width):
        print(line)


def table_lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    width: int | None = None,
) -> list[str]:
    """Return the lines of a table for a terminal of `width` characters, or without a limit."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]

    def padded(cells: Sequence[str]) -> str:
        kept = zip(columns, cells, widths[:-1], strict=False)
        return "  ".join(cell.rjust(size) if name in right else cell.ljust(size) for name, cell, size in kept)

    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)
    room = max(widths[-1], 1) if width is None else width - indent
    below = room < min(_MIN_WIDTH, widths[-1])
    if below and width is not None:
        indent, room = 4, max(width - 4, _MIN_WIDTH)
    lines = []
    for cells in (columns, *rows):
        last = cells[-1].rjust(widths[-1]) if columns[-1] in right else cells[-1]
        folded = [last]
        if len(last) > room:  # wrapping is slow, and thousands of rows may fit as they are
            folded = textwrap.wrap(last, room, drop_whitespace=columns[-1] not in right) or [""]
        first = [padded(cells)] if below else [f"{padded(cells)}  {folded.pop(0)}"]
        lines += [line.rstrip() for line in first + [" " * indent + part for part in folded]]
    rule = "─" * min(max(map(len, lines)), width or 10**6)
    header = 1 if not below else 1 + len(textwrap.wrap(columns[-1], room))
    return [*lines[:header], rule, *lines[header:]]


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
