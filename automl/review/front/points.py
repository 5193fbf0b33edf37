"""Points of the front: what each model of a study scores and costs, and which ones no other beats."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from automl.errors import AutomlError
from automl.final.cost.network import Network
from automl.records import VAL_ROWS, Config, Mode, TrialRow, TrialState
from automl.review.front.exports import proofs_of
from automl.review.front.kept import Kept, Where
from automl.review.front.latencies import Latencies, Measured
from automl.review.front.networks import StudyNetworks
from automl.review.front.several import Several, several_of
from automl.review.studies import MODEL_FOLDER, StudyFolder
from automl.review.tables import ranked
from automl.search.pareto import on_front

FLOAT = "float32"


@dataclass(frozen=True)
class Point:
    """A model that can be chosen: a trial, a soup or an ensemble as it is (`form` is "float32"), or an export of one.

    `value` is its score on the validation images; if these were not all, `val_rows` counts them, and `error` is its
    standard error. `latency` has the milliseconds for one image (None if unknown), `measured` where and how (None for
    an export, whose proof has it), and `size` the bytes of its file.
    `weights` says where its weights are, "" if they are gone. `trial` is None for a model of several, whose `members`
    have words.
    """

    trial: int | None
    form: str
    value: float
    latency: float | None
    size: int
    params: int
    kind: str
    weights: str
    config: Config
    members: tuple[str, ...] = ()
    val_rows: int = 0
    error: float = 0.0
    measured: Measured | None = None

    def worth(self, mode: Mode) -> float:
        """Return the value, worse by its standard error if it is of fewer than all validation images."""
        return self.value - self.error if mode == "max" else self.value + self.error

    def to_row(self, metric: str) -> dict[str, Any]:
        """Return it for JSON and CSV."""
        return {
            "trial": self.trial,
            "form": self.form,
            f"val_{metric}": self.value,
            VAL_ROWS: self.val_rows or None,
            "latency_ms": self.latency,
            "latency_on": None if self.measured is None else self.measured.where,
            "size_bytes": self.size,
            "params": self.params,
            "kind": self.kind,
            "weights": self.weights,
            "model": self.config.get("model"),
            "members": list(self.members),
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

    The score of an int8 export is that of its model, less what int8 lost on the images of its proof.
    """
    costs = _Costs(StudyNetworks.of(study), latencies, note)
    found: list[Point] = []
    for row in ranked(trials, mode):
        if row.state is TrialState.FAILED or row.value is None or not math.isfinite(row.value):
            continue
        place = kept.get(row.trial)
        point = Point(
            trial=row.trial,
            form=FLOAT,
            value=row.value,
            latency=None,
            size=0,
            params=0,
            kind=row.kind,
            weights="" if place is None else place.where.value,
            config=row.config,
            val_rows=row.val_rows,
            error=row.error,
        )
        found += costs.added(study, point, costs.of_trial(row), _folder(place))
    for one in several_of(study, trials):
        point = Point(
            trial=None,
            form=FLOAT,
            value=one.value,
            latency=None,
            size=0,
            params=0,
            kind=one.kind,
            weights=one.place,
            config=one.config,
            members=one.members,
        )
        found += costs.added(study, point, costs.of_several(one), one.folder)
    return sorted(found, key=lambda point: _from_best(point, mode))


def _folder(kept: Kept | None) -> Path | None:
    """Return the model folder with these weights; None if there is none."""
    if kept is None or kept.where not in (Where.MODEL, Where.BEFORE):
        return None
    return kept.path if kept.where is Where.MODEL else kept.path / MODEL_FOLDER


@dataclass(frozen=True)
class _Costs:
    """Adds what models cost, as their networks are counted and measured."""

    networks: StudyNetworks
    latencies: Latencies
    note: Callable[[str], None]

    def of_trial(self, row: TrialRow) -> Network | None:
        """Return the network of a trial; None if it cannot be built, such as a user's function that is gone."""
        try:
            return self.networks.network(row.config)
        except (AutomlError, RuntimeError, TypeError, ValueError):
            return None

    def of_several(self, several: Several) -> Network | None:
        """Return the network of a soup or an ensemble; None if its folder is damaged."""
        try:
            return several.network(self.networks)
        except (AutomlError, OSError, RuntimeError, KeyError, TypeError, ValueError):
            return None

    def added(
        self, study: StudyFolder, point: Point, network: Network | None, folder: Path | None
    ) -> list[Point]:
        """Return a point with its costs, and its exports; nothing if its network is unknown."""
        try:
            counts = None if network is None else network.counted()
        except (AutomlError, RuntimeError, TypeError, ValueError):
            return []
        if network is None or counts is None:
            return []
        measured = self.latencies.of(network, self.networks.info.in_chans, self.note)
        latency = None if measured is None else measured.milliseconds
        whole = replace(point, latency=latency, measured=measured, size=counts.size, params=counts.params)
        return [whole, *([] if folder is None else _exports(study, whole, folder))]


def front(points: Sequence[Point], mode: Mode) -> list[Point]:
    """Return the points that no other beats in metric, latency and size, the best by metric first.

    Points without a latency are none of them.
    """
    values = [
        (one.worth(mode), math.nan if one.latency is None else one.latency, float(one.size)) for one in points
    ]
    best = [one for one, on in zip(points, on_front(values, (mode, "min", "min")), strict=True) if on]
    return sorted(best, key=lambda one: _from_best(one, mode))


def _from_best(point: Point, mode: Mode) -> float:
    return -point.worth(mode) if mode == "max" else point.worth(mode)


def write_front(points: Iterable[Point], metric: str, path: Path) -> None:
    """Write points as CSV. Raises OSError."""
    rows = [{**one.to_row(metric), "members": ", ".join(one.members)} for one in points]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["trial"])
        writer.writeheader()
        writer.writerows(rows)


def _exports(study: StudyFolder, point: Point, folder: Path) -> Iterator[Point]:
    """Yield the int8 exports of the model in a folder."""
    for proof, place in proofs_of(study.path, folder):
        try:
            lost = float(proof["torch_value"]) - float(proof["value"]["value"])
            latency = next(float(one["p50"]) for one in proof["latency"] if one["batch"] == 1)
            size, layers, form = int(proof["bytes"]), int(proof["int8_layers"]), f"int8 {proof['format']}"
        except (ValueError, KeyError, TypeError, StopIteration):  # none that automl wrote
            continue
        if layers:
            yield replace(
                point,
                form=form,
                value=point.value - lost,
                latency=latency,
                measured=None,
                size=size,
                weights=place,
            )
