"""How far changes of a recipe carry a training of a given length, from published weights or from scratch.

    python -m benchmarks.finetuning --sets magnetic_tile,seedlings,ants_bees --images 10000 --changes CHANGES

CHANGES is a JSON list of changes of the first configuration of the preset `cpu`, such as
`[{"lr": 3e-4}, {"lr": 3e-4, "sched": "onecycle", "warmup": 0.25}, {"pretrained": false}]`. A fine-tuning begins with
the linear head. Each is trained with its whole schedule on about so many images (`images` in a change: on so many), and
the metric and the loss on the validation rows are printed after the last epoch. Work is counted in images, so the
figures do not depend on how busy the machine is; seconds are those of the CPU, on one thread. With `"keep": true` in a
change, the outputs of the frozen part are kept, as in the final training.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from automl.config.metrics import METRICS
from benchmarks.transfer import NETWORK, SETS, SHARED
from benchmarks.truth.runs import table

DEFAULTS = [{"lr": 3e-4}, {"lr": 1e-3}, {"lr": 3e-4, "label_smoothing": 0.1}, {"pretrained": False}]


def main() -> None:
    """Train what was asked for, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="ants_bees,seedlings,magnetic_tile")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--changes", type=json.loads, default=DEFAULTS)
    parser.add_argument("--balance", choices=["none", "sampler"], default="none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights")
    args = parser.parse_args()
    rows = []
    for name in args.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(name, args, Path(folder))
            rows += [[name, json.dumps(change), *bench.trained(dict(change))] for change in args.changes]
    table(["set", "change", "epochs", "metric", "loss", "seconds"], rows)


class Bench:
    """One data set, decoded, with the linear head of the network that has weights."""

    def __init__(self, name: str, args: argparse.Namespace, folder: Path) -> None:
        from automl.data.prepare import prepare_data
        from automl.data.sources import open_source
        from automl.machine import Moment
        from automl.spaces import SearchSpace
        from automl.training.heads import FeatureHeads
        from automl.training.models.finetune import Classifier, save_head
        from automl.training.models.weight_sources import in_folder
        from automl.training.plan import TrainPlan

        what, seed = SETS[name], args.seed
        source = open_source(str(args.data / f"{what.zip}.zip"), target=",".join(what.labels) or None)
        self.data = prepare_data(
            source,
            cache_dir=folder / "cache",
            study_dir=folder / "study",
            img_size=64,
            large_size=224,
            seed=seed,
        )
        self.images, mode = args.images, METRICS[what.metric].mode
        portfolio = SearchSpace.load("cpu").portfolio
        self.scratch = next(config for config in portfolio if not config["pretrained"])
        tuned = next(config for config in portfolio if config["pretrained"])
        self.tuned = tuned | {"family": "efficientnet_lite", "model": NETWORK, "drop_path": 0.0}
        weights = {NETWORK: in_folder(args.weights)[NETWORK]}
        heads = FeatureHeads(
            splits=self.data.splits,
            metric=what.metric,
            balance=args.balance,
            seed=seed,
            cache=folder / "features",
            views=1,
        )
        config = self.tuned | {"size": 224, "freeze": "head"}
        head = heads.fit(weights[NETWORK], config, until=Moment.now().later(600.0))
        assert head is not None
        classifier = Classifier.of(head.model)
        assert classifier is not None
        save_head(classifier.weight, classifier.bias, folder / "head")
        self.plan = TrainPlan(
            epochs=1,
            metric=what.metric,
            mode=mode,
            seed=seed,
            precision="bf16",
            balance=args.balance,
            weights=weights,
            heads={NETWORK: folder / "head"},
        )
        print(name, "linear head", round(head.val_score, 4), flush=True)

    def trained(self, change: dict[str, Any]) -> tuple[int, float, float, float]:
        """Return the epochs, the metric, the loss and the seconds of a training."""
        from automl.training.trial import ImageTrial

        splits, pretrained = self.data.splits, change.pop("pretrained", True)
        epochs = max(1, round(change.pop("images", self.images) / splits.info.n_train))
        keep = change.pop("keep", False)
        config = (self.tuned if pretrained else self.scratch) | change
        begun = time.process_time()
        trial = ImageTrial(config, splits=splits, plan=replace(self.plan, epochs=epochs))
        if keep:
            trial.trainer.keep_outputs()
        for _ in range(epochs):
            report = trial.step()
        trial.close()
        found = float(report[self.plan.metric]), float(report["val_loss"])
        seconds = time.process_time() - begun
        print(change, pretrained, keep, epochs, *found, seconds, flush=True)
        return epochs, *found, seconds


if __name__ == "__main__":
    main()
