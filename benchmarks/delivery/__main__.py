"""What people do with a model afterwards: how fast and how true it is.

    python -m benchmarks.delivery predict  [--images 512] [--rounds 3] [--threads 0]
    python -m benchmarks.delivery evaluate [--rows 10000]
    python -m benchmarks.delivery export   [--sets cifar10,seedlings] [--networks resnet18,...] [--epochs 4]
    python -m benchmarks.delivery families
    python -m benchmarks.delivery reject   [--studies 20] [--rows 1500]
    python -m benchmarks.delivery intervals [--studies 20]
    python -m benchmarks.delivery unknown  [--time-limit 60]
    python -m benchmarks.delivery ensemble [--trials 4] [--epochs 4]
    python -m benchmarks.delivery soup     [--trials 4] [--epochs 4]

- predict: images a second of `predict` against a bare batched forward over decoded images (target: 90 %), and the
  seconds from torch's own import to the first prediction of a fresh process (target: 1 s).
- evaluate: seconds that an evaluation takes after the images were scored, which the deadline of `fit` pays for.
- export: a network of each kind is trained for some epochs and exported to ONNX, OpenVINO and int8. In float, equal
  answers on the holdout and scores within 1e-4; int8 loses a point at most, and is 1.5 times as fast or 3 times as
  small.
- families: the smallest network of each family of every preset, with random weights, in each format.
- reject: how often the answers that `--reject 0.95` leaves are right on the holdout of small studies.
- intervals: whether the interval of the holdout contains the accuracy on many more images, for small studies of
  CIFAR-10 (target: 18 of 20).
- ensemble: `--deliver ensemble` against the single model on five sets (target: nowhere worse by more than two standard
  errors).
- soup: `--deliver soup` and `ensemble` against the single model of the same search, which fine-tunes the weights in the
  folder beside the data, on ants_bees and magnetic_tile (same target).
- unknown: how well a model of ants and bees tells seedlings from its own holdout (target: AUROC of .9).

Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.delivery import (
    ensemble,
    evaluate,
    export,
    families,
    intervals,
    predict,
    reject,
    soup,
    unknown,
)

PARTS = {
    "predict": predict.main,
    "evaluate": evaluate.main,
    "export": export.main,
    "families": families.main,
    "reject": reject.main,
    "intervals": intervals.main,
    "unknown": unknown.main,
    "ensemble": ensemble.main,
    "soup": soup.main,
}
ROWS = {"evaluate": 10_000, "reject": 1500}


def main() -> int:
    """Run one part; 0 if its targets are reached."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.delivery",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--time-limit", type=int, default=60)
    parser.add_argument("--sets", default="cifar10,seedlings")
    parser.add_argument("--networks", default=",".join(export.NETWORKS))
    parser.add_argument("--epochs", type=int, default=4, help="of training for each network")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 keeps its own number")
    args = parser.parse_args()
    args.rows = args.rows or ROWS.get(args.part, 0)
    return PARTS[args.part](args)


if __name__ == "__main__":
    sys.exit(main())
