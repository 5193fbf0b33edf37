"""What the report of a large study takes: seconds to write, megabytes, and seconds until a browser shows it.

    python -m benchmarks.report [--trials 2000] [--classes 20] [--images 2000]

The search is simulated (no training), with 8 workers; the holdout has as many images as asked, of 64 px, of which a
tenth is answered wrongly. The study is made in a temporary folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import automl
from automl.config import load, save
from automl.final.evaluation.answers import write_answers
from automl.final.evaluation.compute import Scored, evaluation_of, metric_names, metric_scores
from automl.final.evaluation.record import ANSWERS_FILE
from automl.records import Config, DatasetInfo
from automl.review.report.write import write_report
from automl.review.studies import StudyFolder, read_study
from automl.training.steps.trivial import trivial_by_counts
from tests.browser import browser

NAME = "large"
ROUNDS = 27
FAMILIES = ("resnet", "convnext", "efficientnet", "vit", "regnet")
SPACE: dict[str, Any] = {
    "parameters": {
        "family": {"type": "categorical", "choices": list(FAMILIES)},
        "model": {"type": "categorical", "choices": ["tiny", "small", "base"]},
        "opt": {"type": "categorical", "choices": ["sgd", "adamw", "muon"]},
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "weight_decay": {"type": "float", "low": 1e-6, "high": 0.3, "log": True},
        "batch_size": {"type": "categorical", "choices": [32, 64, 128]},
        "augment": {"type": "float", "low": 0.0, "high": 1.0},
        "mixup": {"type": "float", "low": 0.0, "high": 0.5},
        "drop_path": {"type": "float", "low": 0.0, "high": 0.3},
    }
}


def curve(config: Config) -> Iterator[dict[str, float]]:
    """A training whose value follows from learning rate, augmentation and family."""
    best = 0.95 - 0.05 * (np.log10(config["lr"]) + 2.5) ** 2 - 0.1 * (config["augment"] - 0.4) ** 2
    best -= 0.01 * FAMILIES.index(config["family"])
    for epoch in range(1, ROUNDS + 1):
        value = max(0.05, best) * (1 - np.exp(-epoch / 5))
        yield {"accuracy": float(value), "seconds": 3.0, "epochs": float(epoch), "params": 5e6}


def make(directory: Path, *, trials: int, classes: int, images: int) -> StudyFolder:
    """Make the study with its images, and return it."""
    root, data = directory / NAME, directory / "images"
    root.mkdir()
    found = automl.tune(
        curve,
        SPACE,
        name=NAME,
        metric="accuracy",
        max_epochs=ROUNDS,
        n_trials=trials,
        parallel=8,
        engine="simulated",
        sampler="random",
        storage=f"sqlite:///{root / 'study.db'}",
    )
    names = tuple(f"class {k:02d}" for k in range(classes))
    info = _info(names, images)
    rng = np.random.default_rng(0)
    targets = np.arange(images) % classes
    scores = rng.dirichlet(np.ones(classes), images)
    said = np.where(rng.random(images) < 0.1, rng.integers(0, classes, images), targets)
    scores[np.arange(images), said] += 1.0
    scores /= scores.sum(axis=1, keepdims=True)
    files = tuple(f"{names[k]}/{i:05d}.jpg" for i, k in enumerate(targets.tolist()))
    for file in files:
        (data / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(data / file)
    scored = Scored(files, targets, scores)
    write_answers(root / ANSWERS_FILE, scored, info)
    save(load(str(data), study=NAME, directory=str(directory), n_trials=trials), root / "study.yaml")
    (root / "result.json").write_text(json.dumps(_result(info, scored, found.best_config)), encoding="utf-8")
    with (root / "splits.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("file", "label", "split"))
        writer.writerows((name, name.split("/")[0], "train") for name in files)
    return read_study(root)


def _info(names: tuple[str, ...], images: int) -> DatasetInfo:
    each = images // len(names)
    return DatasetInfo(
        NAME, "classification", names, 3, 64, (0.5,) * 3, (0.25,) * 3, (4 * each,) * len(names), "0" * 64, 4 * images,
        images, images, 0,
    )  # fmt: skip


def _result(info: DatasetInfo, scored: Scored, config: Config) -> dict[str, Any]:
    trivial = partial(trivial_by_counts, info=info)
    names = metric_names("accuracy", info.task)
    metrics = metric_scores(names, scored.targets, scored.scores, info.task, trivial=trivial)
    evaluation = evaluation_of(scored.targets, scored.scores, info, "accuracy", metrics)
    return {
        "study": NAME,
        "task": info.task,
        "metric": "accuracy",
        "mode": "max",
        "data": {
            "n_train": info.n_train,
            "n_val": info.n_val,
            "n_holdout": info.n_holdout,
            "n_classes": len(info.classes),
        },
        "best": {"trial": 0, "config": config, "val_score": 0.9},
        "retrain": {"epochs": 27.0, "n_train": info.n_train},
        "holdout": {name: asdict(one.interval) for name, one in metrics.items()},
        "trivial": {name: one.trivial for name, one in metrics.items()},
        "trivial_words": {name: one.trivial_words for name, one in metrics.items()},
        "evaluation": evaluation.to_json(),
        "time": {"used_s": 3600.0, "all_runs_s": 3600.0},
    }


def main() -> None:
    """Print what the report takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--images", type=int, default=2000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        study = make(Path(folder), trials=asked.trials, classes=asked.classes, images=asked.images)
        print(f"study of {asked.trials} trials made in {time.monotonic() - begun:.1f} s", flush=True)
        written = write_report(study)
        print(f"report: {written.seconds:.1f} s, {written.path.stat().st_size / 1e6:.2f} MB")
        with browser() as chromium:
            for width in (390, 1440):
                print(f"opened at {width} px in {chromium.open(written.path, width=width):.2f} s")
            sort = "performance.now()"
            began = chromium.run(sort)
            chromium.run(
                "document.querySelectorAll('#trials ~ div table')[0].querySelector('th button').click()"
            )
            print(
                f"sorted in {(chromium.run(sort) - began) / 1000:.2f} s; errors: {chromium.errors or 'none'}"
            )


if __name__ == "__main__":
    main()
