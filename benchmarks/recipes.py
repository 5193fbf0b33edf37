"""Which training recipe is best when the whole time goes into one training: the same epochs for each, from scratch.

    python -m benchmarks.recipes [--zip ../shared/data/cifar10.zip] [--epochs 48 | --seconds 90 [--no-grow]]
        [--recipes "portfolio;mixed;model=resnet18 width=1 upscale=3"] [--opt adamw] [--few 40] [--seed 0]
        [--device cuda --train 50000 --score 10000]

With --seconds each gets the same time in place of the same epochs, as the retrain does, and its passes through the
images are told; pictures grow then, unless --no-grow says otherwise.

The first configuration of the preset `cpu` and changes to it (by a name, or as they stand in a space), on one core or
one GPU. Of CIFAR-10 --train images, scored on --score test images; of another --zip its training part at --size pixels,
scored on its validation rows (balanced accuracy, rare classes drawn more often, where the classes are skewed, as
`automl fit` would). The last value with a +, and its loss, is of the scores of each picture and its mirror image
together, which is what the delivered model gives.

--opt adamw puts AdamW in place of the SGD that the preset begins with, --lr and --decay change what either takes.
--few leaves so many training images of each class, drawn by the seed; all others are scored.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from automl.data.balance import Balance, skew
from automl.data.constants import SKEWED
from automl.records import Config, SearchSplits
from automl.spaces import SearchSpace
from automl.training.evaluate import predict_rows, score
from automl.training.hardware.half_precision import has_bf16
from automl.training.plan import Precision, TrainPlan
from automl.training.trainer import Trainer
from benchmarks.sizes import prepared
from benchmarks.training import cifar

CIFAR = Path(__file__).parents[2] / "shared" / "data" / "cifar10.zip"
OPTS: dict[str, Config] = {
    "sgd": {"opt": "sgd", "lr": 0.1, "weight_decay": 2e-3, "momentum": 0.9},
    "adamw": {"opt": "adamw", "lr": 8e-3, "weight_decay": 0.02},
}
RECIPES: dict[str, Config] = {
    "portfolio": {},
    "mixed": {"cutmix": 0.5, "mixup": 0.2},
    "cutmix": {"cutmix": 0.5},
    "cutmix 1": {"cutmix": 1.0},
    "mixed, rand_augment": {"cutmix": 0.5, "mixup": 0.2, "rand_augment": 0.3},
    "rand_augment": {"rand_augment": 0.3},
    "augment .8": {"augment": 0.8},
    "augment .15": {"augment": 0.15},
    "cutmix, augment .8": {"cutmix": 0.5, "augment": 0.8},
    "mixup .3, augment .8": {"mixup": 0.3, "augment": 0.8},
    "mixed, augment .8": {"cutmix": 0.5, "mixup": 0.3, "augment": 0.8},
    "mixup .3": {"mixup": 0.3},
    "half the width, mixup .3": {"width": 0.5, "mixup": 0.3},
    "half the width, mixed": {"width": 0.5, "cutmix": 0.5, "mixup": 0.2},
    "three eighths of the width": {"width": 0.375},
    "half the width": {"width": 0.5},
    "half the width, as stored": {"width": 0.5, "upscale": 1.0},
    "half the width, larger": {"width": 0.5, "upscale": 2.0},
    "half the width, batches of 32": {"width": 0.5, "batch_size": 32},
    "three quarters of the width": {"width": 0.75},
    "whole": {"width": 1.0},
    "whole, as stored": {"width": 1.0, "upscale": 1.0},
    "larger": {"upscale": 2.0},
    "as stored": {"upscale": 1.0},
    "regnety, mixup .3": {"family": "regnet", "model": "regnety_002", "width": None, "mixup": 0.3},
    "efficientvit, mixup .3": {
        "family": "efficientvit",
        "model": "efficientvit_b0",
        "width": None,
        "mixup": 0.3,
    },
}
MAX_EPOCHS = 1000  # where seconds end a training


def main() -> None:
    """Train each recipe and print its curve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zip", type=Path, default=CIFAR)
    parser.add_argument(
        "--size", type=int, default=32, help="side of the pictures of another --zip, in pixels"
    )
    parser.add_argument("--epochs", type=int, default=48)
    parser.add_argument("--seconds", type=float, help="of each training, in place of --epochs")
    parser.add_argument("--recipes", default="portfolio;mixed", help=f"with ; between: {'; '.join(RECIPES)}")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--train", type=int, default=4000, help="images of CIFAR-10 to learn from")
    parser.add_argument("--score", type=int, default=2000, help="test images of CIFAR-10 to score")
    parser.add_argument("--opt", choices=sorted(OPTS), default="sgd")
    parser.add_argument("--lr", type=float, help="in place of the optimizer's own")
    parser.add_argument("--decay", type=float, help="weight decay in place of the optimizer's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--few", type=int, help="training images of each class")
    parser.add_argument("--no-grow", action="store_true", help="with --seconds: pictures of one size")
    args = parser.parse_args()
    if not args.zip.is_file():
        sys.exit(f"the data set must be at {str(args.zip)!r}; give its place with --zip")
    with tempfile.TemporaryDirectory() as folder:
        splits = splits_of(args.zip, Path(folder), args.size, n_train=args.train, n_val=args.score)
        if args.few:
            splits = few(splits, Path(folder), args.few, args.seed)
        skewed = skew(splits.info) >= SKEWED
        metric = "balanced_accuracy" if skewed else "accuracy"
        balance: Balance = "sampler" if skewed else "none"
        plan = plan_of(args.epochs, metric, balance, args.seed, args.device)
        if args.seconds:
            plan = replace(plan, epochs=MAX_EPOCHS, seconds=args.seconds, grow=not args.no_grow)
        asked = {"lr": args.lr, "weight_decay": args.decay}
        for name in args.recipes.split(";"):
            config = {**first(args.opt), **{k: v for k, v in asked.items() if v is not None}, **changes(name)}
            config = {key: value for key, value in config.items() if value is not None}
            of = f"{args.zip.stem}, {metric}, seed {args.seed}, {args.opt}"
            print(f"{of}: {name:20} {curve(config, splits, plan)}", flush=True)


def first(opt: str) -> Config:
    """The first configuration of the preset `cpu`, with one of `OPTS` as its optimizer."""
    config = {key: value for key, value in SearchSpace.load("cpu").portfolio[0].items() if key != "momentum"}
    return {**config, **OPTS[opt]}


def changes(recipe: str) -> Config:
    """What a recipe changes: by its name, or written out.

    >>> changes("model=resnet18 width=1 opt=sgd")
    {'model': 'resnet18', 'width': 1, 'opt': 'sgd'}
    """
    if recipe in RECIPES:
        return RECIPES[recipe]
    return {key: yaml.safe_load(value) for key, value in (part.split("=") for part in recipe.split())}


def splits_of(path: Path, folder: Path, size: int, *, n_train: int = 4000, n_val: int = 2000) -> SearchSplits:
    """Images of CIFAR-10 and of its test images; of other data what `automl fit` would split."""
    if path.stem == "cifar10":
        return cifar(path, folder, n_train=n_train, n_val=n_val)
    return prepared(path, folder, size).splits


def few(splits: SearchSplits, folder: Path, per_class: int, seed: int) -> SearchSplits:
    """So many training rows of each class of a classification, and for scoring all rows that are left."""
    rows = [np.load(part.index) for part in (splits.train, splits.val)]
    targets = np.load(splits.train.targets)
    drawn = np.random.default_rng(seed).permutation(rows[0])
    kept = np.concatenate([drawn[targets[drawn] == k][:per_class] for k in range(splits.info.n_outputs)])
    left = np.concatenate([np.setdiff1d(rows[0], kept), rows[1]])
    parts = []
    for name, index in (("few", kept), ("rest", left)):
        np.save(folder / f"{name}.npy", index)
        parts.append(replace(splits.train, index=folder / f"{name}.npy", n=len(index)))
    counts = tuple(int((targets[kept] == k).sum()) for k in range(splits.info.n_outputs))
    info = replace(splits.info, class_counts=counts, n_train=len(kept), n_val=len(left))
    return SearchSplits(info, *parts)


def plan_of(epochs: int, metric: str, balance: Balance, seed: int, device: str = "cpu") -> TrainPlan:
    """A training of known length, as the retrain's: one cycle, in the precision that the device is made for."""
    precision: Precision = "bf16" if has_bf16(device) else "fp32"
    return TrainPlan(
        epochs, metric, "max", seed=seed, precision=precision, final=True, balance=balance, device=device
    )


def curve(config: Config, splits: SearchSplits, plan: TrainPlan) -> str:
    """The metric after each sixth of the epochs, and the processor time of all."""
    begun, wall = time.process_time(), time.perf_counter()
    trainer, found = Trainer(config, splits.info, splits.train, plan), []
    scored_by = partial(
        predict_rows,
        rows=splits.val,
        info=splits.info,
        size=trainer.size,
        device=plan.device,
        precision=plan.precision if plan.device != "cpu" else "fp32",
    )
    for epoch in range(1, plan.epochs + 1):
        over = trainer.train_round() is None or epoch == plan.epochs
        if not over and (plan.seconds is not None or epoch % max(1, plan.epochs // 6)):
            continue
        logits, targets = scored_by(trainer.averaged)
        value = score(logits, targets, splits.info, plan.metric)[plan.metric]
        found.append(f"{trainer.epochs:.0f}: {value:.3f}")
        if over:
            break
    if config["hflip"]:
        mirrored, _ = scored_by(View(trainer.averaged))
        both = (logits.softmax(1) + mirrored.softmax(1)).log()
        scored = score(both, targets, splits.info, plan.metric)
        found.append(f"+ {scored[plan.metric]:.3f} (loss {scored['val_loss']:.3f})")
    if config.get("rot90"):
        views = [
            scored_by(View(trainer.averaged, k, flip))[0].softmax(1) for k in range(4) for flip in (0, 1)
        ]
        scored = score(torch.stack(views).mean(0).log(), targets, splits.info, plan.metric)
        found.append(f"8 views {scored[plan.metric]:.3f} (loss {scored['val_loss']:.3f})")
    spent = f"{time.process_time() - begun:.0f} s of processor time in {time.perf_counter() - wall:.0f} s"
    return f"{', '.join(found)} ({spent})"


class View(nn.Module):
    """A network that sees pictures turned by so many quarters, and mirrored."""

    def __init__(self, network: nn.Module, quarters: int = 0, mirrored: int = 1) -> None:
        super().__init__()
        self.network, self.quarters, self.mirrored = network, quarters, mirrored

    def forward(self, images: Tensor) -> Tensor:
        """Logits of what it sees."""
        seen = torch.rot90(images, self.quarters, (2, 3))
        logits: Tensor = self.network(seen.flip(3) if self.mirrored else seen)
        return logits


if __name__ == "__main__":
    main()
