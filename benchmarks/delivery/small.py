"""The smallest network that keeps the metric, beside its teacher, on images that neither saw."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import automl
from automl.final.cost.latency import measure_latency
from automl.final.cost.network import counts_of
from automl.final.evidence.candidates import Alternative
from automl.final.predictor import Predictor
from automl.machine import cores
from automl.pipeline.distillation.distil import distilled
from automl.records import Interval
from benchmarks.delivery.intervals import test_images

LIMIT = 150  # seconds of a study
CIFAR = 4000  # images of the study; as many others tell how good its models are
WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"


def main(args: argparse.Namespace) -> int:
    """Print a row for the teacher and one for each student of every set; there is no target.

    Both are scored on the test images of the set, of which none was in the study for CIFAR-10, and all were its
    holdout for the others. What is delivered was chosen before.
    """
    if not WEIGHTS.is_dir():
        sys.exit(f"the weights must be in {str(WEIGHTS)!r}")
    print(f"{'':12s} {'':38s} {'parameters':>11s} {'MB':>7s} {'ms':>7s} {'chosen by':>10s}  test images")
    for name, study in (("cifar10", _cifar), ("seedlings", _seedlings), ("ants_bees", _ants_bees)):
        with tempfile.TemporaryDirectory() as folder:
            _compare(name, args, study, folder)
    return 0


Scored = Callable[[Predictor], Interval]


def _compare(name: str, args: argparse.Namespace, study: Any, folder: str) -> None:
    teachers: list[Alternative] = []

    def kept(setup: Any, found: Any, final: Any, should_stop: Any) -> Any:
        teachers.append(final.model)
        return distilled(setup, found, final, should_stop)

    with patch("automl.pipeline.run.distilled", kept):
        result, scored = study(args, folder)
    retrain = result.to_json()["retrain"]
    told = retrain["evidence"].get("distillation")
    if told is None:
        print(f"{name:12s} no student: {retrain['why']}", flush=True)
        return
    teacher = teachers[0].whole or teachers[0].trained
    model = Predictor(teacher.model, teacher.info, teacher.size, mirrored=teachers[0].is_mirrored)
    _row(name, told["teacher"]["name"], told["teacher"]["value"], model, scored)
    for place, one in enumerate(told["students"]):
        words = f"{one['model']} at {one['size']} px, {one['begun_with']}"
        if place == told["chosen"]:
            _row("", f"{words} *", one["value"], result.predictor, scored)
        else:
            value = "-" if one["value"] is None else f"{one['value']:.4f}"
            print(f"{'':12s} {words:38s} {one['params']:11,} {'':7s} {'':7s} {value:>10s}  {one['why']}")
    print(f"{'':12s} may lose {told['max_loss']:.4f} on {told['rows']} images\n", flush=True)


def _row(name: str, words: str, value: float, predictor: Predictor, scored: Scored) -> None:
    counts = counts_of(predictor.model)
    latency = measure_latency(
        predictor.model, channels=predictor.info.in_chans, side=predictor.size, threads=cores()
    )
    print(
        f"{name:12s} {words:38s} {counts.params:11,} {counts.size / 1e6:7.2f} {latency.p50:7.2f} {value:10.4f}  "
        f"{scored(predictor)}",
        flush=True,
    )


def _fit(data: Any, folder: str, **options: Any) -> Any:
    common: dict[str, Any] = {
        "study": "s",
        "directory": folder,
        "deliver": "small",
        "engine": "local",
        "progress": False,
    }
    return automl.fit(data, time_limit=LIMIT, **common, **options)


def _cifar(args: argparse.Namespace, folder: str) -> tuple[Any, Scored]:
    images, labels = test_images(args)
    order = np.random.default_rng(0).permutation(len(images))
    own, rest = order[:CIFAR], order[CIFAR : 2 * CIFAR]
    result = _fit((images[own], labels[own]), folder, pretrained="never", val=0.3)
    return result, lambda predictor: _accuracy(predictor, images[rest], labels[rest])


def _seedlings(args: argparse.Namespace, folder: str) -> tuple[Any, Scored]:
    data = str(args.data / "seedlings.zip")
    result = _fit(data, folder, pretrained="never", metric="accuracy", val=0.3)
    return result, lambda predictor: _accuracy(predictor, data)


def _ants_bees(args: argparse.Namespace, folder: str) -> tuple[Any, Scored]:
    data = str(args.data / "ants_bees.zip")
    # Of 244 images, a third of these is just enough to decide.
    result = _fit(data, folder, pretrained=str(WEIGHTS), metric="accuracy", val=0.4)
    return result, lambda predictor: _accuracy(predictor, data)


def _accuracy(predictor: Predictor, images: Any, labels: Any = None) -> Interval:
    split = "test" if labels is None else None
    return predictor.evaluate(images, labels, metric="accuracy", split=split).metrics["accuracy"].interval
