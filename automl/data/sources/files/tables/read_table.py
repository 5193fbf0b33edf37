"""Read a table from bytes."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from automl.data.sources.base import counted
from automl.data.sources.files.image_files import IMAGE_SUFFIXES
from automl.data.sources.files.tables.columns import IMAGE_COLUMNS
from automl.data.sources.files.tables.encoding import Names, decoded, utf_16
from automl.data.sources.files.tables.json_table import is_labelled, rows_in
from automl.data.sources.files.tables.list_file import ImageList, is_list, read_list
from automl.documents.json_file import MOST_BYTES as MOST_JSON
from automl.documents.json_file import parse_json
from automl.errors import DataError, reason_of
from automl.machine import free_memory

if TYPE_CHECKING:
    import pandas as pd

# Files of these endings are tables if their content is one.
LISTS = (".txt", ".lst")
BY_CONTENT = (".json", *LISTS)
SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", *BY_CONTENT)
UNTYPED = (".csv", ".tsv", *LISTS)  # their cells are text, whatever they mean
# In `DataFrame.attrs`: a sentence about how the table was read.
NOTE = "note"
_SEPARATORS = (",", ";", "\t", "|")
_SEP = re.compile(r"\"?sep=(.)\"?", re.IGNORECASE)
_FIELDS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")
_KINDS = {list: "a list", str: "a text", type(None): "null", bool: "true or false"}
# Text takes up to ten times its size in memory, JSON thirty, Parquet three times what it unpacks to.
_MOST_TEXT, _TIMES_TEXT, _TIMES_PARQUET, _TIMES_JSON = 2**30, 10, 3, 30
_HEAD = 2**16  # bytes of a text that decide whether it is a list
_BOM = b"\xef\xbb\xbf"
JSON_HINT = (
    'give each image with its label, as {"1.jpg": "cat"}, [{"image": "1.jpg", "label": "cat"}] or COCO, or write a '
    "table with the columns image and label, as CSV or JSON lines (.jsonl)"
)
_MOST_COLUMNS = 20_000  # pandas takes a millisecond for each
_MOST_CELLS, _BYTES_PER_CELL = 2**26, 8
# A Parquet file that unpacks to more than a hundred times its size was made to fill the memory.
_MOST_GROWTH, _ALWAYS_ALLOWED = 100, 2**28


def most_bytes(name: str) -> int:
    """Return the size in bytes up to which a table of this name is read: what can be held in memory."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".json":
        return min(MOST_JSON, free_memory() // _TIMES_JSON)
    parquet = suffix == ".parquet"
    return free_memory() // _TIMES_PARQUET if parquet else min(_MOST_TEXT, free_memory() // _TIMES_TEXT)


def holds_images(name: str, content: bytes, *, labelled: bool) -> bool:
    """Return whether the content of a file whose ending is in `BY_CONTENT` lists images; `labelled`: with labels."""
    try:
        if PurePosixPath(name).suffix.lower() == ".json":
            rows = rows_in(parse_json(content.removeprefix(_BOM)), [])
            return rows is not None and (not labelled or is_labelled(rows))
        return is_list(_head(content), labelled=labelled)
    except (ValueError, TypeError, AttributeError):
        return False


def _head(content: bytes) -> str:
    """Return the first lines of a text in any encoding, of which only ASCII counts."""
    start = content[:_HEAD]
    wide = utf_16(start)
    text = start.decode("utf-8", "replace") if wide is None else wide
    return text if len(content) <= _HEAD else text.rpartition("\n")[0]


def read_table(name: str, content: bytes, names: Names | None = None) -> pd.DataFrame:
    """Return the table in a file with an ending of `SUFFIXES`, rows numbered from 0.

    The cells of a CSV stay text: a class may be called 007, NA or None. Its columns are separated by commas,
    semicolons, tabs or "|", or, where there are none of these, by spaces. `encoding` says how text that is not UTF-8 is
    read; `names` returns the paths of files that may be in the table. `list_file` says which text files are lists, and
    `json_table` which JSON is a table. `attrs[NOTE]` says what was assumed. Numbers of classes whose names are in the
    schema of a Parquet file become these names. Raises DataError for a damaged file, for one that would take far more
    memory than its size, and for a CSV whose first line names no columns.
    """
    note: list[str] = []
    try:
        frame = _frame(name, content, note, names).reset_index(drop=True)
        frame.columns = [str(column).strip() for column in frame.columns]
    except DataError:
        raise
    except ImportError as error:
        raise DataError(
            f"{name!r} needs the package pyarrow to be read: install it, or save it as CSV"
        ) from error
    except Exception as error:  # pandas and pyarrow raise nearly anything on bad bytes
        raise DataError(
            f"a manifest must be a readable table, but {name!r} is not ({reason_of(error)}): save it again"
        ) from error
    frame.attrs = {NOTE: " ".join(note)} if note else {}
    return frame


def _frame(name: str, content: bytes, note: list[str], names: Names | None) -> pd.DataFrame:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(content)
    if suffix == ".jsonl":
        return _read_json_lines(name, content)
    if suffix == ".json":
        return _read_json(name, content, note)
    text = decoded(name, content, note, names)
    found = read_list(text) if suffix in BY_CONTENT else None
    if found is not None:
        return _read_list(name, found, note)
    frame = _read_text(name, _without_preamble(name, text, note), note)
    _require_header(name, [str(column) for column in frame.columns])
    return frame


def _read_list(name: str, found: ImageList, note: list[str]) -> pd.DataFrame:
    import pandas as pd

    _require_few_cells(len(found.rows), len(found.columns))
    if len(found.columns) > 1:
        note.append(f"{name} was read as a list of images, with cells separated by {found.separator}.")
    return pd.DataFrame(found.rows, columns=found.columns, dtype=str)


def _read_json(name: str, content: bytes, note: list[str]) -> pd.DataFrame:
    """Return the rows of JSON. Raises DataError for JSON that is no table of images, and ValueError for none."""
    import pandas as pd

    rows = rows_in(parse_json(content.removeprefix(_BOM)), note, name)
    if rows is None:
        raise DataError(f"a manifest must list images, but {name!r} does not: {JSON_HINT}")
    _require_few_cells(len(rows), len(set().union(*(row.keys() for row in rows))))
    return pd.DataFrame(rows)


def _read_text(name: str, text: str, note: list[str]) -> pd.DataFrame:
    import pandas as pd

    separator = _separator(text)
    if _has_spaces_for_separators(text):
        separator = r"\s+"
        note.append(f"Cells of {name} are separated by spaces.")
    _require_few_cells(text.count("\n") + 1, text.split("\n", 1)[0].count(separator) + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # else cells beyond the header are dropped
        try:
            return pd.read_csv(
                io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False
            )
        except (ValueError, pd.errors.ParserWarning) as error:  # pandas' own words do not say what to do
            raise DataError(_unreadable(name, str(error), separator)) from error


def _unreadable(name: str, said: str, separator: str) -> str:
    """Return what is wrong with a CSV that pandas refuses."""
    if "No columns" in said:
        return (
            f"a manifest must be a readable table, but {name!r} is empty: add the line image,label and rows"
        )
    if found := _FIELDS.search(said):
        what = f"its line {found[2]} has {found[3]} cells, and its first line {found[1]}"
    elif "inside string" in said:
        what = "a quotation mark is not closed"
    elif "Length of header" in said:
        what = "a line has more cells than the first line"
    else:
        what = " ".join(said.split())[:80]
    return (
        f"a manifest must be a readable table, but {name!r} is not ({what}): cells are separated by {separator!r}, "
        "and one that holds it must be in quotation marks"
    )


def _read_json_lines(name: str, content: bytes) -> pd.DataFrame:
    """Return the rows of JSON objects, one a line or all in one list. Raises DataError and ValueError."""
    import pandas as pd

    content = content.removeprefix(b"\xef\xbb\xbf")
    lines = [(k, line) for k, line in enumerate(content.splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"a manifest must have rows, but {name!r} is empty: write one JSON object a line")
    if lines[0][1].strip() == b"[":
        rows = parse_json(content)
    else:
        rows = [_parsed(k, line) for k, line in lines]
        rows = rows[0] if len(rows) == 1 and isinstance(rows[0], list) else rows
    numbers = [k for k, _ in lines] if len(rows) == len(lines) else range(1, len(rows) + 1)
    for k, row in zip(numbers, rows, strict=True):
        if not isinstance(row, dict):
            raise DataError(
                f'each line of {name!r} must be a JSON object such as {{"image": "1.png", "label": "cat"}}, but line '
                f"{k} holds {_KINDS.get(type(row), 'a number')}: write the names of the columns in each line"
            )
    columns = set().union(*(row.keys() for row in rows))
    _require_few_cells(len(rows), len(columns))
    return pd.DataFrame(rows)


def _parsed(k: int, line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError as error:
        raise ValueError(f"line {k}: {error}") from error


def _require_few_cells(rows: int, columns: int) -> None:
    """Raise ValueError for a table that takes far more memory than its file, as most of its cells are missing."""
    if rows * columns > _MOST_CELLS or columns > _MOST_COLUMNS:
        raise ValueError(f"{rows:,} rows of {columns:,} columns are too many")


def _without_preamble(name: str, text: str, note: list[str]) -> str:
    """Return a CSV without what some programs write above or between its rows, and add notes.

    These are empty lines, `sep=;` of Excel, which is put into the first line as it is, and comments: lines that begin
    with # and have fewer cells than the header. A # before the header itself is removed.
    """
    text = text.lstrip("\r\n")
    if "\n#" not in text and not text.startswith("#") and not _SEP.match(text):
        return text
    lines = text.splitlines(keepends=True)
    if lines and (asked := _SEP.fullmatch(lines[0].rstrip("\r\n"))):
        lines = lines[1:]
        if lines and asked[1] not in _SEPARATORS:
            raise DataError(
                f"the cells of a manifest must be separated by a comma, semicolon, tab or |, not by {asked[1]!r}, "
                f"which {name!r} names: save it again"
            )
    if not any(line.startswith("#") for line in lines):
        return "".join(lines)
    header = next((k for k, line in enumerate(lines) if line.strip() and not _is_comment(lines, k)), 0)
    most = _cells(lines[header]) if lines else 0
    kept = [
        line
        for k, line in enumerate(lines)
        if k >= header and not (line.startswith("#") and _cells(line) < most)
    ]
    if kept:
        kept[0] = kept[0].lstrip("# ")
    if len(kept) < len(lines):
        note.append(f"{counted(len(lines) - len(kept), 'line')} of comments in {name} left out.")
    return "".join(kept)


def _is_comment(lines: list[str], k: int) -> bool:
    """Return whether a line is a comment; a header with # has as many cells as the line below, which has none."""
    if not lines[k].startswith("#"):
        return False
    after = next((line for line in lines[k + 1 :] if line.strip()), "")
    return after.startswith("#") or _cells(lines[k]) < 2 or _cells(lines[k]) != _cells(after)


def _cells(line: str) -> int:
    return 1 + max(map(line.count, _SEPARATORS))


def _separator(text: str) -> str:
    """Return the most frequent of comma, semicolon, tab and "|" in the first line; the comma if there is none."""
    head = text.split("\n", 1)[0]
    return max(_SEPARATORS, key=head.count)


def _has_spaces_for_separators(text: str) -> bool:
    """Return whether the words of the first line are columns: it has no separator, and each row as many words."""
    lines = text.split("\n")
    words = lines[0].split()
    if len(words) < 2 or any(mark in lines[0] for mark in (*_SEPARATORS, '"')):
        return False
    if "".join(words).lower() in IMAGE_COLUMNS:  # one column, called file name
        return False
    rows = [len(line.split()) for line in lines[1:] if line.strip()]
    return bool(rows) and all(n == len(words) for n in rows)


def _require_header(name: str, columns: list[str]) -> None:
    """Raise DataError if the first line names a file, so it is a row."""
    if any(PurePosixPath(column.strip()).suffix.lower() in IMAGE_SUFFIXES for column in columns):
        raise DataError(
            f"the first line of {name!r} must name the columns, but it is a row ({', '.join(columns[:4])}): add a line "
            "such as image,label above it"
        )


def _read_parquet(content: bytes) -> pd.DataFrame:
    """Return the table, with the names of classes that Hugging Face's library has written into its schema."""
    import pyarrow.parquet

    about = pyarrow.parquet.read_metadata(io.BytesIO(content))
    unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    most = min(free_memory() // _TIMES_PARQUET, max(_ALWAYS_ALLOWED, _MOST_GROWTH * len(content)))
    if max(unpacked, _BYTES_PER_CELL * about.num_rows * about.num_columns) > most:
        raise ValueError(f"{about.num_rows:,} rows of {about.num_columns:,} columns do not fit into memory")
    table = pyarrow.parquet.read_table(io.BytesIO(content))
    table.validate(full=True)  # text that is not UTF-8 and offsets that lead out of the columns
    frame: pd.DataFrame = table.to_pandas()
    metadata = pyarrow.parquet.read_schema(io.BytesIO(content)).metadata or {}
    for column, names in _class_names(metadata.get(b"huggingface", b"{}")).items():
        if column in frame.columns:
            frame[column] = [_named(cell, names) for cell in frame[column].tolist()]
    return frame


def _class_names(metadata: bytes) -> dict[str, list[str]]:
    """Return the names of the classes of each column; empty where the schema has none, or is unknown."""
    try:
        features = parse_json(metadata)["info"]["features"].items()
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
