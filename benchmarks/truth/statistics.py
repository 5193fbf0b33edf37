"""What a score after a few steps is worth, with averaged and with recomputed batch norm statistics."""

from __future__ import annotations

import argparse
import copy
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.truth.runs import source_of, table

STEPS = (8, 16, 24, 48, 96, 192, 400)
BATCHES = (2, 4, 8, 16)  # of 64 images
SIZES = {"digits": 16, "cifar10": 32, "magnetic_tile": 32}


def main(args: argparse.Namespace) -> int:
    """Train the first configuration of the space `cpu` and score it both ways."""
    for name in (args.sets or "digits,cifar10").split(","):
        with tempfile.TemporaryDirectory() as text:
            scored(name, source_of(name, args.data, Path(text)), Path(text))
    return 0


def scored(name: str, source: str, folder: Path) -> None:
    """Print accuracy and loss on the validation images at several steps."""
    from automl.data import open_source, prepare_data
    from automl.records import Silent
    from automl.spaces import SearchSpace
    from automl.spaces.narrow import narrowed
    from automl.training.evaluate import fit_size, predict_rows, score
    from automl.training.plan import TrainPlan
    from automl.training.steps.batch_norm import learning_norms, recompute
    from automl.training.trainer import Trainer

    size = SIZES.get(name, 64)
    data = prepare_data(
        open_source(source),
        img_size=size,
        max_size=size,
        val=0.2,
        holdout=0.2,
        seed=0,
        on_bad_image="skip",
        max_disk=20 * 1024**3,
        cache_dir=folder / "cache",
        study_dir=folder / "study",
        observer=Silent(),
    )
    config = dict(narrowed(SearchSpace.load("cpu"), pretrained=False).portfolio[0])
    info, train = data.splits.info, data.splits.train
    plan = TrainPlan(epochs=-(-4 * STEPS[-1] * 64 // info.n_train), metric="accuracy", mode="max")
    trainer = Trainer(config, info, train, plan)

    def worth(batches: int) -> str:
        model = copy.deepcopy(trainer.averaged)
        if batches:
            norms = learning_norms(trainer.model, model)
            images = (fit_size(rows, trainer.size) for rows, _ in trainer.batches.epoch(trainer.steps))
            recompute(norms, model, islice(images, batches))
        logits, targets = predict_rows(model, data.splits.val, trainer.info, size=trainer.size)
        found = score(logits, targets, trainer.info, "accuracy")
        return f"{found['accuracy']:.3f} / {found['val_loss']:.2f}"

    rows: list[list[Any]] = []
    epoch = 0
    while trainer.steps < STEPS[-1]:
        for images, targets in trainer.batches.epoch(epoch):
            trainer.model.train()
            trainer._set_lr(trainer.progress())
            trainer.train_step(images, targets)
            trainer.steps += 1
            if trainer.steps in STEPS:
                rows.append([trainer.steps, *(worth(count) for count in (0, *BATCHES))])
        epoch += 1
    print(f"\n{name}: {info.n_train:,} training and {info.n_val:,} validation images at {size} px")
    table(["steps", "averaged", *(f"{64 * count} images" for count in BATCHES)], rows)
