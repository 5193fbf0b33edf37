"""Tables of unknown origin: damaged, endless, or larger in memory than on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from automl.data.sources import open_source
from automl.data.sources.files.tables.read_table import read_table
from automl.errors import DataError
from tests.data.sources.files.test_manifest import _rows, _write, root

__all__ = ["root"]  # a fixture


def _sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet"])
def test_table_of_a_terabyte_is_refused_before_it_is_read(root: Path, name: str) -> None:
    with pytest.raises(DataError, match="a manifest must be readable, but .* is not .too large: 1.0 TB"):
        open_source(_sparse(root / name, 10**12))


def test_image_of_a_terabyte_is_named(root: Path) -> None:
    _sparse(root / "huge.png", 10**12)
    source = open_source(_write(root / "x.csv", _rows("image,label", "a", "b") + "huge.png,a\n"))
    with pytest.raises(DataError, match=r"huge.png: cannot be read \(too large: 1.0 TB, at most 536.9 MB\)"):
        source.load(2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.jsonl", '{"image": "a.png", "label": ' + "9" * 5000 + "}\n"),
        ("x.jsonl", '{"image": "a.png", "label": ' + "[" * 500 + "]" * 500 + "}\n"),
        ("x.jsonl", "".join(f'{{"c{i}": 1}}\n' for i in range(9000))),
        ("x.csv", "a" + "," * 9000 + "\n" + "1\n" * 9000),
    ],
)
def test_table_that_would_fill_the_memory_is_refused(root: Path, name: str, text: str) -> None:
    with pytest.raises(DataError, match="must be a readable table"):
        open_source(_write(root / name, text))


def test_parquet_that_unpacks_to_far_more_than_its_size_is_refused(root: Path) -> None:
    columns = {name: pyarrow.array(np.zeros(40_000_000, dtype=np.int8)) for name in ("image", "label")}
    pyarrow.parquet.write_table(pyarrow.table(columns), root / "x.parquet")
    assert (root / "x.parquet").stat().st_size < 2**20
    with pytest.raises(DataError, match="40,000,000 rows of 2 columns do not fit into memory"):
        open_source(root / "x.parquet")


def test_damaged_parquet_is_refused(root: Path) -> None:
    pd.DataFrame({"image": ["a.png", "b.png"], "label": ["a", "b"]}).to_parquet(root / "x.parquet")
    whole = (root / "x.parquet").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 3):
            data[place] ^= 1 << int(rng.integers(0, 8))
        (root / "x.parquet").write_bytes(data)
        try:
            open_source(root / "x.parquet").close()
        except DataError:
            refused += 1
    assert refused > 5


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (("1", "2"), "int"),
        (("001", "2"), "text"),
        (("1", "x"), "text"),
        (("-3", "0"), "int"),
        (("1.0", "2"), "text"),
    ],
)
def test_labels_of_a_csv_are_whole_numbers_if_they_are_written_as_such(
    root: Path, labels: tuple[str, str], kind: str
) -> None:
    source = open_source(_write(root / "x.csv", _rows("image,label", *labels)))
    assert source.label_type == kind
    assert set(source.classes) == set(labels) or labels == ("1.0", "2")
    as_json = "".join(f'{{"image": "pics/{i}.png", "label": "{label}"}}\n' for i, label in enumerate(labels))
    assert open_source(_write(root / "x.jsonl", as_json)).label_type == "text"


def test_parquet_with_text_that_is_not_utf8_is_refused(root: Path) -> None:
    pd.DataFrame({"image": ["pics/0.png", "pics/1.png"], "label": ["cat", "dog"]}).to_parquet(
        root / "x.parquet", compression=None
    )
    data = (root / "x.parquet").read_bytes()
    (root / "x.parquet").write_bytes(data.replace(b"dog", b"d\xffg", 1))
    with pytest.raises(DataError, match="must be a readable table"):
        open_source(root / "x.parquet")


def test_endless_table_in_a_folder_is_named(root: Path) -> None:
    (root / "a").mkdir()
    _sparse(root / "labels.csv", 10**12)
    with pytest.raises(DataError, match=r"the table 'labels.csv' in .* cannot be read \(too large: 1.0 TB"):
        open_source(root)


def test_cells_beyond_the_header_are_not_dropped(root: Path) -> None:
    rows = "image,label\npics/0.png,['cat', 'dog']\npics/1.png,cat\n"
    with pytest.raises(DataError, match="must be a readable table"):
        open_source(_write(root / "x.csv", rows))


def test_table_with_absurdly_many_columns_is_refused_at_once(root: Path) -> None:
    header = ",".join(["image", "label", *(f"c{i}" for i in range(200_000))])
    with pytest.raises(DataError, match="200,002 columns are too many"):
        open_source(_write(root / "x.csv", f"{header}\npics/0.png,cat{',' * 200_000}\n"))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "# made by hand\n# 2024\nimage,label\npics/0.png,a\npics/1.png,b\n",
            "2 lines of comments in x.csv left out",
        ),
        ("#image,label\npics/0.png,a\npics/1.png,b\n", ""),
        ("image,label\npics/0.png,a\n# half way\npics/1.png,b\n", "1 line of comments in x.csv left out"),
        ("sep=;\nimage;label\npics/0.png;a\npics/1.png;b\n", ""),
        ('"sep=,"\r\nimage,label\r\npics/0.png,a\r\npics/1.png,b\r\n', ""),
        ("\n\nimage,label\npics/0.png,a\npics/1.png,b\n", ""),
    ],
)
def test_what_programs_write_around_a_table_is_no_row(root: Path, text: str, note: str) -> None:
    source = open_source(_write(root / "x.csv", text))
    assert (source.files, source.classes) == (["pics/0.png", "pics/1.png"], ("a", "b"))
    assert any(note in said for said in source.notes)


def test_label_that_begins_with_a_hash_stays(root: Path) -> None:
    source = open_source(_write(root / "x.csv", "label,image\n#1,pics/0.png\n#2,pics/1.png\n"))
    assert source.classes == ("#1", "#2")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read_with_and_without_its_mark(root: Path, encoding: str) -> None:
    (root / "x.csv").write_bytes(_rows("image,label", "a", "b").encode(encoding))
    source = open_source(root / "x.csv")
    assert source.classes == ("a", "b")
    assert any("was read as UTF-16" in note for note in source.notes)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "x.csv",
            b"image,label\npics/0.png,a\npics/1.png,b,c\n",
            "its line 3 has 3 cells, and its first line 2",
        ),
        ("x.csv", b'image,label\n"pics/0.png,a\n', "a quotation mark is not closed"),
        ("x.csv", b"", "'x.csv' is empty"),
        ("x.csv", b"\n\n", "'x.csv' is empty"),
        ("x.csv", b"ima\0ge,label\npics/0.png,a\n", "holds bytes of zero"),
        ("x.csv", b"sep=^\nimage^label\n", "not by '.', which 'x.csv' names"),
        ("x.jsonl", b"", "'x.jsonl' is empty: write one JSON object a line"),
        (
            "x.jsonl",
            b'{"image": "pics/0.png", "label": "a"}\n["pics/1.png", "b"]\n',
            "but line 2 holds a list",
        ),
        ("x.jsonl", b'["pics/1.png", "b"]\n', "holds a text"),
        ("x.jsonl", b'{"image": "pics/0.png", "label": "a"}\n\n5\n', "but line 3 holds a number"),
        ("x.jsonl", b'{"image": "pics/0.png"}\n{"image": \n', "line 2: "),
    ],
)
def test_damage_is_told_in_own_words(root: Path, name: str, content: bytes, said: str) -> None:
    (root / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        open_source(root / name)
    assert "Error tokenizing" not in str(caught.value)


def test_list_of_json_objects_is_read(root: Path) -> None:
    rows = '[{"image": "pics/0.png", "label": "a"},\n {"image": "pics/1.png", "label": "b"}]'
    assert open_source(_write(root / "x.jsonl", rows.replace("\n", ""))).classes == ("a", "b")
    assert open_source(_write(root / "y.jsonl", rows.replace("[", "[\n"))).classes == ("a", "b")


def test_cells_may_be_separated_by_spaces_where_nothing_else_does(root: Path) -> None:
    text = "image  label\npics/0.png a\npics/1.png   b\n"
    source = open_source(_write(root / "x.csv", text))
    assert (source.files, source.classes) == (["pics/0.png", "pics/1.png"], ("a", "b"))
    assert "Cells of x.csv are separated by spaces." in source.notes
    uneven = _write(root / "y.csv", "image label\npics/0.png a\nmy pics/1.png b\n")
    with pytest.raises(DataError, match="separated by commas, .* has none of these \\('image label'\\)"):
        open_source(uneven)
    frame = read_table("z.csv", b"file name\nmy 0.png\nmy 1.png\n")
    assert list(frame.columns) == ["file name"]
