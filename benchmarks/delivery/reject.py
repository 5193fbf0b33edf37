"""Is `--reject` right as often as it says, on the holdouts of small studies?"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from automl.errors import ModelError
from automl.final.intervals import wilson
from benchmarks.delivery.models import shades, small_study

FREQUENCY = 0.95


def main(args: argparse.Namespace) -> int:
    """Print a row for each study; 1 if answers are clearly less often right than promised in more than one of ten."""
    broken = promised = 0
    print(
        f"{'study':>6s} {'val rows':>9s} {'answered':>9s} {'right':>6s} {'95 % interval':>16s}  temperature"
    )
    for seed in range(args.studies):
        with tempfile.TemporaryDirectory() as folder:
            result = small_study(*shades(args.rows, seed), folder, seed, n_trials=1)
            table = pd.read_csv(Path(folder) / f"s{seed}" / "holdout_predictions.csv")
            rows, temperature = result.document["data"]["n_val"], result.predictor.temperature
            try:
                least = result.predictor.threshold(FREQUENCY).confidence
            except ModelError:
                print(
                    f"{seed:6d} {rows:9d} {'-':>9s} {'-':>6s} {'not promised':>16s}  {temperature:.2f}",
                    flush=True,
                )
                continue
        answered = table[table["confidence"] >= least]
        right = float(np.mean(answered["label"] == answered["predicted"])) if len(answered) else 1.0
        low, high = wilson(right, len(answered))
        promised, broken = promised + 1, broken + (high < FREQUENCY)
        share = len(answered) / len(table)
        print(
            f"{seed:6d} {rows:9d} {share:9.2f} {right:6.3f} {f'{low:.3f} to {high:.3f}':>16s}  {temperature:.2f}",
            flush=True,
        )
    print(
        f"\n{promised} of {args.studies} promised {FREQUENCY}, {broken} broken (target: at most one of ten)"
    )
    return 0 if broken <= promised / 10 else 1
