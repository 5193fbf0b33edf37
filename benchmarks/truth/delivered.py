"""The delivered model's validation score, measured again from its files, and what is said about the gap."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.truth.runs import busy, kept, rows_of, run, source_of, standard_error, table, weights_options
from tests.final.evidence.gap_checker import facts_of, false_sentences

SETS = ("digit_files", "ants_bees", "cifar10", "seedlings", "magnetic_tile")
# Prints the predicted labels of the files named on stdin, one in a line.
PREDICT = (
    "import sys, automl; print(*automl.load(sys.argv[1]).predict(sys.stdin.read().split('\\n')), sep='\\n')"
)


def main(args: argparse.Namespace) -> int:
    """Print a row a study; 1 if one delivered a model that is worse than its best trial."""
    names = (args.sets or ",".join(SETS)).split(",")
    jobs = [
        {
            "set": names[number % len(names)],
            "seed": number // len(names),
            "limit": args.time_limit or 45,
            "busy": args.busy,
        }
        for number in range(args.studies)
    ]
    rows = kept(args, jobs, lambda job: measured(job, args))
    columns = ["set", "seed", "seconds", "how", "best", "error", "again", "holdout", "usable", "broken"]
    table(columns, [[row.get(key) for key in columns] for row in rows])
    return int(any(row["broken"] for row in rows))


def measured(job: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Run one study, load its model, and score the validation images."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        source = source_of(job["set"], args.data, folder)
        options = ["--time-limit", str(job["limit"]), "--seed", str(job["seed"]), "--warm-start", "none"]
        published = job["set"] == "ants_bees"
        options += weights_options(args.weights) if published else ["--pretrained", "never"]
        with busy(job["busy"]):
            done = run(source, folder, args.package, options)
        if done.result is None:
            return {"seconds": done.seconds, "broken": f"no result: {done.said[-800:]}"}
        metric, rows = done.result["metric"], rows_of(done.study)
        false = false_sentences(done.result["gap"]["explained"], facts_of(done.study))
        again = score_again(done.study / "model", Path(source), rows, metric, args.package)
    best = done.result["best"]["val_score"]
    error = 0.0 if best is None else standard_error(best, rows, "val", metric)
    return {
        "seconds": round(done.seconds, 1),
        "how": done.result["retrain"].get("how"),
        "best": best,
        "error": error,
        "again": again,
        "holdout": done.result["holdout"][metric]["value"],
        "usable": done.result.get("usable"),
        "code": done.code,
        "explained": done.result["gap"]["explained"],
        "evidence": done.result["retrain"].get("evidence"),
        "false": false,
        "broken": "; ".join(broken(best, again, error, false)),
    }


def broken(best: float | None, again: float, error: float, false: list[str]) -> list[str]:
    """What was promised and does not hold."""
    found = [f"false: {sentence}" for sentence in false]
    if best is not None and again < best - error:
        found.append("worse than the best trial")
    return found


def score_again(model: Path, source: Path, rows: list[dict[str, str]], metric: str, package: Path) -> float:
    """The score of the model in a folder on the validation files, in a process of its own."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    val = [row for row in rows if row["split"] == "val"]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, str(model)],
        input="\n".join(str(source / row["file"]) for row in val),
        env={"PYTHONPATH": str(package), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    score = balanced_accuracy_score if metric == "balanced_accuracy" else accuracy_score
    return float(score([row["label"] for row in val], done.stdout.splitlines()))
