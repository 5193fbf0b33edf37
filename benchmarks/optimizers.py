"""SGD beside AdamW as trials: how far apart they are at rungs and at the end, and whether another way is fairer.

    python -m benchmarks.optimizers [--zip ../shared/data/cifar10.zip] [--ways "stable;wide average"] [--seed 1]

Configurations of the preset `cpu` (half the width of a resnet10t, images x1.5), each for 30 passes through 1,000 images
of CIFAR-10 on one core, scored on 2,000 test images after 4, 13 and 30 of them, where the trials of a study of ten
minutes are compared. The ways: a stable rate as trials have it; a decay over the last 40 % of the stretch before each
rung; averaged weights that span half of the steps in place of their last part; batches of 32; a short warm-up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from automl.records import Config, SearchSplits
from automl.training.evaluate import predict_rows, score
from automl.training.hardware.half_precision import has_bf16
from automl.training.plan import Precision, TrainPlan
from automl.training.steps import ema as average
from automl.training.steps.schedules import FLOOR, SCHEDULES
from automl.training.trainer import Trainer
from benchmarks.recipes import CIFAR, first
from benchmarks.training import cifar

RUNGS = (4, 13, 30)  # passes
EASED = 0.4  # of the stretch before a rung
TRAIN, VAL = 1000, 2000
CONFIGS: dict[str, Config] = {
    "sgd": {**first("sgd"), "width": 0.5},
    "sgd, lr .03": {**first("sgd"), "width": 0.5, "lr": 0.03},
    "sgd, lr .2": {**first("sgd"), "width": 0.5, "lr": 0.2},
    "adamw": {**first("adamw"), "width": 0.5},
}
WAYS = ("stable", "eased", "wide average", "batches of 32", "short warm-up")


def main() -> None:
    """Train every configuration in every way and print its accuracies."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zip", type=Path, default=CIFAR)
    parser.add_argument("--ways", default=";".join(WAYS), help="with ; between")
    parser.add_argument("--configs", default=";".join(CONFIGS), help="likewise")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if not args.zip.is_file():
        sys.exit(f"the data set must be at {str(args.zip)!r}; give its place with --zip")
    with tempfile.TemporaryDirectory() as folder:
        splits = cifar(args.zip, Path(folder), n_train=TRAIN, n_val=VAL)
        for way in args.ways.split(";"):
            for name in args.configs.split(";"):
                told = "  ".join(f"{value:.3f}" for value in curve(CONFIGS[name], way, splits, args.seed))
                print(f"seed {args.seed}  {way:14s} {name:12s} {told}", flush=True)


def curve(config: Config, way: str, splits: SearchSplits, seed: int) -> list[float]:
    """Accuracy of the averaged weights at each rung."""
    if way == "batches of 32":
        config = {**config, "batch_size": 32}
    if way == "short warm-up":
        config = {**config, "sched": "wsd", "warmup": 0.03}
    precision: Precision = "bf16" if has_bf16("cpu") else "fp32"
    trainer = Trainer(
        config,
        splits.info,
        splits.train,
        TrainPlan(RUNGS[-1], "accuracy", "max", seed=seed, precision=precision),
    )
    if way == "eased":
        trainer.schedule = eased
    if way == "wide average":
        trainer.ema = HalfOfAll(trainer.model, decay=1.0)
    found = []
    for epoch in range(1, RUNGS[-1] + 1):
        trainer.train_round()
        if epoch in RUNGS:
            logits, targets = predict_rows(
                trainer.averaged, splits.val, splits.info, size=trainer.size, precision=precision
            )
            found.append(score(logits, targets, splits.info, "accuracy")["accuracy"])
    return found


class HalfOfAll(average.Average):
    """Weights averaged over about the last half of all steps (Shamir & Zhang 2013, polynomial decay of degree 1)."""

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Each step counts as much as its number."""
        for mean, tensor in self._floats:
            mean.lerp_(tensor.detach(), 2 / (step + 2))
        for mean, tensor in self._others:
            mean.copy_(tensor)


def eased(progress: float, warmup: float) -> float:
    """The stable rate; down over the last part of the stretch before each rung, and up again after it."""
    passes, begun = progress * RUNGS[-1], 0
    for end in RUNGS:
        if passes < end or end == RUNGS[-1]:
            left = (end - passes) / (EASED * (end - begun))
            return min(1.0, max(FLOOR, left)) * SCHEDULES["constant"](progress, warmup)
        begun = end
    raise AssertionError


if __name__ == "__main__":
    main()
