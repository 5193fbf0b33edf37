"""Whether trials on part of the rows, or on smaller pictures, tell more of the retrain than trials that are just short.

    python -m benchmarks.fidelities [--zip ../shared/data/cifar10.zip [--size 32]] [--seconds 60] [--part 6]
        [--configs "first;half"] [--fidelities "all rows;a quarter of the rows"] [--kept results.jsonl]

Configurations that a search might choose between are each trained for --seconds as the retrain would, and for a --part
of that as trials are: on all rows, on half and a quarter of each class, and on pictures of two thirds of the side. Two
trainings run at a time, one core each. Told for each fidelity, after each round: Spearman's rank correlation between
the trials' values and those of the retrains, and what choosing the best trial loses against the best retrain. Of
CIFAR-10 4,000 images, scored on 2,000 test images; of another --zip as in benchmarks/recipes.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from automl.data.balance import skew
from automl.data.constants import SKEWED
from automl.records import Config, SearchSplits
from automl.training.evaluate import predict_rows, score
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer
from automl.training.trial import ImageTrial
from benchmarks.recipes import CIFAR, MAX_EPOCHS, View, first, plan_of, splits_of

ROUNDS = 5  # of a trial
WORKERS = 2
HALF: Config = {"width": 0.5}
# Changes to the first configuration of the preset `cpu`, with AdamW; a study of ten minutes chooses between such.
CHANGES: dict[str, Config] = {
    "first": {},
    "not mirrored": {"hflip": False},
    "as stored": {"upscale": 1.0},
    "three eighths": {"width": 0.375},
    "half": HALF,
    "half, not mirrored": {**HALF, "hflip": False},
    "half, as stored": {**HALF, "upscale": 1.0},
    "half, not augmented": {**HALF, "augment": 0.0},
    "half, much augmented": {**HALF, "augment": 0.8},
    "half, mixed": {**HALF, "mixup": 0.2},
    "half, lr / 4": {**HALF, "lr": 2e-3},
    "half, sgd": {**HALF, "opt": "sgd", "lr": 0.1, "weight_decay": 5e-4, "momentum": 0.9},
    "half, large batches": {**HALF, "batch_size": 128, "ema": 0.998},
    "whole, as stored": {"width": 1.0, "upscale": 1.0, "lr": 4e-3},
}
# Of the training rows of each class and of the side of the pictures.
FIDELITIES: dict[str, tuple[float, float]] = {
    "all rows": (1.0, 1.0),
    "half of the rows": (0.5, 1.0),
    "a quarter of the rows": (0.25, 1.0),
    "two thirds of the side": (1.0, 2 / 3),
}
RETRAIN = "retrain"


class Job(NamedTuple):
    """One training: on which data, of which seed and configuration, and how."""

    data: str
    seed: int
    name: str
    how: str


def main() -> None:
    """Run what is not kept yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zip", type=Path, default=CIFAR)
    parser.add_argument(
        "--size", type=int, default=32, help="side of the pictures of another --zip, in pixels"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of a retrain")
    parser.add_argument("--part", type=float, default=6.0, help="of a retrain's seconds that a trial has")
    parser.add_argument("--configs", default=";".join(CHANGES), help="with ; between, of those in CHANGES")
    parser.add_argument("--fidelities", default=";".join(FIDELITIES), help="likewise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kept", type=Path, help="a file of JSON lines")
    args = parser.parse_args()
    if not args.zip.is_file():
        sys.exit(f"the data set must be at {str(args.zip)!r}; give its place with --zip")
    found, ways = kept(args.kept), [RETRAIN, *args.fidelities.split(";")]
    jobs = [Job(args.zip.stem, args.seed, name, how) for name in args.configs.split(";") for how in ways]
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool,
    ):
        splits = splits_of(args.zip, Path(folder), args.size)
        skewed = skew(splits.info) >= SKEWED
        metric = "balanced_accuracy" if skewed else "accuracy"
        plan = plan_of(MAX_EPOCHS, metric, "sampler" if skewed else "none", args.seed)
        waiting = {
            pool.submit(trained, job, splits, plan, args.seconds, args.part): job
            for job in jobs
            if job not in found
        }
        for done in as_completed(waiting):
            job = waiting[done]
            found[job] = done.result()
            print(*job, *(f"{value:.3f}" for value in found[job]), file=sys.stderr, flush=True)
            if args.kept:
                with args.kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([*job, found[job]]) + "\n")
    print(f"{args.zip.stem}, {metric}, {args.seconds:.0f} s and a part of {args.part:g}, seed {args.seed}")
    show({job: found[job] for job in jobs})


def kept(path: Path | None) -> dict[Job, list[float]]:
    """What was measured before."""
    if path is None or not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {Job(*job): values for *job, values in rows}


def trained(job: Job, splits: SearchSplits, plan: TrainPlan, seconds: float, part: float) -> list[float]:
    """The metric after each round of a trial; of a retrain, that of the delivered model."""
    config = {**first("adamw"), **CHANGES[job.name]}
    if job.how == RETRAIN:
        return [retrained(config, splits, replace(plan, seconds=seconds))]
    share, side = FIDELITIES[job.how]
    config["upscale"] = float(config["upscale"]) * side
    short = replace(plan, epochs=ROUNDS, final=False, round_seconds=seconds / part / ROUNDS, share=share)
    trial = ImageTrial(config, splits=splits, plan=short)
    return [float(trial.step()[plan.metric]) for _ in range(ROUNDS)]


def retrained(config: Config, splits: SearchSplits, plan: TrainPlan) -> float:
    """The metric after a training that time ends, pictures growing; with mirror images, where it learned from them."""
    trainer = Trainer(config, splits.info, splits.train, plan)
    while trainer.train_round() is not None:
        pass
    logits, targets = predict_rows(trainer.averaged, splits.val, splits.info, size=trainer.size)
    if config["hflip"]:
        mirrored, _ = predict_rows(View(trainer.averaged), splits.val, splits.info, size=trainer.size)
        logits = (logits.softmax(1) + mirrored.softmax(1)).log()
    return score(logits, targets, splits.info, plan.metric)[plan.metric]


def show(found: dict[Job, list[float]]) -> None:
    """Each configuration's last values, then what each fidelity is worth."""
    by_name: dict[str, dict[str, list[float]]] = {}
    for job, values in found.items():
        by_name.setdefault(job.name, {})[job.how] = values
    for name, curves in by_name.items():
        told = "  ".join(f"{how} {curve[-1]:.3f}" for how, curve in curves.items())
        print(f"  {name:22s} {told}")
    retrains = np.array([curves[RETRAIN][0] for curves in by_name.values()])
    print("  rank correlation with the retrain, and what its choice loses, after each round")
    for how in next(iter(by_name.values())):
        if how == RETRAIN:
            continue
        rounds = np.array([curves[how] for curves in by_name.values()]).T
        print(f"  {how:24s} {'  '.join(worth(values, retrains) for values in rounds)}")


def worth(values: np.ndarray, retrains: np.ndarray) -> str:
    """Spearman's correlation, and the loss of the choice."""
    loss = retrains.max() - retrains[int(np.argmax(values))]
    return f"{spearmanr(values, retrains).statistic:+.2f} (-{loss:.3f})"


if __name__ == "__main__":
    main()
