"""Studies as they lie on disk after a run, made from literals and with Optuna's own storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna

from automl.config import load, save
from automl.records import Config, Report, TrialRow, TrialState
from automl.review.tables import write_trials
from automl.search.policy import Action, Decision
from automl.search.reasons import Code, Reason, crashed
from automl.search.storage.store import Store, Worker

CONFIG: dict[str, Any] = {
    "family": "resnet",
    "model": "resnet10t",
    "opt": "adamw",
    "lr": 0.004,
    "weight_decay": 0.02,
    "batch_size": 64,
    "sched": "onecycle",
    "augment": 0.5,
    "hflip": True,
    "mixup": 0.0,
}

RESULT: dict[str, Any] = {
    "study": "photos",
    "task": "classification",
    "metric": "accuracy",
    "mode": "max",
    "seed": 0,
    "data": {"n_train": 80, "n_val": 20, "n_holdout": 25, "n_classes": 2, "n_skipped": 3},
    "best": {"trial": 2, "config": CONFIG, "val_score": 0.95, "rounds": 9, "epochs": 3.5},
    "retrain": {"epochs": 9, "n_train": 100, "seconds": 12.5},
    "holdout": {
        "balanced_accuracy": {"value": 0.9, "low": 0.8, "high": 0.97},
        "accuracy": {"value": 0.92, "low": 0.7484, "high": 0.9777},
    },
    "gap": {"val": 0.95, "holdout": 0.92, "explained": "the difference lies inside the interval"},
    "trials": {"total": 3, "complete": 1, "pruned": 1, "failed": 1},
    "time": {"limit_s": 600.0, "used_s": 594.2},
    "work": {"rounds": 40, "epochs": 12.5, "images_trained": 12345},
    "versions": {"automl": "0.1.0", "torch": "2.13.0"},
}

TRIALS = (
    TrialRow(0, TrialState.PRUNED, 0.99, 3, 4.0, {**CONFIG, "hflip": False}, "rank 4 of 6 at epoch 3"),
    TrialRow(
        1,
        TrialState.FAILED,
        None,
        0,
        0.5,
        {"family": "vit", "model": "vit_tiny", "lr": 1e-4},
        "out of memory",
    ),
    TrialRow(2, TrialState.COMPLETE, 0.95, 9, 12.25, CONFIG),
)


def finished_study(directory: Path, name: str = "photos") -> Path:
    """A study that came to its end; its model folder holds no weights that could be loaded."""
    root = directory / name
    (root / "model").mkdir(parents=True)
    save(load("photos/", study=name, directory=str(directory)), root / "study.yaml")
    write_trials(TRIALS, "accuracy", "max", root / "trials.csv")
    (root / "model" / "model.safetensors").write_bytes(b"")
    (root / "result.json").write_text(json.dumps({**RESULT, "study": name}), encoding="utf-8")
    return root


def running_study(directory: Path, name: str = "leaves") -> Path:
    """A study under way: one trial complete, one pruned, one failed, one paused, one running."""
    root = directory / name
    root.mkdir(parents=True)
    save(load("leaves/", study=name, directory=str(directory), metric="f1"), root / "study.yaml")
    store = Store.open(
        f"sqlite:///{root / 'study.db'}",
        name,
        fingerprint={"metric": "f1", "mode": "max"},
        make_sampler=lambda _: optuna.samplers.RandomSampler(seed=0),
    )
    for number, scores in enumerate([(0.5, 0.7), (0.4,), (), (0.6,), ()]):
        store.adopt(store.draw(_suggest), time=0.0, origin="sampler")
        store.started(number, Worker("w0", "node", 1), time=0.0)
        for epoch, value in enumerate(scores, 1):
            report = Report(number, epoch, value, seconds=1.5)
            on = Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))
            store.report(report, on, time=1.0)
    store.complete(0, 0.7, time=2.0)
    place = {"rank": 3, "trials": 3, "round": 1}
    store.end(1, Decision(Action.STOP, TrialState.PRUNED, Reason(Code.NOT_AMONG_BEST, place)), time=2.0)
    broken = Decision(Action.STOP, TrialState.FAILED, crashed("RuntimeError: no"))
    store.end(2, broken, time=2.0)
    store.decided(2, 0, broken, time=2.0)
    store.pause(3, 1, Reason(Code.PAUSED_AT_RUNG, place), time=2.0)
    store.close()
    return root


def _suggest(trial: optuna.Trial) -> Config:
    model = trial.suggest_categorical("model.resnet", ["resnet10t", "resnet18"])
    return {"family": "resnet", "model": model, "lr": trial.suggest_float("lr.adamw", 1e-4, 1e-1, log=True)}
