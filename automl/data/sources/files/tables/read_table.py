"""Read a table from bytes."""

from __future__ import annotations

import io
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from automl.data.sources.files.layout import IMAGE_SUFFIXES
from automl.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
# In `DataFrame.attrs`: a sentence about how the table was read.
NOTE = "note"
_SEPARATORS = (",", ";", "\t", "|")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_table(name: str, content: bytes) -> pd.DataFrame:
    """Return the table in a .csv, .tsv, .parquet or .jsonl file, rows numbered from 0.

    The cells of a CSV stay text: a class may be called 007, NA or None. Its columns are separated by commas,
    semicolons, tabs or "|". Text that is not UTF-8 is read as Windows-1252, of which Latin-1 is a part, and
    `attrs[NOTE]` says so. Numbers of classes whose names are in the schema of a Parquet file become these names. Raises
    DataError for a damaged file, and for a CSV whose first line names no columns.
    """
    import pandas as pd

    suffix = PurePosixPath(name).suffix.lower()
    note = ""
    try:
        if suffix == ".parquet":
            frame = _read_parquet(content)
        elif suffix == ".jsonl":
            frame = pd.DataFrame([json.loads(line) for line in content.splitlines() if line.strip()])
        else:
            text, note = _decoded(name, content)
            frame = pd.read_csv(
                io.StringIO(text), sep=_separator(text), dtype=str, keep_default_na=False, index_col=False
            )
            _require_header(name, [str(column) for column in frame.columns])
    except ImportError as error:
        raise DataError(
            f"{name!r} needs the package pyarrow to be read: install it, or save it as CSV"
        ) from error
    except (ValueError, OSError, RecursionError) as error:  # pandas' and pyarrow's own errors are ValueErrors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"a manifest must be a readable table, but {name!r} is not ({reason}): save it again"
        ) from error
    frame = frame.reset_index(drop=True)
    frame.columns = [str(column).strip() for column in frame.columns]
    frame.attrs = {NOTE: note} if note else {}
    return frame


def _decoded(name: str, content: bytes) -> tuple[str, str]:
    """Return the text of a file, and a note on its encoding, "" for UTF-8. Raises ValueError for binary files."""
    if content.startswith(_UTF_16):
        return content.decode("utf-16"), f"{name} was read as UTF-16."
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        if b"\0" in content:
            raise
    return content.decode("cp1252", "replace"), (
        f"{name} is not UTF-8, and was read as Windows-1252 (Latin-1): save it as UTF-8 if names look wrong."
    )


def _separator(text: str) -> str:
    """Return the most frequent of comma, semicolon, tab and "|" in the first line; the comma if there is none."""
    head = text.split("\n", 1)[0]
    return max(_SEPARATORS, key=head.count)


def _require_header(name: str, columns: list[str]) -> None:
    """Raise DataError if the first line names a file, so it is a row."""
    if any(PurePosixPath(column.strip()).suffix.lower() in IMAGE_SUFFIXES for column in columns):
        raise DataError(
            f"the first line of {name!r} must name the columns, but it is a row ({', '.join(columns[:4])}): add a line "
            "such as image,label above it"
        )


def _read_parquet(content: bytes) -> pd.DataFrame:
    """Return the table, with the names of classes that Hugging Face's library has written into its schema."""
    import pandas as pd
    import pyarrow.parquet

    frame = pd.read_parquet(io.BytesIO(content))
    metadata = pyarrow.parquet.read_schema(io.BytesIO(content)).metadata or {}
    for column, names in _class_names(metadata.get(b"huggingface", b"{}")).items():
        if column in frame.columns:
            frame[column] = [_named(cell, names) for cell in frame[column].tolist()]
    return frame


def _class_names(metadata: bytes) -> dict[str, list[str]]:
    """Return the names of the classes of each column; empty where the schema has none, or is unknown."""
    try:
        features = json.loads(metadata)["info"]["features"].items()
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    found = {}
    for column, feature in features:
        inner = feature.get("feature", feature) if isinstance(feature, dict) else None
        names = inner.get("names") if isinstance(inner, dict) else None
        if isinstance(names, list):
            found[str(column)] = [str(name) for name in names]
    return found


def _named(cell: Any, names: list[str]) -> Any:
    """Return the name of a number, the names of a list of numbers, or None for the number -1 of a missing label."""
    if hasattr(cell, "tolist"):
        cell = cell.tolist()
    if isinstance(cell, list):
        return [_named(part, names) for part in cell]
    whole = isinstance(cell, (int, float)) and cell == cell and cell == int(cell)
    return (names[int(cell)] if 0 <= int(cell) < len(names) else None) if whole else cell
