"""Tables and JSON on stdout."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from automl.cli.output import print_json, print_table, table_lines

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


LEADERBOARD = (
    *("rank", "trial", "state", "val_accuracy", "rounds", "epochs", "seconds"),
    *("kind", "family", "configuration"),
)
TRIAL = (
    "1",
    "7",
    "complete",
    "0.9944",
    "9",
    "27.0",
    "12.3",
    "from scratch",
    "resnet",
    "resnet10t, sgd, lr 0.1, " * 4,
)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_wide_table_keeps_to_the_terminal_and_loses_nothing(width: int) -> None:
    lines = table_lines(LEADERBOARD, [TRIAL, TRIAL], right=("rank", "trial"), width=width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert text.count("from scratch") == 2 and text.count("0.9944") == 2
    assert text.count("resnet10t, sgd, lr 0.1,") == 8


def test_columns_that_do_not_fit_are_below_with_their_names() -> None:
    lines = table_lines(LEADERBOARD, [TRIAL], right=("rank", "trial"), width=80)
    assert lines[0] == "rank  trial  state     val_accuracy  rounds  epochs  seconds  kind"
    assert lines[2] == "   1      7  complete  0.9944        9       27.0    12.3     from scratch"
    assert lines[3].startswith("    family resnet; configuration resnet10t, sgd, lr 0.1,")
    assert len(lines) == 5


def test_last_column_that_would_be_stairs_goes_below() -> None:
    columns, text = ("space", "architectures", "description"), "a sentence of several words " * 4
    lines = table_lines(columns, [("x" * 25, "1", text)], width=80)
    assert lines[3] == f"{'x' * 25}  1"
    assert all(len(line) > 40 for line in lines[4:5])
    assert len(lines) == 6


def test_control_characters_in_cells_are_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("fi\x1ble", "label"), [("a\x1b[31m.jpg", "two\nlines")])
    assert capsys.readouterr().out.splitlines() == [
        r"fi\x1ble       label",
        "─" * 25,
        r"a\x1b[31m.jpg  two\nlines",
    ]
    print_json({"\x1b": "\x9b\u202e\udcff"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"\x1b": "\x9b\u202e\udcff"} and out.isascii()


def test_commands_print_through_one_place() -> None:
    folder = Path(__file__).resolve().parents[2] / "automl" / "cli"
    own = {folder / "output.py", folder / "reference.py"}
    for path in sorted({*folder.rglob("*.py")} - own):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in ("print", "click.echo"), (
                    f"{path.name}: {ast.unparse(node)}"
                )


def test_names_of_thousands_of_characters_do_not_fill_the_terminal() -> None:
    lines = table_lines(("class", "images"), [("x" * 3_000_000, "1"), ("b", "y " * 1_000_000)])
    assert f"{'x' * 100}… (3,000,000 characters)  1" in lines
    assert max(map(len, lines)) < 5300


def test_table_without_a_limit_is_neither_wrapped_nor_cut() -> None:
    long = "class " * 1_000 + "x" * 3_000
    lines = table_lines(("name", "words"), [(long, long), ("a\x1bb", "c")])
    assert len(lines) == 4 and lines[2] == f"{long}  {long}"
    assert lines[3].startswith("a\\x1bb") and lines[3].endswith("  c")
    assert all(len(line) <= 80 for line in table_lines(("name", "words"), [(long, "c")], width=80)[2:3])
