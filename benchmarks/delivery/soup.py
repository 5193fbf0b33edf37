"""A soup and an ensemble against the single model, in studies that fine-tune the same weights."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

import automl
from automl.config.metrics import METRICS
from automl.records import Interval, Silent

SETS = ("ants_bees", "magnetic_tile")
Deliver = Literal["soup", "single", "ensemble"]
DELIVER: tuple[Deliver, ...] = ("soup", "single", "ensemble")  # the first one searches
NOISE = 2.0  # standard errors of the single model's score by which another may be lower
# Fine-tunings of two networks at the size of their linear heads, which may be members, at rates that are not far apart.
SPACE: dict[str, Any] = {
    "families": {"efficientnet_lite": ["tf_efficientnet_lite0", "tf_efficientnet_lite1"]},
    "parameters": {
        "pretrained": {"type": "categorical", "choices": [True]},
        "size": {"type": "categorical", "choices": [224], "when": {"pretrained": True}},
        "freeze": {"type": "categorical", "choices": ["stages", "half"], "when": {"pretrained": True}},
        "freeze_norm": {"type": "categorical", "choices": [True], "when": {"pretrained": True}},
        "lr": {"type": "float", "low": 2e-4, "high": 2e-3, "log": True},
        "augment": {"type": "float", "low": 0.0, "high": 0.6},
        "hflip": {"type": "categorical", "choices": [True, False]},
    },
}


def main(args: argparse.Namespace) -> int:
    """Print a line for each set; 0 if soup and ensemble are nowhere worse than the single model by more than noise.

    All three are made of one search: its folder is copied before its end, so that the trials are the same.
    """
    print("set, metric: single, soup, ensemble (standard error of the single one); what was delivered")
    worse = 0
    for name in SETS:
        with tempfile.TemporaryDirectory() as folder:
            reasons = {deliver: _Reasons() for deliver in DELIVER}
            found = {one: _fitted(args, name, one, Path(folder), reasons[one]) for one in DELIVER}
        metric = found["single"].metric
        held: dict[str, Interval] = {deliver: result.holdout[metric] for deliver, result in found.items()}
        sign, error = 1.0 if METRICS[metric].mode == "max" else -1.0, _error(held["single"])
        worse += any(sign * (held[one].value - held["single"].value) < -NOISE * error for one in DELIVER)
        values = ", ".join(f"{held[deliver].value:.4f}" for deliver in ("single", "soup", "ensemble"))
        made = "; ".join(f"{one}: {_made(found[one], reasons[one])}" for one in DELIVER if one != "single")
        print(f"{name}, {metric}: {values} ({error:.4f}); {made}", flush=True)
    return int(worse > 0)


def _fitted(
    args: argparse.Namespace, name: str, deliver: Deliver, folder: Path, reasons: _Reasons
) -> automl.FitResult:
    if deliver != DELIVER[0]:
        study = folder / deliver / name
        shutil.copytree(folder / DELIVER[0] / name, study)
        for path in ("result.json", "holdout.json"):
            (study / path).unlink()
        shutil.rmtree(study / "model")
    return automl.fit(
        str(args.data / f"{name}.zip"),
        study=name,
        directory=folder / deliver,
        deliver=deliver,
        space=SPACE,
        n_trials=args.trials,
        epochs=args.epochs,
        pretrained=str(args.data.parent / "weights"),
        engine="local",
        val=0.3,
        observer=reasons,
        progress=False,
    )


class _Reasons(Silent):
    """Keeps the sentences on why nothing was combined."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        """Kept if it is one of them."""
        if text.startswith("No "):
            self.said.append(text.rstrip("."))


def _error(held: Interval) -> float:
    return (held.high - held.low) / (2 * 1.96)


def _made(result: automl.FitResult, reasons: _Reasons) -> str:
    """Return what was delivered, with the losses on the images that decided."""
    retrain = result.to_json()["retrain"]
    if retrain["how"] not in DELIVER:
        return "; ".join([str(retrain["how"]), *reasons.said])
    losses = retrain["evidence"][retrain["how"]]["losses"]
    members = ", ".join(member["words"] for member in retrain["members"])
    return f"{members} (loss {losses[0]:.3f} to {losses[-1]:.3f})"
