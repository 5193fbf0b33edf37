"""A finished study on disk with images, answers and a search, made without training anything."""

from __future__ import annotations

import csv
import json
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
from automl.review.studies import StudyFolder, read_study
from automl.training.steps.trivial import trivial_by_counts

NAME = "leaves"
ODD = "<b onclick=x>&\"'"
CLASSES = ("ash", "birch", ODD)
N_EACH = 20
SPACE = {
    "parameters": {
        "model": {"type": "categorical", "choices": ["resnet10t", "convnext_atto"]},
        "lr": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "batch_size": {"type": "categorical", "choices": [32, 64]},
    }
}


def curve(config: Config, epochs: int = 9) -> Iterator[dict[str, float]]:
    """An objective whose value rises to one that the learning rate decides."""
    best = 0.95 - 0.1 * (np.log10(config["lr"]) + 2.0) ** 2
    for epoch in range(1, epochs + 1):
        yield {"accuracy": float(best * (1 - 0.5**epoch)), "seconds": 2.0, "epochs": float(epoch)}


def info() -> DatasetInfo:
    """The data set of the study: 3 classes, of which the first has the fewest images."""
    return DatasetInfo(
        name=NAME,
        task="classification",
        classes=CLASSES,
        in_chans=3,
        img_size=32,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        class_counts=(10, 40, 40),
        fingerprint="f00d" * 16,
        n_train=90,
        n_val=30,
        n_holdout=N_EACH * len(CLASSES),
        n_skipped=1,
    )


def answers() -> Scored:
    """Answers on the holdout: 8 ash are taken for birch, one birch for the odd class, the rest is right."""
    targets = np.repeat(np.arange(len(CLASSES)), N_EACH)
    said = targets.copy()
    said[:8], said[N_EACH] = 1, 2
    confidence = np.linspace(0.55, 0.99, len(targets))
    scores = np.full((len(targets), len(CLASSES)), 0.0)
    scores[:] = ((1 - confidence) / 2)[:, None]
    scores[np.arange(len(targets)), said] = confidence
    files = tuple(f"{'abc'[k]}/{i:02d}{'&' if k == 2 else ''}.png" for i, k in enumerate(targets.tolist()))
    return Scored(files, targets, scores)


def write_images(folder: Path) -> None:
    """Write the images of the holdout, each of another grey."""
    for i, file in enumerate(answers().files):
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (4 * i, 120, 255 - 4 * i)).save(path)


def result(trial: int, config: Config) -> dict[str, Any]:
    """The result of the study."""
    known, scored = info(), answers()
    metrics = metric_scores(
        metric_names("accuracy", known.task),
        scored.targets,
        scored.scores,
        known.task,
        trivial=partial(trivial_by_counts, info=known),
    )
    evaluation = evaluation_of(scored.targets, scored.scores, known, "accuracy", metrics)
    return {
        "study": NAME,
        "task": known.task,
        "metric": "accuracy",
        "mode": "max",
        "seed": 3,
        "data": {"n_train": 90, "n_val": 30, "n_holdout": 60, "n_classes": 3, "n_skipped": 1, "folds": 0},
        "best": {"trial": trial, "config": config, "val_score": 0.9, "val_trivial": 0.4, "epochs": 9.0},
        "retrain": {
            "how": "retrained",
            "why": "",
            "epochs": 9.0,
            "n_train": 120,
            "seconds": 12.5,
            "images": 1080,
        },
        "holdout": {name: asdict(one.interval) for name, one in metrics.items()},
        "trivial": {name: one.trivial for name, one in metrics.items()},
        "trivial_words": {name: one.trivial_words for name, one in metrics.items()},
        "usable": True,
        "evaluation": evaluation.to_json(),
        "holdout_reads": 1,
        "gap": {"val": 0.9, "holdout": 0.85, "explained": "The validation score is within the interval."},
        "time": {"limit_s": 60.0, "used_s": 55.0, "all_runs_s": 55.0, "search_s": 30.0},
        "work": {"images_trained": 12345, "busy_fraction": 0.9},
        "versions": {"automl": automl.__version__, "numpy": np.__version__},
        "command": "automl fit leaves --n-trials 12",
    }


def finished_leaves(directory: Path, *, trials: int = 12) -> StudyFolder:
    """Make the study in `directory`, with the images beside it, and return it."""
    data, root = directory / "images", directory / NAME
    root.mkdir(parents=True)
    write_images(data)
    found = automl.tune(
        curve,
        SPACE,
        name=NAME,
        metric="accuracy",
        max_epochs=9,
        n_trials=trials,
        parallel=2,
        engine="simulated",
        storage=f"sqlite:///{root / 'study.db'}",
    )
    save(load(str(data), study=NAME, directory=str(directory), n_trials=trials), root / "study.yaml")
    best = int(found.trials.sort_values("value", ascending=False)["number"].iloc[0])
    document = result(best, found.best_config)
    (root / "result.json").write_text(json.dumps(document), encoding="utf-8")
    write_answers(root / ANSWERS_FILE, answers(), info())
    counts = {"ash": (8, 2, 20), "birch": (32, 8, 20), ODD: (32, 8, 20)}
    report = {
        "name": NAME,
        "task": "classification",
        "fingerprint": info().fingerprint,
        "n_images": 150,
        "bad": [{"file": "c/broken<i>.png", "reason": "empty file"}],
        "class_counts": {
            name: dict(zip(("train", "val", "holdout"), row, strict=True)) for name, row in counts.items()
        },
        "widths": [40, 40, 40],
        "heights": [30, 30, 30],
        "modes": {"RGB": 150},
        "notes": ["A note."],
        "findings": [
            {
                "kind": "near_copies",
                "headline": "1 pair of nearly equal images",
                "files": [["a/00.png", "a/01.png"]],
            }
        ],
    }
    (root / "data_report.json").write_text(json.dumps(report), encoding="utf-8")
    with (root / "label_errors.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "given_label", "suggested_label", "confidence"))
        writer.writerow(("a/03.png", "ash", "birch", "0.91"))
    with (root / "splits.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "label", "split", "group", "sha256"))
        for row, label in zip(answers().files[::5], np.repeat(CLASSES, 4), strict=True):
            writer.writerow((row, label, "train", "", ""))
    return read_study(root)
