"""Points of the front: what each model of a study scores and costs, and which ones no other beats."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_json
from automl.errors import AutomlError
from automl.records import Config, Mode, TrialRow, TrialState
from automl.review.front.kept import Kept, delivered_trial
from automl.review.front.latencies import Latencies
from automl.review.front.networks import StudyNetworks
from automl.review.studies import StudyFolder
from automl.review.tables import ranked
from automl.search.pareto import on_front

FLOAT = "float32"


@dataclass(frozen=True)
class Point:
    """A model that can be chosen: a trial as it is (`form` is "float32"), or an export of the delivered model.

    `value` is its score on the validation images, `latency` its milliseconds for one image (None if unknown), `size`
    the bytes of its file. `weights` says where its weights are, "" if they are gone.
    """

    trial: int
    form: str
    value: float
    latency: float | None
    size: int
    params: int
    kind: str
    weights: str
    config: Config

    def to_row(self, metric: str) -> dict[str, Any]:
        """Return it for JSON and CSV."""
        return {
            "trial": self.trial,
            "form": self.form,
            f"val_{metric}": self.value,
            "latency_ms": self.latency,
            "size_bytes": self.size,
            "params": self.params,
            "kind": self.kind,
            "weights": self.weights,
            "model": self.config.get("model"),
        }


def points_of(
    study: StudyFolder,
    trials: Sequence[TrialRow],
    mode: Mode,
    latencies: Latencies,
    kept: Mapping[int, Kept],
    note: Callable[[str], None] = lambda text: None,
) -> list[Point]:
    """Return all models of a study with their costs, the best by metric first; without failed and unscored trials.

    int8 exports follow their trial: their score is the trial's, less what int8 lost on the images of its proof.
    """
    networks = StudyNetworks.of(study)
    found: list[Point] = []
    for row in ranked(trials, mode):
        if row.state is TrialState.FAILED or row.value is None or not math.isfinite(row.value):
            continue
        try:
            network = networks.network(row.config)
            counts = network.counted()
        except (AutomlError, RuntimeError, TypeError, ValueError):  # a user's function that is gone
            continue
        latency = latencies.of(network, networks.info.in_chans, note)
        weights = kept[row.trial].where.value if row.trial in kept else ""
        point = Point(
            row.trial, FLOAT, row.value, latency, counts.size, counts.params, row.kind, weights, row.config
        )
        found += [point, *_exports(study, point)]
    return found


def front(points: Sequence[Point], mode: Mode) -> list[Point]:
    """Return the points that no other beats in metric, latency and size, the best by metric first.

    Points without a latency are none of them.
    """
    values = [
        (one.value, math.nan if one.latency is None else one.latency, float(one.size)) for one in points
    ]
    best = [one for one, on in zip(points, on_front(values, (mode, "min", "min")), strict=True) if on]
    return sorted(best, key=lambda one: -one.value if mode == "max" else one.value)


def write_front(points: Iterable[Point], metric: str, path: Path) -> None:
    """Write points as CSV. Raises OSError."""
    rows = [one.to_row(metric) for one in points]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["trial"])
        writer.writeheader()
        writer.writerows(rows)


def _exports(study: StudyFolder, point: Point) -> list[Point]:
    """Return the int8 exports of the delivered model, if it is of this trial."""
    if delivered_trial(study.result) != point.trial:
        return []
    found = []
    for file in sorted(study.model_dir.glob("*/proof.json")):
        try:
            proof = read_json(file)
            lost = float(proof["torch_value"]) - float(proof["value"]["value"])
            latency = next(float(one["p50"]) for one in proof["latency"] if one["batch"] == 1)
            size, layers = int(proof["bytes"]), int(proof["int8_layers"])
        except (OSError, ValueError, KeyError, TypeError, StopIteration):  # none that automl wrote
            continue
        if layers:
            form = f"int8 {proof['format']}"
            found.append(
                Point(
                    point.trial,
                    form,
                    point.value - lost,
                    latency,
                    size,
                    point.params,
                    point.kind,
                    str(file.parent.relative_to(study.path)),
                    point.config,
                )
            )
    return found
