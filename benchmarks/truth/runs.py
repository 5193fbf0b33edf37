"""What the parts share: data sets, busy processes, and one run of the command."""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SPIN = "while True: pass"


@dataclass(frozen=True)
class Run:
    """One run of `automl fit`: its exit code, result.json (None without one), its seconds and what it said."""

    code: int
    result: dict[str, Any] | None
    seconds: float
    said: str
    study: Path


def source_of(name: str, data: Path, folder: Path) -> str:
    """The data of a set, as `automl fit` takes them. Zips are unpacked, so that each image is a file."""
    if name in ("demo", "digits"):
        return "digits"
    target = folder / name
    if name == "digit_files":
        return write_digits(target)
    if name == "cifar10":
        from benchmarks.cifar10 import cut_zip

        cut_zip(data / "cifar10.zip", folder / "cut.zip", per_class=400)
        path = folder / "cut.zip"
    else:
        path = data / f"{name}.zip"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target)
    return str(target)


def write_digits(folder: Path) -> str:
    """Scikit-learn's digits as a folder of class folders with PNG files."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15.9).astype(np.uint8)).save(path)
    return str(folder)


def weights_options(weights: Path) -> list[str]:
    """The options for published weights."""
    return ["--pretrained", str(weights)]


@contextmanager
def busy(count: int) -> Iterator[None]:
    """In the block, so many processes keep the cores busy."""
    others = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def run(source: str, folder: Path, package: Path, options: list[str], name: str = "truth") -> Run:
    """Run `automl fit` with the cache of the folder, empty at first, from the package in the folder `package`."""
    study = folder / "studies" / name
    command = [sys.executable, "-m", "automl", "fit", source, "--json", "--study", study.name]
    command += ["--directory", str(study.parent), *options]
    environment = {**os.environ, "AUTOML_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(package)}
    begun = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, check=False)
    seconds = time.monotonic() - begun
    try:
        result = json.loads(done.stdout)
    except ValueError:
        result = None
    return Run(done.returncode, result, seconds, done.stderr, study)


def rows_of(study: Path) -> list[dict[str, str]]:
    """The rows of splits.csv: file, label, split, group, sha256."""
    with (study / "splits.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def labels(rows: list[dict[str, str]], part: str) -> list[str]:
    """The labels of the rows of a part: train, val or holdout."""
    return [row["label"] for row in rows if row["split"] == part]


def majority(rows: list[dict[str, str]], part: str, metric: str) -> float:
    """The score of the largest class of the training rows on the rows of a part."""
    train, there = labels(rows, "train"), labels(rows, part)
    if metric == "balanced_accuracy":
        return 1.0 / len(set(there))
    largest = max(sorted(set(train)), key=train.count)
    return there.count(largest) / len(there)


def standard_error(value: float, rows: list[dict[str, str]], part: str, metric: str) -> float:
    """The binomial standard error of an accuracy, or of a mean of recalls. Written anew, not the package's."""
    there = labels(rows, part)
    sizes = [there.count(name) for name in sorted(set(there))] if "balanced" in metric else [len(there)]
    spread = value * (1.0 - value)
    return float(np.sqrt(sum(spread / size for size in sizes)) / len(sizes))


def kept(
    args: argparse.Namespace,
    jobs: list[dict[str, Any]],
    measure: Callable[[dict[str, Any]], dict[str, Any]],
) -> list[dict[str, Any]]:
    """The rows of all jobs; those in the file `--kept` are not measured again."""
    found: list[dict[str, Any]] = []
    if args.kept and args.kept.is_file():
        found = [json.loads(line) for line in args.kept.read_text(encoding="utf-8").splitlines()]
    rows = []
    for job in jobs:
        row = next((old for old in found if all(old.get(key) == value for key, value in job.items())), None)
        if row is None:
            row = {**job, **measure(job)}
            print(json.dumps(row), file=sys.stderr, flush=True)
            if args.kept:
                with args.kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        rows.append(row)
    return rows


def table(head: list[str], rows: list[list[Any]]) -> None:
    """Print a table in Markdown."""
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print(
            "| " + " | ".join(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row) + " |"
        )
