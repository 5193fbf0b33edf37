"""Published weights: `automl fit` beside a plain probe and a plain fine-tuning, on the same rows, in one run.

    python -m benchmarks.transfer [--sets ants_bees,seedlings] [--limits 60,180] [--seeds 3] [--first-seed 0]
        [--methods automl,scratch,probe,tuning] [--data FOLDER] [--weights FOLDER] [--package FOLDER]
        [--kept rows.jsonl]

- automl: the command with nothing said but the data, the limit and where the weights are.
- scratch: the same with `--pretrained never`.
- probe: what people write in thirty lines: features of EfficientNet-Lite0 at 224 px, images squeezed, and
  scikit-learn's logistic regression (several labels: one each; regression: ridge), its strength by cross-validation. It
  takes the time that it takes.
- tuning: one training of that network at 160 px with a new head, AdamW 3e-4 and a cosine, that fills the limit;
  decoding and start-up are not charged.

All learn from the training and validation rows of the study's splits.csv and are scored on its holdout rows.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.truth.runs import kept, rows_of, run, table

SHARED = Path(__file__).parents[2] / "shared"
NETWORK = "tf_efficientnet_lite0"
METHODS = ("automl", "scratch", "probe", "tuning")
STRENGTHS = np.logspace(-4, 2, 7)


@dataclass(frozen=True)
class Set:
    """A data set: its zip, its metric and what the command must be told. `labels`: columns of labels.csv."""

    zip: str
    metric: str
    task: str = "classification"
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


CARDS = ("nine", "ten", "jack", "queen", "king", "ace")
SETS = {
    "ants_bees": Set("ants_bees", "accuracy"),
    "seedlings": Set("seedlings", "accuracy"),
    "magnetic_tile": Set("magnetic_tile", "balanced_accuracy"),
    "cards_multilabel": Set(
        "cards_multilabel", "average_precision", "multilabel", ("--target", ",".join(CARDS)), CARDS
    ),
    "bloodcells": Set("bloodcells_regression", "rmse", "regression", ("--target", "rbc"), ("rbc",)),
}


def main() -> None:
    """Run what was asked for, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--limits", default="60,180,600")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights")
    parser.add_argument("--package", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--kept", type=Path)
    args = parser.parse_args()
    if not args.data.is_dir() or not args.weights.is_dir():
        sys.exit(
            "the data sets and the published weights must be there; give their folders with --data and --weights"
        )
    jobs = [
        {"set": name, "limit": limit, "seed": seed, "methods": args.methods}
        for seed in range(args.first_seed, args.first_seed + args.seeds)
        for limit in map(int, args.limits.split(","))
        for name in args.sets.split(",")
    ]
    rows = kept(args, jobs, lambda job: measured(job, args))
    methods = args.methods.split(",")
    shown = []
    for name in dict.fromkeys(row["set"] for row in rows):
        for limit in dict.fromkeys(row["limit"] for row in rows):
            same = [row for row in rows if (row["set"], row["limit"]) == (name, limit)]
            error = mean(row["error"] for row in same)
            shown.append([name, limit, *(mean(row[method] for row in same) for method in methods), error])
    table(["set", "limit", *methods, "standard error"], shown)


def measured(job: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Every method on one split: the metric on its holdout, and the seconds."""
    what, methods = SETS[job["set"]], job["methods"].split(",")
    source = args.data / f"{what.zip}.zip"
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        common = ["--time-limit", str(job["limit"]), "--seed", str(job["seed"]), "--metric", what.metric]
        common += ["--warm-start", "none", *what.options]
        studies = []
        for method, option in (("automl", str(args.weights)), ("scratch", "never")):
            if method in methods:
                (folder / method).mkdir()
                done = run(
                    str(source), folder / method, args.package, [*common, "--pretrained", option], method
                )
                if done.result is None:
                    raise SystemExit(f"no result: {done.said[-2000:]}")
                studies.append(done.study)
                found |= told(method, done.result, what.metric, done.seconds)
        if "probe" not in methods and "tuning" not in methods:
            return found
        data = Data.read(source, rows_of(studies[0]), what)
        for method, make in (("probe", probe), ("tuning", tuning)):
            if method in methods:
                begun = time.monotonic()
                scores = make(data, args.weights / f"{NETWORK}.safetensors", job["limit"], job["seed"])
                seconds = round(time.monotonic() - begun, 1)
                found |= {method: value_of(what, data.held_targets, scores), f"{method}_seconds": seconds}
    return found


def told(method: str, result: dict[str, Any], metric: str, seconds: float) -> dict[str, Any]:
    """What a study says about itself."""
    held = result["holdout"][metric]
    row = {
        method: held["value"],
        f"{method}_seconds": round(seconds, 1),
        f"{method}_how": result["retrain"]["how"],
        f"{method}_model": (result["retrain"].get("config") or result["best"]["config"])["model"],
        f"{method}_val": result["best"]["val_score"],
    }
    return {**row, "error": (held["high"] - held["low"]) / 3.92} if method == "automl" else row


@dataclass(frozen=True)
class Data:
    """Images, uint8 (n, 224, 224, 3), and targets of the rows to learn from and of the holdout."""

    images: np.ndarray
    targets: np.ndarray
    held_images: np.ndarray
    held_targets: np.ndarray
    task: str

    @staticmethod
    def read(source: Path, rows: list[dict[str, str]], what: Set) -> Data:
        """Squeeze the images to 224 px."""
        import pandas as pd
        from PIL import Image

        with zipfile.ZipFile(source) as archive:
            table = None
            if what.labels:
                table = pd.read_csv(io.BytesIO(archive.read("labels.csv"))).set_index("image")
            classes = sorted({row["label"] for row in rows})
            parts: list[np.ndarray[Any, Any]] = []
            for held in (False, True):
                chosen = [row for row in rows if (row["split"] == "holdout") == held]
                images = [
                    np.asarray(
                        Image.open(io.BytesIO(archive.read(row["file"]))).convert("RGB").resize((224, 224))
                    )
                    for row in chosen
                ]
                if table is None:
                    targets = np.array([classes.index(row["label"]) for row in chosen])
                else:
                    names = [Path(row["file"]).name for row in chosen]
                    targets = table.loc[names, list(what.labels)].to_numpy(dtype=np.float64)
                parts += [np.stack(images), targets]
        train, train_targets, test, test_targets = parts
        return Data(train, train_targets, test, test_targets, what.task)


def network(weights: Path, outputs: int) -> Any:
    """The network with its published weights and a new head (none with 0 outputs)."""
    from automl.torch_setup import import_timm

    return import_timm().create_model(
        NETWORK,
        pretrained=True,
        num_classes=outputs,
        pretrained_cfg_overlay={"file": str(weights), "num_classes": -1},
    )


def batch(images: np.ndarray, side: int = 224) -> Any:
    """Normalised images as the weights want them."""
    import torch
    import torch.nn.functional as F

    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255.0).sub_(0.5).div_(0.5)
    if side != pixels.shape[-1]:
        pixels = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    return pixels.contiguous(memory_format=torch.channels_last)


def probe(data: Data, weights: Path, limit: int, seed: int) -> np.ndarray:
    """Scores (n, outputs) of a linear model on frozen features."""
    import torch
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = network(weights, 0).eval().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        x, held = (
            np.concatenate([model(batch(images[i : i + 64])).numpy() for i in range(0, len(images), 64)])
            for images in (data.images, data.held_images)
        )
    if data.task == "regression":
        head = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13))).fit(x, data.targets)
        return np.asarray(head.predict(held)).reshape(len(held), -1)
    one = LogisticRegressionCV(Cs=STRENGTHS, cv=3, max_iter=200, n_jobs=2)
    head = make_pipeline(StandardScaler(), one if data.task == "classification" else OneVsRestClassifier(one))
    return np.asarray(head.fit(x, data.targets).predict_proba(held))


def tuning(data: Data, weights: Path, limit: int, seed: int) -> np.ndarray:
    """Scores (n, outputs) of the whole network after a training at 160 px that lasts `limit` seconds."""
    import math

    import torch
    import torch.nn.functional as F

    torch.manual_seed(seed)
    rng, begun = np.random.default_rng(seed), time.monotonic()
    classes = data.targets.ndim == 1
    outputs = int(data.targets.max()) + 1 if classes else data.targets.shape[1]
    centre, scale = data.targets.mean(axis=0), data.targets.std(axis=0)
    targets = torch.from_numpy(data.targets if data.task != "regression" else (data.targets - centre) / scale)
    targets = targets if classes else targets.float()
    model = network(weights, outputs).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.05)
    losses: dict[str, Callable[..., torch.Tensor]] = {
        "classification": F.cross_entropy,
        "multilabel": F.binary_cross_entropy_with_logits,
        "regression": F.mse_loss,
    }
    while (done := (time.monotonic() - begun) / limit) < 1.0:
        chosen = rng.choice(len(targets), size=min(32, len(targets)), replace=False)
        images = batch(data.images[chosen], 160)
        images = images.flip(3) if rng.random() < 0.5 else images
        for group in optimizer.param_groups:
            group["lr"] = 3e-4 * min(1.0, done / 0.05) * 0.5 * (1.0 + math.cos(math.pi * done))
        found = model(images)
        loss = losses[data.task](found, targets[torch.from_numpy(chosen)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        scores = torch.cat(
            [model(batch(data.held_images[i : i + 64], 160)) for i in range(0, len(data.held_images), 64)]
        )
    if data.task == "regression":
        return np.asarray(scores.numpy() * scale + centre)
    return np.asarray((scores.softmax(1) if classes else scores.sigmoid()).numpy())


def value_of(what: Set, targets: np.ndarray, scores: np.ndarray) -> float:
    """The set's metric."""
    from sklearn import metrics

    if what.metric == "rmse":
        return float(np.sqrt(((targets - scores) ** 2).mean()))
    if what.metric == "average_precision":
        return float(metrics.average_precision_score(targets, scores))
    score = metrics.accuracy_score if what.metric == "accuracy" else metrics.balanced_accuracy_score
    return float(score(targets, scores.argmax(axis=1)))


if __name__ == "__main__":
    main()
