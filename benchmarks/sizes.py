"""What the size of the pictures is worth where the time is short: the same processor time from scratch for each.

A narrow resnet10t trains on one core for as many epochs as fit, in one cycle, on pictures stored at each size; then it
is scored on validation rows.

Run: python benchmarks/sizes.py [--shared ../shared/data] [--sizes 96,64,48,32]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from automl.data import PreparedData, open_source, prepare_data
from automl.data.balance import Balance
from automl.training.evaluate import predict_rows, score
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
# data set, seconds of one core, metric, balance
ROWS: Sequence[tuple[str, float, str, Balance]] = (
    ("seedlings", 50.0, "accuracy", "none"),
    ("magnetic_tile", 30.0, "balanced_accuracy", "sampler"),
)
CONFIG = {
    "family": "resnet",
    "model": "resnet10t",
    "width": 0.5,
    "upscale": 1.0,
    "opt": "adamw",
    "lr": 8e-3,
    "weight_decay": 0.02,
    "batch_size": 64,
    "augment": 0.4,
    "hflip": True,
    "label_smoothing": 0.1,
    "mixup": 0.0,
    "ema": 0.99,
}
PROBED = 8  # steps that measure the rate


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--sizes", default="96,64,48,32")
    options = parser.parse_args()
    for name, seconds, metric, balance in ROWS:
        for size in map(int, options.sizes.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                data = prepared(options.shared / f"{name}.zip", Path(folder), size)
                plan = TrainPlan(1, metric, "max", precision="bf16", final=True, balance=balance)
                print(f"{name:14} {size:3} px  {trained(data, plan, seconds)}", flush=True)


def prepared(path: Path, folder: Path, size: int) -> PreparedData:
    """The data at a size, in a cache that goes away with the folder."""
    return prepare_data(
        open_source(str(path)),
        img_size=size,
        max_size=size,
        val=0.2,
        holdout=0.2,
        seed=0,
        on_bad_image="skip",
        max_disk=20 * 2**30,
        cache_dir=folder / "cache",
        study_dir=folder / "study",
    )


def trained(data: PreparedData, plan: TrainPlan, seconds: float) -> str:
    """Trains for about that long and says what came of it."""
    splits = data.splits
    probing = Trainer(dict(CONFIG), splits.info, splits.train, plan)
    begun, seen = 0.0, 0
    for step, (images, targets) in enumerate(islice(probing.batches.epoch(0), PROBED + 2)):
        if step == 2:  # the first steps also pay for allocations
            begun = time.thread_time()
        probing.train_step(images, targets)
        seen += len(images) if step >= 2 else 0
    epochs = max(1, round(seconds * seen / (time.thread_time() - begun) / splits.info.n_train))
    trainer = Trainer(dict(CONFIG), splits.info, splits.train, replace(plan, epochs=epochs))
    begun = time.thread_time()
    for _ in range(epochs):
        trainer.train_round()
    used = time.thread_time() - begun
    logits, targets = predict_rows(trainer.averaged, splits.val, trainer.info, size=trainer.size)
    value = score(logits, targets, trainer.info, plan.metric)[plan.metric]
    return f"{epochs:3} epochs, {used:.0f} s, {plan.metric} {value:.4f}"


if __name__ == "__main__":
    main()
