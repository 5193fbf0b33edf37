"""Reading tables that anybody may have written."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import pytest

from automl.documents.table_file import table_lines


def test_lines_are_those_of_the_file_with_their_ends(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_bytes('file,label\r\n"a\nb",é\n'.encode())
    with table_lines(table) as lines:
        assert list(csv.DictReader(lines)) == [{"file": "a\nb", "label": "é"}]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
def test_named_pipe_and_device_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", Path("/dev/zero")):
        with pytest.raises(ValueError, match="not a file"), table_lines(path):
            pass


def test_sparse_file_and_endless_line_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.touch()
    os.truncate(table, 2**40)
    with pytest.raises(ValueError, match=r"too large: 1\.1 TB"), table_lines(table):
        pass
    os.truncate(table, 2**21)
    with (
        pytest.raises(ValueError, match="a line of more than 1,048,576 characters"),
        table_lines(table) as lines,
    ):
        next(lines)
