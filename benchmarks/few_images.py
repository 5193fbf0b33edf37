"""Few images: does cross-validation choose better than one split?

    python -m benchmarks.few_images heads [--set ants_bees] [--images 60,120,240] [--seeds 20]
    python -m benchmarks.few_images trainings [--set seedlings] [--images 150,300] [--seeds 4] [--epochs 12] [--size 48]

Each seed draws other images to learn from (training and validation together) and scores the choice on all others. The
same candidates are compared, by the same fits: `split` scores them on one fold, a fifth of the images; `cv` on all five
folds; `cv x3` is the mean of three such draws; `smaller` takes the smallest network within one standard error of the
best by `cv x3`. `best` is the candidate that is best on the test images, `mean` the mean of all, which choosing by lot
gives.

- heads: logistic regression on features of two published networks at three sizes each.
- trainings: configurations of the preset `cpu` from scratch, the same epochs for each; the choice is trained again on
  all images. Cross-validation takes five times the work: `cv, equal work` chooses among a fifth of the candidates.

`off by` is the mean absolute difference of the score that chose and the test score of the choice.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import nan, sqrt
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from torch import Tensor

from automl.data import PreparedData, open_source, prepare_data
from automl.data.folds import RowFolds, repeated_folds
from automl.data.loading.batches import Batches
from automl.final.evidence.paired import paired_difference
from automl.final.retrain import join_rows
from automl.machine import Moment
from automl.records import Config, Rows
from automl.spaces import SearchSpace
from automl.spaces.architectures.families import capabilities
from automl.training.cross_validation import CrossValidatedTrial, pooled_index
from automl.training.evaluate import predict_rows, score
from automl.training.heads.features import Features
from automl.training.heads.fit import Fitting, Linear, Problem, Scale, one_blas_thread, solve
from automl.training.heads.frozen_network import FrozenNetwork
from automl.training.heads.out_of_fold import cross_validate
from automl.training.heads.strength import choose
from automl.training.models.build import model_arguments
from automl.training.models.finetune import Classifier
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import load_model, normalised
from automl.training.models.weight_sources import in_folder
from automl.training.plan import TrainPlan
from automl.training.steps.losses import in_units
from automl.training.trainer import Trainer

SHARED = Path(__file__).parents[2] / "shared"
SIZES = (128, 160, 224)
FOLDS, REPEATS = 5, 3
METRIC = "accuracy"
MOST_TESTED = 1500  # images that score a choice


def main() -> None:
    """Run one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["heads", "trainings"])
    parser.add_argument("--set", default="")
    parser.add_argument("--images", default="")
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--candidates", type=int, default=6)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights")
    args = parser.parse_args()
    heads = args.what == "heads"
    args.set = args.set or ("ants_bees" if heads else "seedlings")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        candidates: Callable[[Draw], list[Scored]] = Heads(args) if heads else Trainings(args)
        for images in map(int, (args.images or ("60,120,240" if heads else "150,300")).split(",")):
            rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
            for seed in range(args.seeds or (20 if heads else 4)):
                draw = Draw(prepared(args, images, seed, Path(folder)), seed)
                found = candidates(draw)
                for rule, chosen in chosen_by(found, draw):
                    rows[rule].append(chosen)
                print(seed, [{"test": round(one.test, 4), **one.scores} for one in found], flush=True)
            print(
                f"\n{args.set}, {images} images to learn from, {len(rows['best'])} draws, {len(found)} candidates"
            )
            for rule, values in rows.items():
                print(in_words(rule, values, rows["split"]), flush=True)


@dataclass(frozen=True)
class Draw:
    """One draw of the images to learn from."""

    data: PreparedData
    seed: int

    def targets(self, rows: np.ndarray) -> np.ndarray:
        """The classes of these rows."""
        return np.asarray(np.load(self.data.splits.train.targets)[rows])

    def part(self, name: str) -> Rows:
        """A part of the images, the holdout too: it scores choices here, and makes none."""
        index = np.load(self.data.splits.train.index.with_name(f"{name}.npy"))
        if name == "holdout":
            index = np.sort(np.random.default_rng(self.seed).permutation(index)[:MOST_TESTED])
        path = self.data.splits.train.index.with_name(f"{name}_used.npy")
        np.save(path, index)
        return replace(self.data.splits.train, index=path, n=len(index))

    def folds(self) -> RowFolds:
        """Folds of all images to learn from, drawn three times; the first are those of the data."""
        data = self.data
        found = repeated_folds(data.labelled, data.split, folds=FOLDS, repeats=REPEATS, seed=self.seed)
        assert found is not None
        return found

    def value(self, logits: Tensor, rows: np.ndarray) -> float:
        """The metric of outputs for these rows."""
        info = self.data.splits.info
        return score(logits.float(), torch.from_numpy(self.targets(rows)), info, METRIC)[METRIC]


@dataclass(frozen=True)
class Scored:
    """A candidate: its multiplications, its scores by rule, its outputs out of fold by row, and its test score."""

    macs: float
    scores: Mapping[str, float]
    outputs: np.ndarray
    test: float


def prepared(args: argparse.Namespace, images: int, seed: int, folder: Path) -> PreparedData:
    """Return the data with so many images in five folds. Given parts are ignored: all others are the holdout."""
    source = open_source(str(args.data / f"{args.set}.zip"))
    source.splits = [""] * len(source.files)
    return prepare_data(
        source,
        cache_dir=folder / "cache",
        study_dir=folder / f"{images}-{seed}",
        img_size=224 if args.what == "heads" else args.size,
        holdout=1.0 - images / len(source.files),
        seed=seed,
        folds=FOLDS,
    )


class Heads:
    """Fits heads on the features of each network at each size. Features of all images are computed once."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._weights = in_folder(args.weights)
        self._features: dict[tuple[str, int], np.ndarray] = {}

    def __call__(self, draw: Draw) -> list[Scored]:
        """Return the heads, scored."""
        info, rows = draw.data.splits.info, draw.folds().rows
        problem, tested = Problem.of(info, "none"), np.load(draw.part("holdout").index)
        found = []
        for name, size in product(self._weights, SIZES):
            values, until = self._values(draw, name, size), Moment.now().later(600.0)
            strength = choose(
                _standardised(values, np.load(draw.data.splits.train.index), draw)[0],
                problem,
                until=until,
                threads=1,
                seed=draw.seed,
            ).strength
            layer_on = _Layers(values, draw, problem, strength)
            crossed = cross_validate(
                rows,
                torch.from_numpy(draw.targets(rows)),
                draw.folds(),
                layer_on.of_places(rows),
                info=info,
                metric=METRIC,
                until=until,
            )
            assert crossed is not None
            first = np.flatnonzero(draw.folds().of[0] == 1)
            scores = {
                "split": draw.value(crossed.tensor[first], rows[first]),
                "cv": crossed.values[0],
                f"cv x{REPEATS}": crossed.value,
            }
            test = draw.value(torch.from_numpy(layer_on(rows)(values[tested])), tested)
            macs = capabilities(name).macs * (size / capabilities(name).input_size) ** 2
            found.append(Scored(macs, scores, in_units(crossed.tensor, info).numpy(), test))
        return found

    def _values(self, draw: Draw, name: str, size: int) -> np.ndarray:
        """Return the features (n, d) of all images of the data."""
        if (name, size) not in self._features:
            recipe = Recipe.from_config({"model": name, "pretrained": True, "size": size, "lr": 1.0})
            info, weights = draw.data.splits.info, self._weights[name]
            own = normalised(info, weights)
            model = load_model(weights, model_arguments(recipe, own, weights))
            classifier = Classifier.of(model)
            assert classifier is not None
            rows = draw.part("train")
            index = rows.index.with_name("all.npy")
            np.save(index, draw.data.labelled.usable)
            every = replace(rows, index=index, n=len(draw.data.labelled.usable))
            batches = Batches(every, batch_size=16, info=own, shuffle=False, seed=0, device="cpu")
            with FrozenNetwork(model, classifier, size=size, device="cpu", threads=1) as network:
                parts = [network(images, mirrored=False) for images, _ in batches.epoch(0)]
            values = np.zeros((int(draw.data.labelled.usable.max()) + 1, parts[0].shape[1]), dtype=np.float32)
            values[draw.data.labelled.usable] = np.concatenate(parts)
            self._features[name, size] = values
        return self._features[name, size]


@dataclass(frozen=True)
class _Layers:
    """Fits the head on some rows, for features as they are."""

    values: np.ndarray
    draw: Draw
    problem: Problem
    strength: float

    def __call__(self, rows: np.ndarray) -> Linear:
        some, scale = _standardised(self.values, rows, self.draw)
        how = Fitting(strength=self.strength, until=Moment.now().later(600.0))
        with one_blas_thread():
            return scale.fold(solve(self.problem, some.values[0], self.problem.targets(some.targets), how))

    def of_places(self, rows: np.ndarray) -> Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]:
        """Return the same by positions among `rows`, for `cross_validate`."""

        def fit(places: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
            layer = self(rows[places])
            return lambda scored: layer(self.values[rows[scored]])

        return fit


def _standardised(values: np.ndarray, rows: np.ndarray, draw: Draw) -> tuple[Features, Scale]:
    some = Features(values[None, rows].copy(), torch.from_numpy(draw.targets(rows)))
    scale = Scale.of(some)
    scale.apply(some)
    return some, scale


class Trainings:
    """Trains configurations from scratch: one for each fold, and one on all images for the test score."""

    def __init__(self, args: argparse.Namespace) -> None:
        scratch = [config for config in SearchSpace.load("cpu").portfolio if not config.get("pretrained")]
        self._configs: list[Config] = scratch[: args.candidates]
        self._epochs = args.epochs

    def __call__(self, draw: Draw) -> list[Scored]:
        """Return the configurations, scored."""
        splits, found = draw.data.splits, []
        plan = TrainPlan(epochs=self._epochs, metric=METRIC, mode="max", seed=draw.seed)
        index = pooled_index(splits)
        order = np.argsort(index)
        tested = draw.part("holdout")
        every = join_rows(splits.train, splits.val, splits.train.index.with_name("every.npy"))
        for config in self._configs:
            trial = CrossValidatedTrial(config, splits=splits, plan=plan)
            for _ in range(self._epochs):
                report = trial.step()
            outputs = trial.trainings.outputs
            split = draw.value(outputs[0], np.load(splits.val.index))
            pooled = in_units(torch.cat(outputs)[order], splits.info).numpy()
            whole = Trainer(config, splits.info, every, plan)
            for _ in range(self._epochs):
                whole.train_round()
            whole.settle()
            logits, _ = predict_rows(whole.averaged, tested, whole.info, size=whole.size)
            scores = {"split": split, "cv": float(report[METRIC])}
            test = draw.value(logits, np.load(tested.index))
            found.append(Scored(float(report["macs"]), scores, pooled, test))
            trial.close()
        return found


def chosen_by(found: Sequence[Scored], draw: Draw) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield each rule, with the test score of its choice and how far the score that chose is from it."""
    yield "mean", (mean(one.test for one in found), nan)
    for rule in found[0].scores:
        best = max(found, key=lambda one: one.scores[rule])
        yield rule, (best.test, abs(best.scores[rule] - best.test))
    rule = list(found[0].scores)[-1]
    best = max(found, key=lambda one: one.scores[rule])
    rows = draw.folds().rows
    targets, scores = draw.targets(rows), {id(one): one.outputs for one in found}
    close = []
    for one in found:
        pair = paired_difference(METRIC, targets, scores[id(best)], scores[id(one)], "classification")
        if one is best or not replace(pair, better=best.scores[rule] - one.scores[rule]).exceeds(1.0):
            close.append(one)
    small = min(close, key=lambda one: one.macs)
    yield "smaller", (small.test, abs(small.scores[rule] - small.test))
    few = max(1, round(len(found) / FOLDS))
    drawn = [max(some, key=lambda one: one.scores["cv"]) for some in combinations(found, few)]
    yield "cv, equal work", (mean(one.test for one in drawn), nan)
    yield "best", (max(one.test for one in found), nan)


def in_words(rule: str, values: Sequence[tuple[float, float]], split: Sequence[tuple[float, float]]) -> str:
    """Return a line of the table: the mean test score, and the mean gain over `split` with its standard error."""
    tests = [test for test, _ in values]
    gains = [test - other for test, (other, _) in zip(tests, split, strict=True)]
    error = stdev(gains) / sqrt(len(gains)) if len(gains) > 1 else nan
    off = mean(off for _, off in values)
    return f"| {rule} | {mean(tests):.4f} | {mean(gains):+.4f} ({error:.4f}) | {off:.4f} |"


if __name__ == "__main__":
    main()
