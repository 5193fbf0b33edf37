"""Further objectives beside the metric: kept, shown, and never steering."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy

from automl.errors import ConfigError, TrialError
from automl.records import Config
from automl.search.storage.summary import read_summary
from automl.search.tune import TuneResult, tune

_SPACE = {
    "parameters": {
        "x": {"type": "float", "low": 0, "high": 1},
        "size": {"type": "int", "low": 1, "high": 64, "log": True},
    }
}


def _objective(config: Config) -> Iterator[dict[str, float]]:
    """The larger the better and the slower; tiny ones cannot be timed."""
    for round in range(1, 10):
        cost = math.nan if config["size"] < 2 else config["size"] * (1 + 0.1 * round)
        yield {"score": config["x"] * (1 - 0.5**round) * config["size"] ** 0.3, "cost": cost, "seconds": 1.0}


def _tune(**changes: Any) -> TuneResult:
    options: dict[str, Any] = {
        "metric": "score",
        "max_epochs": 9,
        "n_trials": 30,
        "engine": "simulated",
        "sampler": "random",
        "parallel": 2,
        "objectives": {"cost": "min"},
    }
    return tune(_objective, _SPACE, **{**options, **changes})


def test_front_holds_what_nothing_beats() -> None:
    found = _tune()
    trials, front = found.trials, found.pareto
    assert front is not None and 1 < len(front) < len(trials)
    assert (
        front["number"].tolist()
        == trials[trials["pareto"]].sort_values("value", ascending=False)["number"].tolist()
    )
    for value, cost, pareto in zip(trials["value"], trials["cost"], trials["pareto"], strict=True):
        beaten = ((front["value"] >= value) & (front["cost"] <= cost)).any()
        assert pareto or beaten or math.isnan(cost)
    assert not trials[trials["cost"].isna()]["pareto"].any()


def test_objectives_do_not_steer_the_search() -> None:
    alone, beside = _tune(objectives=None), _tune()
    assert alone.pareto is None and "pareto" not in alone.trials
    assert alone.trials.equals(beside.trials[alone.trials.columns.tolist()])


def test_values_are_stored_for_sql_and_for_the_dashboard(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    found = _tune(storage=url)
    expected = dict(zip(found.trials["number"], found.trials["cost"], strict=True))
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(
            sqlalchemy.text("select trial, name, mode, value from automl_objectives")
        ).all()
    engine.dispose()
    assert {(row[1], row[2]) for row in rows} == {("cost", "min")}
    stored = {row[0]: math.nan if row[3] is None else row[3] for row in rows}
    assert stored == pytest.approx(expected, nan_ok=True)
    storage = optuna.storages.RDBStorage(url)
    shown = {trial.number: trial.user_attrs["cost (min)"] for trial in storage.get_all_trials(1)}
    assert {n: math.nan if v is None else v for n, v in shown.items()} == pytest.approx(expected, nan_ok=True)
    assert len(storage.get_study_directions(1)) == 1
    storage.engine.dispose()


def test_continued_study_has_the_same_front(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    first = _tune(storage=url)
    again = _tune(storage=url)
    assert first.pareto is not None and again.pareto is not None
    assert first.pareto.equals(again.pareto)
    longer = _tune(storage=url, n_trials=40)
    assert len(longer.trials) == 40
    # What was reported is enough for objectives that were not asked for at first.
    later = _tune(storage=url, n_trials=40, objectives={"cost": "max"})
    assert later.pareto is not None and later.trials["cost"].equals(longer.trials["cost"])


def test_objective_that_is_not_reported_ends_the_search() -> None:
    with pytest.raises(
        TrialError, match="must report the metric 'costs', but trial 0 reported 'cost', 'score'"
    ):
        _tune(objectives={"costs": "min"})


@pytest.mark.parametrize(
    ("objectives", "problem"),
    [
        ({"cost": "less"}, "objectives.cost must be 'max' or 'min', got 'less'"),
        ({"score": "max"}, "objectives must have other names than the metric 'score'"),
        ({"seconds": "min"}, "got 'seconds': report it under another name"),
        (["cost"], "objectives must be a mapping such as"),
    ],
)
def test_wrong_objectives_are_refused(objectives: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        _tune(objectives=objectives)


def test_summary_of_a_study_knows_its_objectives_also_without_their_table(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    found = _tune(storage=url)
    costs = zip(found.trials["number"], found.trials["cost"], strict=True)
    expected = {number: cost for number, cost in costs if not math.isnan(cost)}
    summary = read_summary(url, "tune")
    assert summary is not None
    assert {row.trial: row.objectives["cost"] for row in summary.trials if row.objectives} == pytest.approx(
        expected
    )
    assert "params" not in summary.trials[0].objectives
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("drop table automl_objectives"))
    engine.dispose()
    earlier = read_summary(url, "tune")
    assert earlier is not None and len(earlier.trials) == 30
    assert earlier.trials[0].objectives == {}
