"""Are images of another data set told from those of the study's own holdout? With published weights."""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

import automl
from automl.data import open_source
from automl.data.pixels import load_pixels
from automl.data.sources.base import Source
from automl.final.confidence.known_features import KnownFeatures
from automl.final.confidence.measure_known import measure_known
from automl.final.predictor import Predictor
from automl.records import Rows

SHARED = Path(__file__).parents[3] / "shared"
LEAST = 0.9
UNKNOWN = 150  # images of the other set


def main(args: argparse.Namespace) -> int:
    """Print the area under the ROC curve of each score; 1 if that of the distance is below .9."""
    data, weights = SHARED / "data", SHARED / "weights"
    if not (data / "ants_bees.zip").is_file() or not weights.is_dir():
        sys.exit(f"the data sets and weights must be in {str(SHARED)!r}")
    with tempfile.TemporaryDirectory() as folder:
        result = automl.fit(
            str(data / "ants_bees.zip"),
            study="ab",
            directory=folder,
            time_limit=args.time_limit,
            pretrained=str(weights),
            engine="local",
            progress=False,
        )
        model = automl.load("ab", directory=folder)
        config = result.document["retrain"].get("config", result.best_config)
        print(
            f"{config['model']}, pretrained {bool(config.get('pretrained'))}, {result.holdout['accuracy']}",
            flush=True,
        )
        parts = split_rows(Path(folder) / "ab" / "splits.csv")
        own, other = open_source(str(data / "ants_bees.zip")), open_source(str(data / "seedlings.zip"))
        place = {file: i for i, file in enumerate(own.files)}
        if model.known is None:  # there was no time for it under the limit
            model.known = known_of(model, own, parts, place, Path(folder))
        inside = [own.load(place[file]) for file in parts["holdout"]]
        rows = np.random.default_rng(0).choice(len(other.files), UNKNOWN, replace=False)
        outside = [other.load(i) for i in rows.tolist()]
        truth = np.repeat([0, 1], [len(inside), len(outside)])
        sure = model.predict_proba([*inside, *outside]).max(axis=1)
        far = model.unknown([*inside, *outside])
    areas = {
        "highest probability": roc_auc_score(truth, -sure),
        "distance to features": roc_auc_score(truth, far),
    }
    for name, area in areas.items():
        print(f"{name:22s} AUROC {area:.3f}")
    known, unknown = float((far[truth == 0] > 1).mean()), float((far[truth == 1] > 1).mean())
    print(
        f"above 1: {known:.1%} of the holdout, {unknown:.1%} of the other set (target: AUROC of at least {LEAST})"
    )
    return 0 if areas["distance to features"] >= LEAST else 1


def split_rows(table: Path) -> dict[str, list[str]]:
    """Return the files of each part of a study."""
    found: dict[str, list[str]] = {}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["split"], []).append(row["file"])
    return found


def known_of(
    model: Predictor, source: Source, parts: dict[str, list[str]], place: dict[str, int], folder: Path
) -> KnownFeatures | None:
    """Return the features that `fit` would have measured with more time."""
    made = {}
    for part in ("train", "val"):
        pixels = np.stack([load_pixels(source.load(place[file]), model.info) for file in parts[part]])
        np.save(folder / f"{part}.npy", pixels)
        np.save(folder / f"{part}_index.npy", np.arange(len(pixels)))
        made[part] = Rows(
            folder / f"{part}.npy", folder / "none.npy", folder / f"{part}_index.npy", len(pixels)
        )
    return measure_known(model, made["train"], made["val"], seconds=600.0, seed=0)
