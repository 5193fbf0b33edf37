"""Does `automl fit` keep its word? Each part runs the real command and checks what it left behind.

    python -m benchmarks.truth statistics
    python -m benchmarks.truth pruning   [--sets demo,cifar10,ants_bees] [--seeds 3] [--time-limit 180]
    python -m benchmarks.truth limits    [--sets digits,ants_bees,seedlings] [--limits 30,60,90,180,300]
    python -m benchmarks.truth delivered [--studies 20] [--time-limit 45]
    python -m benchmarks.truth same      [--data digits]

- statistics: what a score after a few steps is worth, with averaged and with recomputed batch norm statistics.
- pruning: trials that were cut at a value that chance explains, and what the search then chose.
- limits: seconds over the limit, and whether the model is better than the trivial answer where 30 s of logistic
  regression on 16 x 16 pixels is.
- delivered: the model's validation score, measured again from its files, beside that of the best trial; and whether
  what is said about the gap to the holdout is true, by the database.
- same: the same command twice gives the same trials, values, decisions and model.

For all but the first and the last: `--busy N` runs N busy processes beside it, `--package FOLDER` measures another
version of the package, `--kept FILE` keeps rows as JSON lines and goes on from them, `--data FOLDER` and `--weights
FOLDER` are where data sets and published weights lie.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.truth import delivered, limits, pruning, same, statistics

PARTS = {
    "statistics": statistics.main,
    "pruning": pruning.main,
    "limits": limits.main,
    "delivered": delivered.main,
    "same": same.main,
}
SHARED = Path(__file__).parents[3] / "shared"


def main() -> int:
    """Run one part; 0 if all that was promised holds."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--sets", default="")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--limits", default="30,60,90,180,300")
    parser.add_argument("--time-limit", type=int, default=0)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--package", type=Path, default=Path(__file__).parents[2])
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights")
    args = parser.parse_args()
    if not args.data.is_dir():
        sys.exit(f"the data sets must be in {str(args.data)!r}; give their folder with --data")
    return PARTS[args.part](args)


if __name__ == "__main__":
    sys.exit(main())
