"""The demo: `automl fit digits --time-limit 3m`, from an empty cache.

    python benchmarks/demo.py [--rounds 1] [--time-limit 180]

Prints holdout accuracy and the time of the whole command. Targets on 2 cores: at least 0.97, at most 2 % over the
limit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time


def main() -> None:
    """Run it, and print a row a round."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--time-limit", type=int, default=180)
    args = parser.parse_args()
    print(
        f"{'seed':>4s} {'accuracy':>9s} {'interval':>18s} {'seconds':>8s} {'over':>7s} {'trials':>7s} {'busy':>6s}"
    )
    for seed in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "automl", "fit", "digits", "--json", "--directory", folder]
            command += ["--time-limit", str(args.time_limit), "--seed", str(seed)]
            environment = {**os.environ, "AUTOML_CACHE_DIR": f"{folder}/cache"}
            begun = time.perf_counter()
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            seconds = time.perf_counter() - begun
        result = json.loads(done.stdout)
        held = result["holdout"]["accuracy"]
        interval = f"{held['low']:.4f} to {held['high']:.4f}"
        over = f"{seconds / args.time_limit - 1:+.1%}"
        busy = result["work"]["busy_fraction"]
        total = result["trials"]["total"]
        print(
            f"{seed:4d} {held['value']:9.4f} {interval:>18s} {seconds:8.1f} {over:>7s} {total:7d} {busy:6.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
