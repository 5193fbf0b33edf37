"""What linear heads on frozen features are worth, by the side of their images and by the rows that are read.

    python -m benchmarks.heads --sets ants_bees,seedlings,magnetic_tile,cifar10 --sizes 128,160,224 --parts 0.25,0.5,1

Features of EfficientNet-Lite0 are computed once for each set and size. Heads on random parts of the training rows, on
the last features and on those from all depths, are scored by cross-validation in five folds of all rows but those of
the holdout; the mean of all draws is shown.
Seconds are those of the features of all rows, so nothing else should run. cifar10 is 4,000 of its images.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np

from automl.data.folds import repeated_folds
from automl.data.prepare import prepare_data
from automl.data.sources import open_source
from automl.machine import Moment, cores
from automl.records import SearchSplits
from automl.spaces import SearchSpace
from automl.training.heads import FeatureHeads, Head
from automl.training.models.weight_sources import in_folder
from benchmarks.transfer import NETWORK, SETS, SHARED
from benchmarks.truth.runs import source_of, table

LONG = 3600.0  # seconds: nothing is cut


def main() -> None:
    """Fit what was asked for, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="ants_bees,seedlings,magnetic_tile,cifar10")
    parser.add_argument("--sizes", default="128,160,224")
    parser.add_argument("--parts", default="0.25,0.5,1")
    parser.add_argument("--resize", choices=("crop", "squeeze"), default="crop")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights")
    args = parser.parse_args()
    sizes, parts = (
        [int(text) for text in args.sizes.split(",")],
        [float(text) for text in args.parts.split(",")],
    )
    rows = []
    for name in args.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(name, args, Path(folder))
            for size in sizes:
                rows += [[name, size, part, *bench.fitted(size, part, args.draws)] for part in parts]
                print(*rows[-len(parts) :], sep="\n", flush=True)
    table(["set", "size", "part of the rows", "last features", "all depths", "seconds for all"], rows)


class Bench:
    """One data set, decoded, and the features that were read already."""

    def __init__(self, name: str, args: argparse.Namespace, folder: Path) -> None:
        self.metric = SETS[name].metric if name in SETS else "accuracy"
        labels = SETS[name].labels if name in SETS else ()
        kept = SETS[name].zip if name in SETS else name
        source = open_source(source_of(kept, args.data, folder), target=",".join(labels) or None)
        data = prepare_data(
            source,
            cache_dir=folder / "cache",
            study_dir=folder / "study",
            img_size=64,
            large_size=224,
            resize=args.resize,
            seed=0,
        )
        self.splits, self.folder = data.splits, folder
        self.folds = repeated_folds(data.labelled, data.split, folds=5, repeats=1, seed=0)
        self.weights = in_folder(args.weights)[NETWORK]
        portfolio = SearchSpace.load("cpu").portfolio
        tuned = next(config for config in portfolio if config["pretrained"])
        self.config = tuned | {"family": "efficientnet_lite", "model": NETWORK, "freeze": "head"}
        self.seconds: dict[int, float] = {}

    def fitted(self, size: int, part: float, draws: int) -> tuple[float, float, float]:
        """Return the mean metrics of both heads on this part of the rows, and the seconds for the features of all."""
        if size not in self.seconds:
            self.seconds[size] = self._heads(self.splits, size)[0].seconds
        found = [self._heads(self._part(part, draw), size) for draw in range(draws if part < 1.0 else 1)]
        last, deep = (mean(_crossed(heads[place]) for heads in found) for place in (0, 1))
        return last, deep, self.seconds[size]

    def _part(self, part: float, draw: int) -> SearchSplits:
        index = np.load(self.splits.train.index)
        some = np.sort(np.random.default_rng(draw).permutation(index)[: max(10, round(part * len(index)))])
        path = self.folder / f"rows-{part}-{draw}.npy"
        np.save(path, some)
        train = replace(self.splits.train, index=path, n=len(some))
        return replace(self.splits, train=train, info=replace(self.splits.info, n_train=len(some)))

    def _heads(self, splits: SearchSplits, size: int) -> list[Head]:
        heads = FeatureHeads(
            splits=splits,
            metric=self.metric,
            threads=cores(),
            cache=self.folder / "features",
            views=1,
            folds=self.folds,
        )
        found = heads.fit_both(self.weights, self.config | {"size": size}, until=Moment.now().later(LONG))
        assert len(found) == 2
        return found


def _crossed(head: Head) -> float:
    assert head.out_of_fold is not None
    return head.out_of_fold.value


if __name__ == "__main__":
    main()
