"""The leaderboard: trials from best to worst, as rows or CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl.documents.bounded_file import read_bounded
from automl.errors import StudyError
from automl.final.evidence.delivery import COMBINED, Delivery
from automl.records import VAL_ROWS, Mode, TrialRow, TrialState
from automl.review.studies import WRONG_VALUES
from automl.search.pareto import on_front
from automl.search.storage.kinds import kind_of

_FIRST = ("rank", "trial", "state")
_NUMBERS = ("rounds", "epochs", "seconds")
_LAST = (VAL_ROWS, "reason", "kind", "delivered")
_PARETO = "pareto"
_MOST_BYTES = 2**28  # of trials.csv: a million trials
# Objectives that are columns: the parameters of the network, and its multiplications for one image.
MODEL_SIZE = ("params", "macs")


def ranked(trials: Iterable[TrialRow], mode: Mode) -> list[TrialRow]:
    """Sort trials from best to worst by their last value.

    The first training leads the search (see `Incumbent`). A pruned trial is above a longer one only if it was better
    with less training. Of equal values, more rounds come first, then the lower number. Trials without a finite value
    follow; failed ones are last. Linear heads are among them by their value, but never lead the search. A value of
    fewer than all validation rows counts as worse by its standard error (`worth`), so that it is above one of all rows
    only if it is better by more than that.
    """

    def key(row: TrialRow) -> tuple[float, ...]:
        finite = row.value is not None and math.isfinite(row.value)
        worse = (
            0.0
            if row.value is None or not finite
            else (-worth(row, mode) if mode == "max" else worth(row, mode))
        )
        return (row.state is TrialState.FAILED, not finite, worse, -row.rounds, row.trial)

    return sorted(trials, key=key)


def worth(row: TrialRow, mode: Mode) -> float:
    """Return the value of a trial, worse by its standard error if it is of fewer than all validation rows.

    NaN without a value.
    """
    if row.value is None:
        return math.nan
    return row.value - row.error if mode == "max" else row.value + row.error


def few_images(trials: Iterable[TrialRow], n_val: int) -> list[str]:
    """Return a sentence for each trial whose score is of fewer than all `n_val` validation images."""
    return [
        f"trial {row.trial} was scored on {row.val_rows:,} of {n_val:,} validation images: its score counts as worse "
        f"by its standard error, {row.error:.4f}"
        for row in trials
        if row.val_rows and row.value is not None
    ]


@dataclass(frozen=True)
class Delivered:
    """The trial that the delivered model is of, and how that was made: `retrain.how` in result.json.

    A distilled network is of no trial.
    """

    trial: int | None
    how: str


def delivered_of(retrain: Mapping[str, Any], best: int | None) -> Delivered:
    """Return what is delivered, from the entry `retrain` of result.json and the number of the best trial."""
    how = str(retrain.get("how", Delivery.RETRAINED))  # an earlier version always retrained
    members = retrain.get("members")
    if how in COMBINED and members:  # the first one is what would have been delivered alone
        best = members[0].get("trial")
    if retrain.get("made", how) == Delivery.DISTILLED:
        return Delivered(None, how)
    return Delivered(retrain.get("trial", None if how == Delivery.HEAD else best), how)


def leaderboard_rows(
    trials: Iterable[TrialRow], metric: str, mode: Mode, delivered: Delivered | None = None
) -> list[dict[str, Any]]:
    """Return the leaderboard as dicts with the same keys: rank, trial, state, val_METRIC, rounds, epochs, seconds,
    params, macs, pareto, family, model, the other parameters, val_rows, reason, kind, delivered. What a trial does not
    have is None.

    val_rows is on how many validation rows the trial was scored, None if on all.

    kind is what model the trial is. delivered is how the delivered model was made, in the row of its trial, and "" in
    the others. params, macs and pareto are left out if no trial has them. `pareto`: no other trial is at least as good
    with as few parameters, and better or smaller.
    """
    rows = ranked(trials, mode)
    front = pareto_trials(rows, mode)
    names = list(dict.fromkeys(name for row in rows for name in row.config))
    names = [name for name in ("family", "model") if name in names] + [
        name for name in names if name not in ("family", "model")
    ]
    return [
        {
            "rank": rank,
            "trial": row.trial,
            "state": str(row.state),
            f"val_{metric}": _finite(row.value),
            "rounds": row.rounds,
            "epochs": row.epochs,
            "seconds": round(row.seconds, 3),
            **(_model_size(row, front) if front else {}),
            **{name: row.config.get(name) for name in names},
            VAL_ROWS: row.val_rows or None,
            "reason": row.reason,
            "kind": row.kind,
            "delivered": delivered.how if delivered is not None and delivered.trial == row.trial else "",
        }
        for rank, row in enumerate(rows, 1)
    ]


def pareto_trials(rows: Sequence[TrialRow], mode: Mode) -> set[int]:
    """Return the trials on the pareto front of validation score and parameters, without failed ones."""
    unknown = math.nan
    points = [
        (unknown, unknown)
        if row.state is TrialState.FAILED or row.value is None or "params" not in row.objectives
        else (worth(row, mode), row.objectives["params"])
        for row in rows
    ]
    return {row.trial for row, best in zip(rows, on_front(points, (mode, "min")), strict=True) if best}


def write_trials(
    trials: Iterable[TrialRow], metric: str, mode: Mode, path: Path, delivered: Delivered | None = None
) -> None:
    """Write the leaderboard as CSV (trials.csv of a study; `automl leaderboard --csv`)."""
    rows = leaderboard_rows(trials, metric, mode, delivered)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else _columns(metric))
        writer.writeheader()
        writer.writerows(rows)


def read_trials(path: Path) -> tuple[str, list[TrialRow]]:
    """Return the metric's name and the trials of a trials.csv. Raises StudyError if it is none."""
    try:
        text = read_bounded(path, _MOST_BYTES).decode("utf-8")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        columns = list(reader.fieldnames or ())
        metric = next(name for name in columns if name.startswith("val_")).removeprefix("val_")
        return metric, [_row(record, metric, columns) for record in reader]
    except (OSError, StopIteration, csv.Error, *WRONG_VALUES) as error:
        raise StudyError(f"trials.csv must be a leaderboard, got {str(path)!r} ({error})") from error


def _finite(value: float | None) -> float | None:
    """Return the value, or None for NaN, which failed trials may have."""
    return value if value is not None and math.isfinite(value) else None


def _model_size(row: TrialRow, front: Collection[int]) -> dict[str, Any]:
    known = {name: _finite(row.objectives.get(name)) for name in MODEL_SIZE}
    whole = {name: None if number is None else int(number) for name, number in known.items()}
    return {**whole, _PARETO: row.trial in front}


def _columns(metric: str) -> list[str]:
    return [*_FIRST, f"val_{metric}", *_NUMBERS, *_LAST]


def _row(record: dict[str, str], metric: str, columns: Sequence[str]) -> TrialRow:
    fixed = {*_columns(metric), *MODEL_SIZE, _PARETO}
    config = {name: _read(record[name]) for name in columns if name not in fixed and record[name] != ""}
    value = record[f"val_{metric}"]
    return TrialRow(
        trial=int(record["trial"]),
        state=TrialState(record["state"]),
        value=float(value) if value else None,
        # Earlier versions had one column, `epochs`, which counted rounds.
        rounds=int(record["rounds"] if "rounds" in columns else record["epochs"]),
        seconds=float(record["seconds"] or 0),
        config=config,
        reason=record.get("reason", ""),
        objectives={name: float(record[name]) for name in MODEL_SIZE if record.get(name)},
        epochs=float(record["epochs"]) if "rounds" in columns and record["epochs"] else None,
        val_rows=int(record.get(VAL_ROWS) or 0),
        kind=record["kind"] if "kind" in columns else kind_of(config),
    )


def _read(text: str) -> Any:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
