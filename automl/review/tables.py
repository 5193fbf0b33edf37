"""The leaderboard: trials in order, one row each, as rows or CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from automl.errors import StudyError
from automl.records import Mode, TrialRow, TrialState
from automl.search.pareto import on_front

_FIRST = ("rank", "trial", "state")
_NUMBERS = ("epochs", "seconds")
_PARETO = "pareto"
# Of a trial's objectives those that are columns: the parameters of its network, and the multiplications for one image.
EXTENT = ("params", "macs")


def ranked(trials: Iterable[TrialRow], mode: Mode) -> list[TrialRow]:
    """Trials from best to worst by their last value, so that the first leads the search (see `Incumbent`).

    A trial that was cut stands above a longer one only if it was better with less training. Equal values go
    to more epochs, then to the lower number; trials without a finite value come next, failed ones last.
    """

    def key(row: TrialRow) -> tuple[float, ...]:
        finite = row.value is not None and math.isfinite(row.value)
        worse = 0.0 if row.value is None or not finite else (-row.value if mode == "max" else row.value)
        return (row.state is TrialState.FAILED, not finite, worse, -row.rounds, row.trial)

    return sorted(trials, key=key)


def leaderboard_rows(trials: Iterable[TrialRow], metric: str, mode: Mode) -> list[dict[str, Any]]:
    """The leaderboard as dicts with the same keys in each: rank, trial, state, val_METRIC, epochs, seconds, params,
    macs, pareto, family, model, the other parameters, reason. A parameter that a trial does not have is None.

    params, macs and pareto are there where any trial has them. `pareto`: no other trial is at least as good with as
    few parameters, and better or smaller.
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
            "epochs": row.rounds,
            "seconds": round(row.seconds, 3),
            **(_extent(row, front) if front else {}),
            **{name: row.config.get(name) for name in names},
            "reason": row.reason,
        }
        for rank, row in enumerate(rows, 1)
    ]


def pareto_trials(rows: Sequence[TrialRow], mode: Mode) -> set[int]:
    """The numbers of the trials on the front of validation score and parameters; failed ones take no part."""
    unknown = math.nan
    points = [
        (unknown, unknown)
        if row.state is TrialState.FAILED or row.value is None or "params" not in row.objectives
        else (row.value, row.objectives["params"])
        for row in rows
    ]
    return {row.trial for row, best in zip(rows, on_front(points, (mode, "min")), strict=True) if best}


def write_trials(trials: Iterable[TrialRow], metric: str, mode: Mode, path: Path) -> None:
    """Write the leaderboard as CSV (trials.csv of a study; `automl leaderboard --csv`)."""
    rows = leaderboard_rows(trials, metric, mode)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else _columns(metric))
        writer.writeheader()
        writer.writerows(rows)


def read_trials(path: Path) -> tuple[str, list[TrialRow]]:
    """The metric's name and the trials of a trials.csv. Raises StudyError if it is none."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            metric = next(name for name in columns if name.startswith("val_")).removeprefix("val_")
            return metric, [_row(record, metric, columns) for record in reader]
    except (OSError, StopIteration, KeyError, ValueError) as error:
        raise StudyError(f"trials.csv must be a leaderboard, got {str(path)!r} ({error})") from error


def _finite(value: float | None) -> float | None:
    """A failed trial and one without reports may come with NaN: a table shows nothing there."""
    return value if value is not None and math.isfinite(value) else None


def _extent(row: TrialRow, front: Collection[int]) -> dict[str, Any]:
    known = {name: _finite(row.objectives.get(name)) for name in EXTENT}
    whole = {name: None if number is None else int(number) for name, number in known.items()}
    return {**whole, _PARETO: row.trial in front}


def _columns(metric: str) -> list[str]:
    return [*_FIRST, f"val_{metric}", *_NUMBERS, "reason"]


def _row(record: dict[str, str], metric: str, columns: Sequence[str]) -> TrialRow:
    fixed = {*_columns(metric), *EXTENT, _PARETO}
    config = {name: _read(record[name]) for name in columns if name not in fixed and record[name] != ""}
    value = record[f"val_{metric}"]
    return TrialRow(
        trial=int(record["trial"]),
        state=TrialState(record["state"]),
        value=float(value) if value else None,
        rounds=int(record["epochs"]),
        seconds=float(record["seconds"] or 0),
        config=config,
        reason=record.get("reason", ""),
        objectives={name: float(record[name]) for name in EXTENT if record.get(name)},
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
