"""Read a table from bytes."""

from __future__ import annotations

import io
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from automl.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")


def read_table(name: str, content: bytes) -> pd.DataFrame:
    """Return the table in a .csv, .tsv, .parquet or .jsonl file, rows numbered from 0.

    The cells of a CSV stay text: a class may be called 007, NA or None. Raises DataError for a damaged file.
    """
    import pandas as pd

    suffix = PurePosixPath(name).suffix.lower()
    try:
        if suffix == ".parquet":
            frame = pd.read_parquet(io.BytesIO(content))
        elif suffix == ".jsonl":
            frame = pd.DataFrame([json.loads(line) for line in content.splitlines() if line.strip()])
        else:
            text = content.decode("utf-8-sig")
            frame = pd.read_csv(
                io.StringIO(text), sep=_separator(text), dtype=str, keep_default_na=False, index_col=False
            )
    except ImportError as error:
        raise DataError(
            f"{name!r} needs the package pyarrow to be read: install it, or save it as CSV"
        ) from error
    except (ValueError, OSError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"a manifest must be a readable table, but {name!r} is not ({reason}): save it again"
        ) from error
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame


def _separator(text: str) -> str:
    """Return the comma, unless the first line has only semicolons or tabs."""
    head = text.split("\n", 1)[0]
    return next((mark for mark in (",", ";", "\t") if mark in head), ",")
