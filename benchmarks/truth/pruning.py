"""Trials that were cut at a value that chance explains, and what the search then chose."""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.truth.runs import (
    busy,
    kept,
    majority,
    rows_of,
    run,
    source_of,
    standard_error,
    table,
    weights_options,
)

CHANCE = 1.645  # standard errors: what chance explains in 19 of 20 cases
# How a decision at a rung says that others were better.
CUT = ("paused_at_rung", "not_among_best", "worse_than_median", "pruner_stopped")
WAITS = "waits_to_move"  # at chance, and not compared: it goes on once others have had their turn


def main(args: argparse.Namespace) -> int:
    """Print a row a study and the means; 1 if a trial was cut at a value that chance explains."""
    seconds = args.time_limit or 180
    jobs = [
        {
            "set": name,
            "seed": seed,
            "limit": seconds,
            "busy": args.busy,
            "package": args.package.resolve().name,
        }
        for seed in range(args.first_seed, args.first_seed + args.seeds)
        for name in (args.sets or "demo,cifar10,ants_bees").split(",")
    ]
    rows = kept(args, jobs, lambda job: measured(job, args))
    columns = [
        "set",
        "seed",
        "trials",
        "cut",
        "at_chance",
        "waiting",
        "val",
        "holdout",
        "trivial",
        "best",
        "seconds",
    ]
    table(columns, [[row.get(key) for key in columns] for row in rows])
    for name in dict.fromkeys(row["set"] for row in rows):
        held = [row["holdout"] for row in rows if row["set"] == name]
        spread = f" (deviation {stdev(held):.4f})" if len(held) > 1 else ""
        print(f"{name}: holdout {mean(held):.4f}{spread} over {len(held)} seeds")
    return int(any(row["at_chance"] for row in rows))


def measured(job: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Run one study and read its database."""
    with tempfile.TemporaryDirectory() as text, busy(job["busy"]):
        folder = Path(text)
        options = ["--time-limit", str(job["limit"]), "--seed", str(job["seed"]), "--warm-start", "none"]
        published = job["set"] == "ants_bees"
        options += weights_options(args.weights) if published else ["--pretrained", "never"]
        done = run(source_of(job["set"], args.data, folder), folder, args.package, options)
        if done.result is None:
            raise SystemExit(f"no result: {done.said[-2000:]}")
        metric, rows = done.result["metric"], rows_of(done.study)
        trivial = majority(rows, "val", metric)
        worth = trivial + CHANCE * standard_error(trivial, rows, "val", metric)
        cut, waiting = cuts(done.study / "study.db")
    return {
        "trials": done.result["trials"]["total"],
        "cut": len(cut),
        "at_chance": sum(value <= worth for value in cut.values()),
        "waiting": len(waiting),
        "values": {str(trial): round(value, 4) for trial, value in cut.items()},
        "val": done.result["best"]["val_score"],
        "holdout": done.result["holdout"][metric]["value"],
        "trivial": trivial,
        "best": done.result["best"]["config"]["model"],
        "how": done.result["retrain"].get("how"),
        "seconds": round(done.seconds, 1),
    }


def cuts(database: Path) -> tuple[dict[int, float], dict[int, float]]:
    """The trials that a rung held back for good, and those that waited at chance to the end, with their values."""
    found: dict[str, dict[int, float]] = {"cut": {}, "waiting": {}}
    with closing(sqlite3.connect(database)) as connection:
        log = connection.execute(
            "SELECT d.trial, d.action, d.reason, r.value FROM automl_decisions d LEFT JOIN automl_reports r "
            "ON r.study_id = d.study_id AND r.trial = d.trial AND r.epoch = d.epoch ORDER BY d.id"
        ).fetchall()
    for trial, action, reason, value in log:
        code = json.loads(reason)["code"]
        if action in ("start", "resume"):
            for kind in found.values():
                kind.pop(trial, None)
        elif code in CUT or code == WAITS:
            kind = found["waiting" if code == WAITS else "cut"]
            kind[trial] = float("nan") if value is None else value
    return found["cut"], found["waiting"]
