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

_LEAST_ROOM = 24


def print_json(value: Any) -> None:
    """One JSON document on stdout; what JSON cannot hold (NaN, infinities) becomes null."""
    json.dump(_plain(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table of texts on stdout; `right` names the columns that are aligned to the right.

    In a terminal the last column is folded into the width that is left, or stands on lines of its own where
    that is too little. Elsewhere lines are as long as they need to be, so that nothing is cut in a file.
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
    """The lines of `print_table` for a terminal of `width` characters, or without a limit."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]

    def padded(cells: Sequence[str]) -> str:
        kept = zip(columns, cells, widths[:-1], strict=False)
        return "  ".join(cell.rjust(size) if name in right else cell.ljust(size) for name, cell, size in kept)

    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)
    room = max(widths[-1], 1) if width is None else width - indent
    below = room < min(_LEAST_ROOM, widths[-1])
    if below and width is not None:
        indent, room = 4, max(width - 4, _LEAST_ROOM)
    lines = []
    for cells in (columns, *rows):
        last = cells[-1].rjust(widths[-1]) if columns[-1] in right else cells[-1]
        folded = [last]
        if len(last) > room:  # thousands of rows that fit are not taken apart
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
    # numpy scalars know how to become Python's
    return _plain(value.item()) if hasattr(value, "item") else str(value)
