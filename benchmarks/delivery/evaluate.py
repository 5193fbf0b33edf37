"""Seconds that an evaluation takes, once the images are scored."""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from automl.final.evaluation.answers import write_answers
from automl.final.evaluation.compute import Scored, evaluation_of, metric_names, metric_scores
from automl.training.steps.trivial import trivial_by_counts
from benchmarks.delivery.models import make_model

CLASSES = (2, 10, 100, 1000)
MOST_S = 2.0  # for all that is new beside the metrics and their intervals


def main(args: argparse.Namespace) -> int:
    """Print a row for each number of classes; 1 if one takes too long."""
    good = True
    print(f"{'classes':>8s} {'rows':>8s} {'metrics s':>10s} {'rest s':>8s} {'table s':>8s}")
    for classes in CLASSES:
        with tempfile.TemporaryDirectory() as folder:
            info = make_model(Path(folder) / "model", "resnet10t", 32, classes=classes)
            rng = np.random.default_rng(0)
            targets = rng.integers(0, classes, args.rows)
            scores = rng.random((args.rows, classes), dtype=np.float32)
            scores[np.arange(args.rows), targets] += 1.0
            scores /= scores.sum(axis=1, keepdims=True)
            begun = time.perf_counter()
            metrics = metric_scores(
                metric_names("accuracy", "classification"),
                targets,
                scores,
                "classification",
                trivial=partial(trivial_by_counts, info=info),
            )
            scored = time.perf_counter()
            evaluation_of(targets, scores, info, "accuracy", metrics).to_json()
            evaluated = time.perf_counter()
            files = tuple(f"{row:06d}.png" for row in range(args.rows))
            write_answers(Path(folder) / "answers.csv", Scored(files, targets, scores), info)
            taken = (scored - begun, evaluated - scored, time.perf_counter() - evaluated)
            print(f"{classes:8d} {args.rows:8d} {taken[0]:10.2f} {taken[1]:8.2f} {taken[2]:8.2f}", flush=True)
            good &= taken[1] + taken[2] <= MOST_S
    print(f"\ntarget: evaluation and table at most {MOST_S} s")
    return 0 if good else 1
