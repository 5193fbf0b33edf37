"""What the curve of a short training says about a long one of the same configuration.

    python -m benchmarks.projection measure --kept FILE [--sets ants_bees,seedlings,magnetic_tile,cards_multilabel]
    python -m benchmarks.projection fit --kept FILE

- measure: trains the first configuration from scratch and the first from published weights for several lengths, each
  with its whole schedule, and keeps the validation metric of every round.
- fit: each shorter training projects the longer ones by `automl.final.evidence.projection`; the table has the error of
  the projected value, and how often the better kind at the longer length is found from two short trainings.

Work is counted in images, so neither depends on how busy the machine is.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from automl.config.metrics import METRICS
from automl.final.evidence.projection import project
from benchmarks.transfer import NETWORK, SETS, SHARED
from benchmarks.truth.runs import table

IMAGES = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000)  # of fine-tuning; from scratch ten times as many
FASTER = 10  # images from scratch for each of fine-tuning: about what the same time holds
ROUNDS = 6  # reports of a training
LEAST, MOST = 3.0, 20.0  # times the shorter length that is projected


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["measure", "fit"])
    parser.add_argument("--sets", default="ants_bees,seedlings,magnetic_tile,cards_multilabel")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights")
    parser.add_argument("--kept", type=Path, required=True)
    args = parser.parse_args()
    if args.part == "measure":
        measure(args)
    else:
        fit(args.kept)


def measure(args: argparse.Namespace) -> None:
    """Append a JSON line for each training to the file, but for those that it holds."""
    done = read(args.kept)
    for name, seed in product(args.sets.split(","), range(args.seeds)):
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(name, seed, args, Path(folder))
            for images, pretrained in product(IMAGES, (True, False)):
                job = {"set": name, "seed": seed, "pretrained": pretrained, "images": images}
                if not any(job.items() <= row.items() for row in done):
                    row = job | bench.trained(images * (1 if pretrained else FASTER), pretrained=pretrained)
                    with args.kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
                    print(
                        name,
                        seed,
                        pretrained,
                        images,
                        row["values"][-1],
                        f"{row['seconds']:.0f} s",
                        flush=True,
                    )


class Bench:
    """One data set, decoded, with the linear head of the network that has weights."""

    def __init__(self, name: str, seed: int, args: argparse.Namespace, folder: Path) -> None:
        from automl.data.prepare import prepare_data
        from automl.data.sources import open_source
        from automl.machine import Moment
        from automl.spaces import SearchSpace
        from automl.training.heads import fit_feature_head
        from automl.training.models.finetune import save_head
        from automl.training.models.weight_sources import in_folder
        from automl.training.plan import TrainPlan

        what = SETS[name]
        source = open_source(str(args.data / f"{what.zip}.zip"), target=",".join(what.labels) or None)
        self.data = prepare_data(
            source,
            cache_dir=folder / "cache",
            study_dir=folder / "study",
            img_size=64,
            large_size=224,
            seed=seed,
        )
        self.seed, mode = seed, METRICS[what.metric].mode
        portfolio = SearchSpace.load("cpu").portfolio
        self.scratch = next(config for config in portfolio if not config["pretrained"])
        tuned = next(config for config in portfolio if config["pretrained"])
        self.tuned = tuned | {"family": "efficientnet_lite", "model": NETWORK, "drop_path": 0.0}
        weights = {NETWORK: in_folder(args.weights)[NETWORK]}
        head = fit_feature_head(
            self.data.splits,
            weights[NETWORK],
            self.tuned | {"size": 224, "freeze": "head"},
            metric=what.metric,
            until=Moment.now().later(600.0),
            balance="none",
            seed=seed,
            threads=1,
            device="cpu",
            cache=folder / "features",
            views=1,
        )
        assert head is not None
        classifier: Any = head.model.get_classifier()  # type: ignore[operator]
        save_head(classifier.weight, classifier.bias, folder / "head")
        self.plan = TrainPlan(
            epochs=1,
            metric=what.metric,
            mode=mode,
            seed=seed,
            precision="bf16",
            weights=weights,
            heads={NETWORK: folder / "head"},
        )
        print(name, seed, "head", round(head.val_score, 4), flush=True)

    def trained(self, images: int, *, pretrained: bool) -> dict[str, Any]:
        """Train on about so many images, and return the metric after each round, with the images seen by then."""
        from automl.training.trial import ImageTrial

        splits = self.data.splits
        epochs = max(1, round(images / splits.info.n_train))
        trial = ImageTrial(
            dict(self.tuned if pretrained else self.scratch),
            splits=splits,
            plan=replace(self.plan, epochs=epochs),
        )
        begun, work, values = time.monotonic(), list[float](), list[float]()
        for _ in range(epochs):
            report = trial.step()
            work.append(float(report["images"]))
            values.append(float(report[self.plan.metric]))
        trial.close()
        return {
            "metric": self.plan.metric,
            "n_val": splits.info.n_val,
            "work": np.cumsum(work).tolist(),
            "values": values,
            "seconds": time.monotonic() - begun,
        }


def read(path: Path) -> list[dict[str, Any]]:
    """The rows that were kept."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def fit(path: Path) -> None:
    """Print how well shorter trainings project longer ones."""
    rows, shown = read(path), []
    for pretrained in (True, False):
        errors = []
        for short, long in product(rows, rows):
            same = all(short[key] == long[key] == value for key, value in (("pretrained", pretrained),))
            if not same or (short["set"], short["seed"]) != (long["set"], long["seed"]):
                continue
            times = long["work"][-1] / short["work"][-1]
            if LEAST <= times <= MOST:
                value = project(short["work"], short["values"], times, short["metric"])
                errors.append(value - long["values"][-1])
        if errors:
            shown.append(
                [
                    "pretrained" if pretrained else "from scratch",
                    len(errors),
                    float(np.mean(errors)),
                    math.sqrt(float(np.mean(np.square(errors)))),
                ]
            )
    table(["training", "pairs", "mean error", "root mean square"], shown)


if __name__ == "__main__":
    main()
