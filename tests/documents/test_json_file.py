"""JSON of unknown origin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from automl.documents.json_file import parse_json, read_json, read_object


def test_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, "\u00fc", null, true], "b": -12345678901234567890}')
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, "ü", None, True], "b": -12345678901234567890}
    assert parse_json(b'{"a": NaN}').keys() == {"a"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 900 + "]" * 900, "nested too deeply"),
        ('{"a":' * 80 + "1" + "}" * 80, "nested too deeply"),
        ("9" * 5000, "a number of 5,000 digits"),
        ("[1, ", "Expecting value"),
        ("", "Expecting value"),
        ("\0", "Expecting value"),
    ],
)
def test_json_that_is_deep_long_or_broken_is_a_value_error(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_json(tmp_path / "a.json")


def test_many_shallow_brackets_are_read() -> None:
    assert len(parse_json("[" + "[1]," * 10_000 + "[1]]")) == 10_001


def test_bytes_that_are_not_utf8_are_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'"\xff"')
    with pytest.raises(ValueError, match="utf-8"):
        read_json(tmp_path / "a.json")


def test_what_has_no_end_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path / "folder"):
        with pytest.raises(ValueError, match="not a file"):
            read_json(path)


def test_sparse_file_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(ValueError, match="too large: 1.0 TB, at most 67.1 MB"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("text", [None, "", "[1]", "3", "{", '{"a": ' + "9" * 50 + "}"])
def test_object_that_is_none_or_damaged_is_an_empty_one(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    assert read_object(tmp_path / "a.json") == {}
    (tmp_path / "b.json").write_text('{"a": 1}')
    assert read_object(tmp_path / "b.json") == {"a": 1}
