"""The same command twice gives the same trials, values, decisions and model."""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.decisions import told
from benchmarks.truth.runs import run, source_of


def main(args: argparse.Namespace) -> int:
    """Run it twice and compare; 1 if anything differs."""
    differing = 0
    for name in (args.sets or "digits").split(","):
        with tempfile.TemporaryDirectory() as text:
            source = source_of(name, args.data, Path(text))
            first, second = (outcome(source, Path(text), args.package, turn) for turn in ("first", "second"))
        wrong = [key for key in first if first[key] != second[key]]
        differing += len(wrong)
        counts = (
            f"{len(first['decisions'])} decisions, {len(first['values'])} values, holdout {first['holdout']}"
        )
        print(
            f"{name}: {counts}: {'different: ' + ', '.join(wrong) if wrong else 'the same, and the same weights'}"
        )
    return int(differing > 0)


def outcome(source: str, folder: Path, package: Path, name: str) -> dict[str, Any]:
    """All that was decided, reported and delivered."""
    options = [
        "--engine",
        "local",
        "--n-trials",
        "12",
        "--epochs",
        "9",
        "--pretrained",
        "never",
        "--seed",
        "0",
    ]
    done = run(source, folder, package, [*options, "--warm-start", "none"], name)
    if done.result is None:
        raise SystemExit(f"no result: {done.said[-2000:]}")
    found = told(done.study)
    with closing(sqlite3.connect(done.study / "study.db")) as connection:
        query = "SELECT trial, epoch, value FROM automl_reports ORDER BY trial, epoch"
        found["values"] = connection.execute(query).fetchall()  # with all digits
    return found
