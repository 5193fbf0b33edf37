"""Tables and JSON on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from automl.cli.output import print_json, table_lines

COLUMNS = ("rank", "state", "configuration")
ROWS = [("1", "complete", "resnet10t, adamw, lr 0.0040, batch 64"), ("12", "pruned", "vit")]


def test_table_is_as_wide_as_needed_without_a_terminal() -> None:
    assert table_lines(COLUMNS, ROWS, right=("rank",)) == [
        "rank  state     configuration",
        "─" * 53,
        "   1  complete  resnet10t, adamw, lr 0.0040, batch 64",
        "  12  pruned    vit",
    ]


def test_last_column_folds_at_words_into_a_terminal() -> None:
    lines = table_lines(COLUMNS, ROWS, right=("rank",), width=42)
    assert lines[2:4] == ["   1  complete  resnet10t, adamw, lr", "                0.0040, batch 64"]
    assert max(map(len, lines)) <= 42


def test_last_column_goes_below_where_there_is_no_room() -> None:
    lines = table_lines(COLUMNS, ROWS, width=30)
    assert lines[:2] == ["rank  state", "    configuration"]
    assert lines[3:6] == ["1     complete", "    resnet10t, adamw, lr", "    0.0040, batch 64"]


def test_numbers_in_the_last_column_are_aligned() -> None:
    assert table_lines(("a", "time"), [("x", "9s"), ("y", "10m")], right=("time",))[2:] == [
        "x    9s",
        "y   10m",
    ]


def test_table_without_rows_is_its_header() -> None:
    assert table_lines(("a", "b"), []) == ["a  b", "────"]


def test_json_holds_what_json_can(capsys: pytest.CaptureFixture[str]) -> None:
    value = {
        "a": float("nan"),
        "b": np.float32(0.5),
        "c": (1, None, True),
        "d": Path("x"),
        "e": np.int64(3),
        4: "ü",
    }
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": None, "b": 0.5, "c": [1, None, True], "d": "x", "e": 3, "4": "ü"}
    assert "ü" in out
