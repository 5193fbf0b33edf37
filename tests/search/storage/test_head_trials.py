"""Linear heads in the study: trials of their own, which the search does not see."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from automl.records import Config, HeadTrial, TrialState
from automl.search import SearchResult, search
from automl.search.objective import Objective
from automl.search.sampling.registry import SAMPLERS
from automl.search.storage.event_log import read_events
from automl.search.storage.reader import StoredTrial
from automl.search.storage.sql.dashboard_storage import BulkStorage
from automl.search.storage.sql.database import open_database, open_optuna
from automl.search.storage.store import Store
from automl.search.storage.summary import read_summary
from tests.search.sampling.test_registry import NEEDS
from tests.search.storage.test_store import open_store, start
from tests.search.toy import ToySpace, climb, settings

PIXELS = HeadTrial(
    "pixels",
    {"model": "linear", "estimator": "logistic regression", "strength": 0.01},
    0.625,
    1.5,
    {"params": 30.0},
)
FEATURES = HeadTrial(
    "features of net at 224 px",
    {"model": "net", "pretrained": True, "size": 224, "estimator": "logistic regression", "strength": 1.0},
    0.96,
    11.0,
    {"params": 4e6, "train_rows": 200.0},
)


def run(
    url: str | None = None,
    *,
    heads: tuple[HeadTrial, ...] = (),
    objective: Objective = climb,
    **changes: Any,
) -> SearchResult:
    return search(objective, ToySpace(), settings(heads=heads, storage=url, **changes))


def sized(config: Config) -> Iterator[dict[str, float]]:
    for step in climb(config):
        yield {**step, "params": 1e6}


def shown(path: Path) -> list[FrozenTrial]:
    return optuna.load_study(study_name="s", storage=f"sqlite:///{path}").get_trials()


def test_head_is_a_complete_trial_that_says_what_it_is(tmp_path: Path) -> None:
    with_heads(tmp_path / "study.db", (PIXELS, FEATURES)).close()
    pixels, features = shown(tmp_path / "study.db")
    assert (pixels.number, pixels.state, pixels.value) == (0, OptunaState.COMPLETE, 0.625)
    assert pixels.user_attrs["kind"] == "head on pixels" and pixels.user_attrs["origin"] == "head"
    assert features.user_attrs["kind"] == "head on features"
    assert features.user_attrs["model"] == "net" and features.user_attrs["strength"] == 1.0
    assert features.user_attrs["estimator"] == "logistic regression" and features.user_attrs["size"] == 224
    assert features.params == {}  # they would be parameters of the search in the dashboard's plots
    assert features.system_attrs == {"automl:head": "features of net at 224 px"}
    assert features.duration is not None and features.duration.total_seconds() == pytest.approx(11.0, abs=0.1)
    assert features.intermediate_values == {}


def with_heads(path: Path | None, heads: tuple[HeadTrial, ...]) -> Store:
    store = open_store(path)
    store.keep_heads(heads)
    return store


def test_head_is_read_back_apart_from_the_trainings(tmp_path: Path) -> None:
    store = with_heads(tmp_path / "study.db", (PIXELS, FEATURES))
    assert len(store) == 0 and start(store) == 2 and len(store) == 1
    (training,) = store.trials()
    pixels, features = store.heads()
    store.close()
    assert (training.number, training.is_head) == (2, False)
    assert (features.number, features.state, features.value) == (1, TrialState.COMPLETE, 0.96)
    assert (features.config, features.kind) == (FEATURES.config, "head on features")
    assert (features.rounds, features.seconds, features.epochs) == (0, 11.0, None)
    assert features.metrics["train_rows"] == 200.0
    assert pixels.config == PIXELS.config and not pixels.interrupted


def test_continued_study_finds_its_heads_by_their_keys(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    store = with_heads(path, (PIXELS, FEATURES))
    start(store)
    store.close()
    better = HeadTrial(FEATURES.key, {**FEATURES.config, "strength": 0.3}, 0.97, 4.0, {"train_rows": 300.0})
    other = HeadTrial("features of other at 240 px", {**FEATURES.config, "model": "other"}, 0.9, 2.0)
    again = with_heads(path, (PIXELS, better, other))
    assert [trial.number for trial in again.trials()] == [2]
    assert start(again) == 4
    heads = again.heads()
    again.close()
    assert [(trial.number, trial.value, trial.seconds) for trial in heads] == [
        (0, 0.625, 1.5),
        (1, 0.97, 4.0),
        (3, 0.9, 2.0),
    ]
    assert heads[1].config["strength"] == 0.3
    trial = shown(path)[1]
    assert (trial.value, trial.user_attrs["strength"]) == (0.97, 0.3)


def test_value_of_a_head_is_final_unless_more_rows_say_another(tmp_path: Path) -> None:
    """A fit that had less time, or other threads, has another value on the same rows."""
    path = tmp_path / "study.db"
    with_heads(path, (PIXELS, FEATURES)).close()
    with sqlite3.connect(path) as database:
        before = list(database.iterdump())
    hurried = replace(FEATURES, value=0.5, seconds=9.0, config={**FEATURES.config, "strength": 0.1})
    with_heads(path, (replace(PIXELS, value=0.6), hurried)).close()
    with sqlite3.connect(path) as database:
        assert list(database.iterdump()) == before


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_search_is_the_same_with_heads_as_without(sampler: str, tmp_path: Path) -> None:
    if package := NEEDS.get(sampler):
        pytest.importorskip(package)
    plain = run(sampler=sampler, seed=3)
    found = run(f"sqlite:///{tmp_path}/study.db", heads=(PIXELS, FEATURES), sampler=sampler, seed=3)
    assert len(found.heads) == 2 and len(found.trials) == 12
    assert [told(trial, 2) for trial in found.trials] == [told(trial, 0) for trial in plain.trials]
    assert (found.best.config, found.best.value) == (plain.best.config, plain.best.value)
    assert found.best.number == plain.best.number + 2 and found.counts["total"] == 12


def told(trial: StoredTrial, before: int) -> tuple[int, Config, TrialState, list[tuple[int, float]]]:
    reports = [(report.round, report.value) for report in trial.reports]
    return trial.number - before, trial.config, trial.state, reports


@pytest.mark.parametrize("policy", ["auto", "asha"])
def test_continued_search_is_the_same_with_heads_as_without(policy: str, tmp_path: Path) -> None:
    found = []
    for name, heads in (("plain", ()), ("with", (PIXELS, FEATURES))):
        url = f"sqlite:///{tmp_path}/{name}.db"
        run(url, heads=heads, n_trials=6, policy=policy)
        found.append(run(url, heads=heads, n_trials=14, policy=policy))
    plain, with_them = found
    assert [told(trial, 2) for trial in with_them.trials] == [told(trial, 0) for trial in plain.trials]
    assert [head.number for head in with_them.heads] == [0, 1]


def test_log_of_the_search_knows_no_heads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    run(url, heads=(PIXELS, FEATURES))
    database = open_database(url)
    with database.engine.connect() as connection:
        events = read_events(connection, 1)
    database.close()
    assert events and not {0, 1} & {event.trial for event in events}


def test_tables_are_read_with_heads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    found = run(url, heads=(FEATURES,), objectives={"params": "min"}, objective=sized)
    summary = read_summary(url, "search")
    assert summary is not None
    head, *trainings = summary.trials
    assert (head.kind, head.value, head.rounds, head.seconds) == ("head on features", 0.96, 0, 11.0)
    assert head.objectives == {"params": 4e6} and head.reason == ""
    assert [row.trial for row in trainings] == [trial.number for trial in found.trials]
    bulk = open_optuna(url, BulkStorage).get_all_trials(1)
    assert [trial.number for trial in bulk] == list(range(len(summary.trials)))
    assert bulk[0].user_attrs["kind"] == "head on features"
