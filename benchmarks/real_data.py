"""`automl fit` on real images beside random search, TPE with ASHA and a plain training loop, in the same wall-clock.

    python -m benchmarks.real_data [--sets cifar4k,magnetic_tile] [--methods fit,random,tpe,loop] [--seeds 3]
        [--first-seed 0] [--data ../shared/data] [--kept results.jsonl] [--studies FOLDER] [--seconds 60]

- fit: the product as it comes.
- random: the same engine and retrain, random configurations without pruning; nothing is tried first.
- tpe: the same, Optuna's TPE with asynchronous successive halving that stops trials.
- loop: what a person would write who searches nothing (benchmarks/cifar10.py): resnet10t, AdamW, one cycle over the
  time, pad-crop and flip; on the rows that the others train and retrain on, at 64 px (CIFAR: 32), decoded before its
  clock starts.

All are scored on the same held-out images: those of the set's test part, or the holdout that `fit` seals. Methods take
turns within each seed, so that a noisy machine is noisy for all. `--kept` keeps what was measured, and goes on from it;
`--studies` keeps the studies as FOLDER/SET/METHOD-SEED, from which `automl portfolio learn` can learn.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from benchmarks.cifar10 import cut_zip, run_loop

METHODS = ("fit", "random", "tpe", "loop")
OPTIONS = {
    "fit": [],
    "random": ["--policy", "none", "--sampler", "random"],
    "tpe": ["--policy", "stop-asha", "--sampler", "tpe"],
}


@dataclass(frozen=True)
class Set:
    """A data set, the seconds that everybody gets, and the metric that counts."""

    zip: str
    seconds: int
    metric: str
    per_class: int = 0  # of the training part; 0: all


SETS = {
    "cifar4k-3m": Set("cifar10", 180, "accuracy", 400),
    "cifar4k": Set("cifar10", 600, "accuracy", 400),
    "cifar20k": Set("cifar10", 600, "accuracy", 2000),
    "seedlings": Set("seedlings", 300, "accuracy"),
    "magnetic_tile": Set("magnetic_tile", 300, "balanced_accuracy"),
    "ants_bees": Set("ants_bees", 300, "accuracy"),
}


def main() -> None:
    """Run what was asked for and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, help="a file of JSON lines")
    parser.add_argument("--studies", type=Path, help="a folder that keeps the studies")
    parser.add_argument("--seconds", type=int, help="a limit for all sets in place of their own")
    args = parser.parse_args()
    if args.seconds:
        SETS.update({name: replace(what, seconds=args.seconds) for name, what in SETS.items()})
    found = (
        [json.loads(line) for line in args.kept.read_text().splitlines()]
        if args.kept and args.kept.is_file()
        else []
    )
    for name in args.sets.split(","):
        for seed in range(args.first_seed, args.first_seed + args.seeds):
            for method in args.methods.split(","):
                if any((row["set"], row["seed"], row["method"]) == (name, seed, method) for row in found):
                    continue
                row = measured(name, method, seed, args.data, args.studies)
                print(row, file=sys.stderr, flush=True)
                found.append(row)
                if args.kept:
                    with args.kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    show(found, args.sets.split(","))


def measured(name: str, method: str, seed: int, data: Path, studies: Path | None) -> dict[str, Any]:
    """One run of one method."""
    what = SETS[name]
    source = data / f"{what.zip}.zip"
    if not source.is_file():
        sys.exit(f"the data set must be at {str(source)!r}; give its folder with --data")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        if what.per_class:
            cut_zip(source, folder / "cut.zip", what.per_class)
            source = folder / "cut.zip"
        if method == "loop":
            value, rate, seconds = looped(source, what, folder, seed)
            return row_of(name, method, seed, value, seconds, {"rate": rate})
        place = (studies or folder) / name / f"{method}-{seed}"
        result, seconds = searched(source, what, folder, place, seed, OPTIONS[method])
    told = {key: result[key] for key in ("best", "retrain", "trials", "time", "work")}
    return row_of(name, method, seed, result["holdout"][what.metric]["value"], seconds, told)


def row_of(
    name: str, method: str, seed: int, value: float, seconds: float, more: dict[str, Any]
) -> dict[str, Any]:
    """What is kept of a run."""
    return {"set": name, "method": method, "seed": seed, "value": value, "seconds": seconds, **more}


def searched(
    source: Path, what: Set, folder: Path, study: Path, seed: int, options: list[str]
) -> tuple[dict[str, Any], float]:
    """result.json of `automl fit`, and the seconds of the whole command, with an empty cache in `folder`."""
    command = [sys.executable, "-m", "automl", "fit", str(source), "--time-limit", str(what.seconds)]
    command += ["--seed", str(seed), "--directory", str(study.parent), "--study", study.name]
    command += ["--pretrained", "never", "--metric", what.metric, "--json", "--quiet", *options]
    command += ["--warm-start", "none"]  # studies of other methods lie beside this one
    if options:
        command += ["--space", str(bare_space(folder))]
    begun = time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, "AUTOML_CACHE_DIR": str(folder / "cache")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout), time.perf_counter() - begun


def bare_space(folder: Path) -> Path:
    """The preset `cpu` without the configurations that it tries first."""
    from automl.spaces import SearchSpace

    space = {key: value for key, value in SearchSpace.load("cpu").to_dict().items() if key != "portfolio"}
    place = folder / "bare.yaml"
    place.write_text(yaml.safe_dump(space), encoding="utf-8")
    return place


def looped(source: Path, what: Set, folder: Path, seed: int) -> tuple[float, float, float]:
    """The plain loop on the rows that `fit` does not hold out: the metric, images a second, seconds."""
    from automl.config import StudyConfig
    from automl.data import open_source, prepare_data
    from automl.records import Silent

    config = StudyConfig(data=str(source), seed=seed)
    prepared = prepare_data(
        open_source(str(source), target=None, task="auto"),
        img_size=32 if what.per_class else 64,
        max_size=64,
        val=config.val_share,
        holdout=config.holdout,
        seed=seed,
        on_bad_image="skip",
        max_disk=1 << 30,
        cache_dir=folder / "cache",
        study_dir=folder,
        observer=Silent(),
    )
    prepared.write_table(folder / "splits.csv")
    with (folder / "splits.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] in ("train", "val", "holdout")]
    classes = sorted({row["label"] for row in rows})
    side = prepared.splits.info.img_size
    with zipfile.ZipFile(source) as archive:
        pixels = np.stack([picture(archive.read(row["file"]), side) for row in rows])
    labels = np.array([classes.index(row["label"]) for row in rows])
    held = np.array([row["split"] == "holdout" for row in rows])
    arrays = (pixels[~held], labels[~held], pixels[held], labels[held])
    _, accuracy, rate, seconds, balanced = run_loop(arrays, what.seconds, seed)
    return (accuracy if what.metric == "accuracy" else balanced), rate, seconds


def picture(content: bytes, side: int) -> np.ndarray:
    """(side, side, 3) uint8."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0))


def show(found: list[dict[str, Any]], names: list[str]) -> None:
    """The mean of each method on each set, and each seed's value."""
    print(f"\n{os.cpu_count()} cores; mean over seeds (each seed's value), longest command")
    for name in names:
        print(f"{name} ({SETS[name].metric}, {SETS[name].seconds} s)")
        for method in METHODS:
            rows = [row for row in found if row["set"] == name and row["method"] == method]
            if rows:
                each = ", ".join(f"{row['value']:.3f}" for row in sorted(rows, key=lambda row: row["seed"]))
                longest = max(row["seconds"] for row in rows)
                print(
                    f"  {method:8s} {np.mean([row['value'] for row in rows]):.3f} ({each})  {longest:.1f} s"
                )


if __name__ == "__main__":
    main()
