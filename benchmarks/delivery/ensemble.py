"""An ensemble against the single model, over several sets."""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

import automl
from automl.config.metrics import METRICS

SETS: dict[str, dict[str, Any]] = {
    "ants_bees": {},
    "seedlings": {},
    "magnetic_tile": {},
    "cards_multilabel": {},
    "bloodcells_regression": {"target": "rbc"},
}
NOISE = 2.0  # standard errors of the single model's score by which the ensemble may be lower


def main(args: argparse.Namespace) -> int:
    """Print holdout scores of both for each set; 0 if the ensemble is nowhere worse by more than noise."""
    print("set, metric: single, ensemble, better by, standard error, members")
    worse = 0
    for name, options in SETS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = {
                deliver: automl.fit(
                    str(args.data / f"{name}.zip"),
                    study=deliver,
                    directory=folder,
                    deliver=deliver,
                    n_trials=args.trials,
                    epochs=args.epochs,
                    engine="local",
                    pretrained="never",
                    img_size=32,
                    val=0.3,
                    progress=False,
                    **options,
                )
                for deliver in ("single", "ensemble")
            }
        metric = found["single"].metric
        single, both = (found[deliver].holdout[metric] for deliver in ("single", "ensemble"))
        sign = 1.0 if METRICS[metric].mode == "max" else -1.0
        better, error = sign * (both.value - single.value), (single.high - single.low) / (2 * 1.96)
        worse += better < -NOISE * error
        members = found["ensemble"].to_json()["retrain"].get("members", [])
        words = ", ".join(row["words"] for row in members) or "none: the single model is delivered"
        print(
            f"{name}, {metric}: {single.value:.4f}, {both.value:.4f}, {better:+.4f}, {error:.4f}, {words}",
            flush=True,
        )
    return int(worse > 0)
