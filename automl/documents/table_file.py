"""Read tables (CSV) that anybody may have written, line by line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from automl.documents.bounded_file import open_file

MOST_BYTES = 4 * 2**30
_LONGEST_LINE = 2**20  # characters: what is longer is no table, such as a sparse file


@contextmanager
def table_lines(path: Path) -> Iterator[Iterator[str]]:
    """Open a table in this block and give its lines, with their ends, as the csv module takes them.

    Raises OSError if it cannot be read, and ValueError if it is no file (a named pipe has no end), is too large, has a
    line of more than a million characters, or is not in UTF-8.
    """
    with os.fdopen(open_file(path, MOST_BYTES), encoding="utf-8", newline="") as file:
        yield iter(partial(_line, file), "")


def _line(file: TextIO) -> str:
    line = file.readline(_LONGEST_LINE)
    if len(line) == _LONGEST_LINE:
        raise ValueError(f"a line of more than {_LONGEST_LINE:,} characters")
    return line
