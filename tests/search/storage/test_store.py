"""The study and our own tables."""

import math
import os
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from automl.errors import ConfigError, StorageError, StudyError
from automl.records import Report, TrialState
from automl.search.policy import Action, Decision
from automl.search.reasons import Code, Reason, crashed
from automl.search.sampling.registry import make_sampler
from automl.search.storage.sql.database import open_database
from automl.search.storage.sql.urls import masked
from automl.search.storage.store import Store, Worker
from tests.search.toy import context, create

KEYS = {"metric": "accuracy", "mode": "max", "max_rounds": 9, "space": {"parameters": {"x": [0, 1]}}}
WORKER = Worker("w0", "node", 7)
ON = Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))
RANK = Reason(Code.PAUSED_AT_RUNG, {"rank": 2, "trials": 3, "round": 3})
PAUSE = Decision(Action.PAUSE, TrialState.PAUSED, RANK, 3)


def open_store(path: Path | None, sampler: str = "random", **changes: Any) -> Store:
    url = None if path is None else f"sqlite:///{path}"
    return Store.open(
        url,
        "s",
        fingerprint={**KEYS, **changes},
        make_sampler=lambda count: make_sampler(sampler, context(count)),
    )


def start(store: Store, time: float = 0.0) -> int:
    number, _ = create(store, time=time)
    store.started(number, WORKER, time)
    return number


def seen_by_optuna(path: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="s", storage=f"sqlite:///{path}").get_trials()


def test_states_in_optuna_follow_the_trial(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    store = open_store(path)
    number = start(store)
    store.flush()
    assert seen_by_optuna(path)[0].state is OptunaState.RUNNING
    store.report(Report(number, 1, 0.5, 1.0), PAUSE, 1.0)
    store.pause(number, 1, PAUSE.reason, 1.0)
    store.flush()
    paused = seen_by_optuna(path)[0]
    assert paused.state is OptunaState.WAITING
    assert paused.user_attrs["paused"] == "after round 1: rank 2 of 3 at round 3"
    store.started(number, WORKER, 2.0)
    store.flush()
    assert seen_by_optuna(path)[0].state is OptunaState.RUNNING
    assert seen_by_optuna(path)[0].user_attrs["paused"] == ""
    store.report(Report(number, 2, 0.6, 1.0), ON, 3.0)
    store.complete(number, 0.6, 3.0)
    done = seen_by_optuna(path)[0]
    assert (done.state, done.value, done.intermediate_values) == (OptunaState.COMPLETE, 0.6, {1: 0.5, 2: 0.6})
    store.close()


def test_stopped_trial_keeps_its_last_value_and_a_failed_one_has_none(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    store = open_store(path)
    cut, broken = start(store), start(store)
    store.report(Report(cut, 1, 0.5, 1.0), ON, 1.0)
    store.end(cut, Decision(Action.STOP, TrialState.PRUNED, Reason(Code.TIME_IS_UP)), 1.0, 0.5)
    store.end(broken, Decision(Action.STOP, TrialState.FAILED, crashed("ValueError: no")), 1.0)
    store.close()
    first, second = seen_by_optuna(path)
    assert (first.state, first.value, first.user_attrs["reason"]) == (OptunaState.PRUNED, 0.5, "time is up")
    assert first.intermediate_values == {1: 0.5}
    assert (second.state, second.value, second.user_attrs["cause"]) == (
        OptunaState.FAIL,
        None,
        "ValueError: no",
    )


def test_reading_back_gives_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    store = open_store(path)
    number, config = create(store, time=0.5)
    store.started(number, WORKER, 1.0)
    store.report(Report(number, 1, math.nan, 2.0, {"accuracy": math.nan, "loss": 3.0}), ON, 3.0)
    store.report(Report(number, 2, 0.25, 2.5, {"accuracy": 0.25}), PAUSE, 5.5)
    store.pause(number, 2, PAUSE.reason, 5.5)
    store.checkpoint(number, 2, "trials/t0000/checkpoint")
    store.close()
    again = open_store(path)
    (trial,) = again.trials()
    again.close()
    assert (trial.state, trial.config, trial.origin) == (TrialState.PAUSED, config, "sampler")
    assert math.isnan(trial.reports[0].value) and trial.reports[0].metrics["loss"] == 3.0
    assert trial.reports[1] == Report(number, 2, 0.25, 2.5, {"accuracy": 0.25})
    assert trial.report_times == (3.0, 5.5)
    assert (trial.checkpoint, trial.reason, trial.interrupted) == (2, PAUSE.reason, False)
    assert (trial.started, trial.ended, trial.seconds, trial.rounds) == (1.0, 5.5, 4.5, 2)


def test_report_of_a_round_run_again_replaces_the_first(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    number = start(store)
    store.report(Report(number, 1, 0.1, 1.0), ON, 1.0)
    store.report(Report(number, 1, 0.2, 1.0), ON, 2.0)
    assert [report.value for report in store.trials()[0].reports] == [0.2]
    store.close()
    assert seen_by_optuna(tmp_path / "study.db")[0].intermediate_values == {1: 0.2}


def test_sampler_sees_a_paused_trial_as_pruned_and_never_as_waiting() -> None:
    store = open_store(None)
    number = start(store)
    store.report(Report(number, 3, 0.5, 1.0), PAUSE, 1.0)
    store.pause(number, 3, PAUSE.reason, 1.0)
    study = store.mirror
    assert [trial.state for trial in study.get_trials()] == [OptunaState.PRUNED]
    assert study.get_trials()[0].intermediate_values == {3: 0.5}
    assert study.get_trials(states=(OptunaState.WAITING, OptunaState.RUNNING)) == []
    assert start(store) == 1
    store.started(number, WORKER, 2.0)
    assert study.get_trials()[0].state is OptunaState.RUNNING
    store.close()


def test_fixed_parameters_are_used_and_origin_is_told(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    number, config = create(store, time=0, fixed={"x": 0.25, "kind": "a"}, origin="portfolio")
    assert (number, config) == (0, {"x": 0.25, "kind": "a"})
    assert store.trials()[0].origin == "portfolio"
    store.close()
    assert seen_by_optuna(tmp_path / "study.db")[0].user_attrs["origin"] == "portfolio"


def test_continued_study_does_not_draw_its_first_points_again(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    first = [create(store, time=0)[1]["x"] for _ in range(3)]
    store.close()
    store = open_store(tmp_path / "study.db")
    number, config = create(store, time=0)
    store.close()
    assert number == 3 and config["x"] not in first


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"metric": "loss"}, "metric was 'accuracy', now 'loss'"),
        ({"mode": "min"}, "mode was 'max', now 'min'"),
        ({"space": {"parameters": {"x": [0, 2]}}}, r"space.parameters.x was \[0, 1\], now \[0, 2\]"),
        ({"data": "abc"}, "data was None, now 'abc'"),
    ],
)
def test_study_with_other_settings_is_refused_with_the_difference(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    open_store(tmp_path / "study.db").close()
    with pytest.raises(StudyError, match=told):
        open_store(tmp_path / "study.db", **change)


def test_study_of_somebody_else_is_refused(tmp_path: Path) -> None:
    study = optuna.create_study(
        study_name="s", storage=f"sqlite:///{tmp_path}/study.db", direction="maximize"
    )
    study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(StudyError, match="not made by automl"):
        open_store(tmp_path / "study.db")


def test_second_search_on_a_study_is_refused_by_name_until_the_first_is_over(tmp_path: Path) -> None:
    one = open_store(tmp_path / "study.db")
    with pytest.raises(StudyError, match=rf"another \(.*:{os.getpid()}\) is running 's' in sqlite"):
        open_store(tmp_path / "study.db")
    start(one)
    one.close()
    two = open_store(tmp_path / "study.db")
    assert start(two) == 1
    two.close()
    assert {path.name for path in tmp_path.iterdir()} == {"study.db"}


def test_database_is_in_wal_mode(tmp_path: Path) -> None:
    open_store(tmp_path / "study.db").close()
    with sqlite3.connect(tmp_path / "study.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_two_studies_share_a_database_without_mixing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    stores = [
        Store.open(url, name, fingerprint=KEYS, make_sampler=lambda count: make_sampler("random", context(0)))
        for name in ("one", "two")
    ]
    for store in stores:
        number = start(store)
        assert number == 0
        store.report(Report(number, 1, 0.5, 1.0), ON, 1.0)
    assert [len(store.trials()[0].reports) for store in stores] == [1, 1]
    for store in stores:
        store.close()


def test_password_is_never_shown() -> None:
    shown = masked("postgresql://me:secret@host/db")
    assert "secret" not in shown and "me" in shown
    assert "secret" not in masked("not a url with secret")


def test_what_is_no_url_is_told_without_repeating_it() -> None:
    with pytest.raises(ConfigError, match="must be a database URL") as found:
        open_database("my secret password")
    assert "secret" not in str(found.value)


def test_unreachable_database_is_a_storage_error_without_the_password(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing/folder/study.db"
    with pytest.raises(StorageError, match="cannot be read or written: unable to open database file"):
        open_database(url)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_database_that_was_removed_while_the_search_ran_is_said(tmp_path: Path, how: str) -> None:
    path = tmp_path / "study.db"
    store = open_store(path)
    number = start(store)
    store.report(Report(number, 1, 0.5, 1.0), ON, 1.0)
    store.flush()
    path.unlink()
    if how == "replaced":
        path.touch()
    with pytest.raises(
        StorageError, match=r"study\.db' was removed or replaced while the study ran.*--overwrite"
    ):
        store.report(Report(number, 2, 0.6, 1.0), ON, 2.0)
        store.flush()
    with pytest.raises(StorageError, match="was removed or replaced"):
        store.close()


def test_database_that_is_removed_after_the_last_report_is_said_too(tmp_path: Path) -> None:
    store = open_store(tmp_path / "study.db")
    start(store)
    store.flush()
    (tmp_path / "study.db").unlink()
    with pytest.raises(StorageError, match="was removed or replaced"):
        store.close()
