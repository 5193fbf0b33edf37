"""By which rule the head on features from all depths is preferred to the simpler one, judged on images not seen.

    python -m benchmarks.head_choice --sets ants_bees,seedlings,magnetic_tile,cards_multilabel,bloodcells

Both heads of EfficientNet-Lite0 are fitted on parts of half of the rows. Of the other half, some random images decide
as validation images do, and the rest tells what the decision was worth: the mean gain of the metric over the simpler
head, in points (regression: in percent of its error). The rules: the metric alone; the loss alone; both; both, the loss
by more than one standard error of the paired difference. Losses weigh classes as the metric does.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.config.metrics import METRICS
from automl.data.balance import EVEN_METRICS
from automl.machine import Moment, cores
from automl.records import SearchSplits, Task
from automl.training.evaluate import Answers
from automl.training.heads import FeatureHeads
from automl.training.steps.losses import in_units
from automl.training.steps.metrics import compute
from benchmarks.heads import LONG, Bench
from benchmarks.transfer import SHARED
from benchmarks.truth.runs import table

Array = npt.NDArray[Any]
RULES = ("always", "metric", "loss", "both", "both, loss by an error", "the better one")
DECIDING = (60, 130, 214, 360)  # images
MOST_DECIDING = 0.6  # of the images that no head was fitted on
DRAWS, DECISIONS = 4, 12  # of training rows, and of images that decide for each
BALANCED = ("seedlings", "magnetic_tile")
SQUEEZED = ("magnetic_tile",)  # as `fit` finds by itself


def main() -> None:
    """Fit, decide and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="ants_bees,seedlings,magnetic_tile,cards_multilabel,bloodcells")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--parts", default="0.3,1")
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights")
    args = parser.parse_args()
    parts, rows = [float(text) for text in args.parts.split(",")], []
    for name in args.sets.split(","):
        args.resize = "squeeze" if name in SQUEEZED else "crop"
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(name, args, Path(folder))
            for part in parts:
                gains = defaultdict(list)
                for pair in _pairs(bench, name, args.size, part):
                    for rule, gain in pair.gains():
                        gains[rule].append(gain)
                rows.append([name, pair.n, *(mean(gains[rule]) for rule in RULES)])
                print(rows[-1], flush=True)
    table(["set", "fitted on", *RULES], rows)


@dataclass(frozen=True)
class Pair:
    """The scores (n, n_outputs) of both heads, the simpler one first, for images that neither was fitted on."""

    metric: str
    task: Task
    n: int
    targets: Array
    scores: tuple[Array, Array]
    draw: int

    def gains(self) -> Iterator[tuple[str, float]]:
        """Yield each rule with what it gained by one decision, in points."""
        images = len(self.targets)
        for deciding in (n for n in DECIDING if n <= MOST_DECIDING * images):
            for decision in range(DECISIONS):
                order = np.random.default_rng([self.draw, decision]).permutation(images)
                seen, rest = order[:deciding], order[deciding:]
                better, gain = self._better(seen), self._better(rest)
                lower, error = self._lower_loss(seen)
                if self.task == "regression":
                    gain /= compute(self.metric, self.targets[rest], self.scores[0][rest], self.task)
                taken = (
                    True,
                    better > 0,
                    lower > 0,
                    better > 0 and lower > 0,
                    better > 0 and lower > error,
                    gain > 0,
                )
                yield from zip(RULES, (100.0 * gain * one for one in taken), strict=True)

    def _better(self, rows: Array) -> float:
        """Return by how much the second head is better by the metric."""
        sign = 1.0 if METRICS[self.metric].mode == "max" else -1.0
        first, second = (compute(self.metric, self.targets[rows], s[rows], self.task) for s in self.scores)
        return sign * (second - first)

    def _lower_loss(self, rows: Array) -> tuple[float, float]:
        """Return by how much the loss of the second head is lower, and the standard error of that."""
        targets = self.targets[rows]
        first, second = (self._losses(targets, scores[rows].astype(np.float64)) for scores in self.scores)
        weights = np.ones(len(rows))
        if self.task == "classification" and self.metric in EVEN_METRICS:
            _, place, counts = np.unique(targets, return_inverse=True, return_counts=True)
            weights = (len(rows) / (len(counts) * counts))[place]
        d = weights * (first - second)
        return float(d.mean()), float(np.sqrt(np.mean(d**2) / len(rows)))

    def _losses(self, targets: Array, scores: Array) -> Array:
        if self.task == "regression":
            return np.asarray(((targets - scores) ** 2).mean(axis=1))
        known = np.clip(scores, 1e-6, 1.0 - 1e-6)
        if self.task == "multilabel":
            return np.asarray(-(targets * np.log(known) + (1 - targets) * np.log(1 - known)).mean(axis=1))
        return np.asarray(-np.log(known[np.arange(len(targets)), targets]))


def _pairs(bench: Bench, name: str, size: int, part: float) -> Iterator[Pair]:
    """Yield both heads for random halves of the rows, fitted on this part of the first half."""
    every = np.concatenate([np.load(rows.index) for rows in (bench.splits.train, bench.splits.val)])
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(every)
        half = len(order) // 2
        splits = _splits(bench, order[half:][: round(part * (len(order) - half))], order[:half])
        heads = FeatureHeads(
            splits=splits,
            metric=bench.metric,
            balance="sampler" if name in BALANCED else "none",
            threads=cores(),
            cache=bench.folder / "features",
            views=1,
        )
        found = heads.fit_both(bench.weights, bench.config | {"size": size}, until=Moment.now().later(LONG))
        answers = [head.answers for head in found if head.answers is not None]
        assert len(answers) == 2
        first, second = (_scores(one, splits) for one in answers)
        targets, task = answers[0].targets.numpy(), splits.info.task
        yield Pair(bench.metric, task, len(splits.train), targets, (first, second), draw)


def _scores(answers: Answers, splits: SearchSplits) -> Array:
    return np.asarray(in_units(answers.logits, splits.info).numpy())


def _splits(bench: Bench, train: Array, val: Array) -> SearchSplits:
    parts = {}
    for name, rows in (("train", train), ("val", val)):
        path = bench.folder / f"{name}.npy"
        np.save(path, np.sort(rows))
        parts[name] = replace(getattr(bench.splits, name), index=path, n=len(rows))
    info = replace(bench.splits.info, n_train=len(train), n_val=len(val))
    return replace(bench.splits, **parts, info=info)


if __name__ == "__main__":
    main()
