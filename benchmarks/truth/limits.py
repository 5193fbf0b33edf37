"""Seconds over the limit, and whether the model is better than the trivial answer."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.truth.runs import busy, kept, labels, majority, rows_of, run, source_of, standard_error, table

SOON = 5.0  # seconds within which a limit that cannot fit is refused
CHANCE = 1.645
SIDE, LONGEST = 16, 30.0  # logistic regression: pixels a side, and seconds


def main(args: argparse.Namespace) -> int:
    """Print a row a run; 1 if one broke a promise."""
    names = (args.sets or "digits,ants_bees,seedlings").split(",")
    jobs = [
        {"set": name, "limit": limit, "seed": args.first_seed, "busy": args.busy}
        for limit in map(int, args.limits.split(","))
        for name in names
    ]
    rows = kept(args, jobs, lambda job: measured(job, args))
    columns = [
        "set",
        "limit",
        "busy",
        "seconds",
        "over",
        "code",
        "how",
        "holdout",
        "trivial",
        "logistic",
        "broken",
    ]
    table(columns, [[row[key] for key in columns] for row in rows])
    return int(any(row["broken"] for row in rows))


def measured(job: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Run one study, and logistic regression on the same rows."""
    limit = job["limit"]
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        source = source_of(job["set"], args.data, folder)
        options = ["--time-limit", str(limit), "--seed", str(job["seed"])]
        with busy(job["busy"]):
            time.sleep(2.0 if job["busy"] else 0.0)
            done = run(source, folder, args.package, options)
        row: dict[str, Any] = {
            "seconds": round(done.seconds, 1),
            "over": round(done.seconds - limit, 1),
            "code": done.code,
            "how": None,
            "holdout": None,
            "trivial": None,
            "logistic": None,
            "said": done.said[-1500:],
        }
        if done.result is None:
            row["broken"] = "" if done.code == 2 and done.seconds <= SOON else "no result, not said at once"
            return row
        metric, rows = done.result["metric"], rows_of(done.study)
        row["how"] = done.result["retrain"].get("how")
        row["holdout"] = done.result["holdout"][metric]["value"]
        row["trivial"] = majority(rows, "holdout", metric)
        row["logistic"] = logistic(source, Path(source), rows, metric)
    least = CHANCE * standard_error(row["trivial"], rows, "holdout", metric)
    broken = []
    if row["over"] > max(2.0, 0.02 * limit):
        broken.append("late")
    if row["logistic"] > row["trivial"] + least and row["holdout"] <= row["trivial"] + least:
        broken.append("no better than the trivial answer")
    row["broken"] = ", ".join(broken)
    return row


def logistic(source: str, folder: Path, rows: list[dict[str, str]], metric: str) -> float:
    """The holdout score of logistic regression on small pixels, of as many rows as it takes 30 s for."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    parts = {part: pixels(source, folder, rows, part) for part in ("train", "holdout")}
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    model.fit(parts["train"], labels(rows, "train"))
    score = balanced_accuracy_score if metric == "balanced_accuracy" else accuracy_score
    return float(score(labels(rows, "holdout"), model.predict(parts["holdout"])))


def pixels(source: str, folder: Path, rows: list[dict[str, str]], part: str) -> np.ndarray:
    """The images of a part at 16 x 16, as rows of numbers."""
    files = [row["file"] for row in rows if row["split"] == part]
    if source == "digits":
        from sklearn.datasets import load_digits

        images = load_digits().images
        return np.stack([images[int("".join(filter(str.isdigit, name)))].ravel() for name in files])
    from PIL import Image

    def small(name: str) -> np.ndarray:
        with Image.open(folder / name) as image:
            return np.asarray(
                image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32
            ).ravel()

    return np.stack([small(name) for name in files])


def show(path: Path) -> None:
    """Print what a file of kept rows says about broken promises."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["broken"]:
            print(row["set"], row["limit"], row["busy"], row["broken"], row["said"][-400:])
