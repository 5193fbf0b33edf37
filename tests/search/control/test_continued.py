"""A study that is continued: its unfinished trials go on, and a short time is used or explained."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from automl.records import TrialState
from automl.search.control import disk_space
from automl.search.control.deadline import resumed_unfinished
from automl.search.control.trial import LiveTrial
from automl.search.policy import NextKind
from automl.search.reasons import Code, Reason
from automl.search.storage.summary import read_summary
from tests.search.control.bench import Bench
from tests.search.toy import code_of

UNFINISHED, PRUNED = TrialState.UNFINISHED, TrialState.PRUNED


@contextmanager
def opened(folder: Path, **changes: Any) -> Iterator[Bench]:
    """A search of the study in `folder`, which ends when the block does."""
    bench = Bench(folder, **{"n_trials": None, "time_limit": 100.0, "policy": "asha", **changes})
    try:
        yield bench
        bench.coordinator.finish()
    finally:
        bench.store.close()


def cut(bench: Bench, *values: float, saved: bool = True) -> int:
    """Start a trial, which the end of the search will cut after these rounds, between two rungs."""
    trial = bench.coordinator.start().number
    for value in values:
        bench.run_round(trial, value, saved=saved)
    return trial


def in_optuna(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="s", storage=f"sqlite:///{folder}/study.db").get_trials()


def rows_of(folder: Path) -> dict[str, list[Any]]:
    """All rows of the study but those that say that a search began."""
    with sqlite3.connect(folder / "study.db") as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names}
        rows["automl_decisions"] = database.execute(
            "SELECT * FROM automl_decisions WHERE action != 'search'"
        ).fetchall()
    return rows


def states(folder: Path) -> list[TrialState]:
    found = read_summary(f"sqlite:///{folder}/study.db", "s")
    assert found is not None
    return [row.state for row in found.trials]


def test_trials_that_the_time_cut_go_on_from_their_checkpoints_the_best_first(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        cut(bench, 0.4)
        cut(bench, 0.6)
        bench.now += 100
    assert states(tmp_path) == [UNFINISHED] * 2
    with opened(tmp_path) as again:
        for best in (1, 0):
            choice = again.coordinator.next()
            assert (choice.kind, choice.trial) == (NextKind.RESUME, best)
            assert (choice.reason.code, str(choice.reason)) == (
                Code.WAS_CUT,
                "goes on: the time was up after round 1",
            )
            assert again.coordinator.resume(best, choice.reason).round == 1
        again.run_round(1, 0.7)
        assert [report.round for report in again.store.trials()[1].reports] == [1, 2]
        again.now += 100
    assert TrialState.RUNNING not in states(tmp_path)


def test_trial_that_goes_on_is_for_optuna_as_if_it_had_never_ended(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        cut(bench, 0.4)
        bench.now += 100
    (ended,) = in_optuna(tmp_path)
    assert (ended.state, ended.value) == (OptunaState.PRUNED, 0.4) and ended.user_attrs["unfinished"]
    with opened(tmp_path) as again:
        again.coordinator.resume(0, again.coordinator.next().reason)
        again.store.flush()
        (running,) = in_optuna(tmp_path)
        assert (running.state, running.value, running.datetime_complete) == (OptunaState.RUNNING, None, None)
        assert running.user_attrs["unfinished"] == running.user_attrs["reason"] == ""
        assert [trial.state for trial in again.store.mirror.get_trials()] == [OptunaState.RUNNING]
        again.run_round(0, 0.5, done=True)
    (done,) = in_optuna(tmp_path)
    assert (done.state, done.value, done.intermediate_values) == (OptunaState.COMPLETE, 0.5, {1: 0.4, 2: 0.5})
    assert states(tmp_path) == [TrialState.COMPLETE]


def test_trial_that_goes_on_may_be_unfinished_again(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        cut(bench, 0.4)
        bench.now += 100
    for value in (0.5, 0.6):
        with opened(tmp_path) as again:
            again.coordinator.resume(0, again.coordinator.next().reason)
            again.run_round(0, value, saved=True)
            again.now += 100
        (ended,) = in_optuna(tmp_path)
        assert (ended.state, ended.value) == (OptunaState.PRUNED, value)
        assert states(tmp_path) == [UNFINISHED] and ended.user_attrs["unfinished"]


def test_trial_without_a_checkpoint_or_a_finite_value_stays_unfinished(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        cut(bench, 0.4, saved=False)
        cut(bench, math.nan)
        bench.now += 100
    with opened(tmp_path) as again:
        assert again.coordinator.next().kind is NextKind.START
        again.now += 100
    assert states(tmp_path) == [UNFINISHED] * 2


def test_trial_that_paused_unbeaten_waits_for_its_promotion_and_is_pruned_once_others_are_better(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, time_limit=30) as bench:
        trial = cut(bench, 0.3, 0.3)
        assert trial not in bench.coordinator.running
        bench.now += 30
    assert states(tmp_path) == [UNFINISHED]
    with opened(tmp_path, parallel=4) as again:
        assert again.coordinator.next().kind is NextKind.START
        for value in (0.5, 0.6, 0.7):
            cut(again, value, value)
        again.now += 100
    assert states(tmp_path)[0] is PRUNED
    pruned = in_optuna(tmp_path)[0]
    assert (pruned.value, pruned.user_attrs["unfinished"]) == (0.3, "")
    assert pruned.user_attrs["reason"].startswith("rank 4 of 4 at round 2")
    assert not (tmp_path / "trials" / "t0000" / "checkpoint").exists()


def test_best_trial_that_paused_is_finished_in_time_by_the_next_search(tmp_path: Path) -> None:
    with opened(tmp_path, time_limit=30) as bench:
        cut(bench, 0.3, 0.3)
        bench.now += 30
    with opened(tmp_path, time_limit=17) as again:  # 7 rounds of 2 s, and 15 % to spare
        choice = again.coordinator.next()
        assert (choice.trial, choice.reason.code) == (0, Code.FINISH_IN_TIME)
        again.now += 100


@pytest.mark.parametrize("seconds", [0.5, 1.9])
def test_time_without_a_round_changes_nothing_and_says_what_would_do(tmp_path: Path, seconds: float) -> None:
    with opened(tmp_path) as bench:
        cut(bench, 0.4)
        cut(bench, 0.6, 0.6)
        bench.now += 100
    before, checkpoints = rows_of(tmp_path), sorted(tmp_path.rglob("automl_round.json"))
    with opened(tmp_path, time_limit=seconds) as again:
        assert again.coordinator.next().kind is NextKind.FINISH
    assert rows_of(tmp_path) == before and sorted(tmp_path.rglob("automl_round.json")) == checkpoints
    (note,) = again.listener.notes
    assert note == (
        f"The {seconds}s left for the search hold no further round (one takes about 2s), so no trial went on: give a "
        f"time limit that is at least {'2s' if seconds == 0.5 else '1s'} longer."
    )


def test_study_with_nothing_left_to_do_says_nothing_of_its_time(tmp_path: Path) -> None:
    with opened(tmp_path, n_trials=1) as bench:
        bench.run_round(bench.coordinator.start().number, 0.5, done=True)
    with opened(tmp_path, n_trials=1, time_limit=0.5) as again:
        assert again.coordinator.next().kind is NextKind.FINISH
    assert again.listener.notes == []


def test_first_trial_of_a_continued_search_needs_time_for_one_round_only(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        bench.run_round(bench.coordinator.start().number, 0.5, done=True)
    with opened(tmp_path, time_limit=3) as again:  # a round takes 2 s, and the first rung is at round 2
        assert again.coordinator.next().kind is NextKind.START
        trial = again.coordinator.start().number
        assert again.coordinator.next().kind is not NextKind.START
        again.run_round(trial, 0.6, saved=True)
        again.now += 3
    assert states(tmp_path) == [TrialState.COMPLETE, UNFINISHED] and again.listener.notes == []


def test_stop_leaves_unfinished_trials_that_did_not_run_as_they_were(tmp_path: Path) -> None:
    with opened(tmp_path) as bench:
        cut(bench, 0.4)
        cut(bench, 0.6)
        bench.now += 100
    with opened(tmp_path) as again:
        again.coordinator.resume(1, again.coordinator.next().reason)
        again.coordinator.request_stop(Reason(Code.INTERRUPTED))
    assert states(tmp_path) == [UNFINISHED, TrialState.PAUSED]
    with opened(tmp_path) as third:
        assert third.coordinator.next().trial == 0
        third.now += 100


def test_only_the_best_unfinished_trials_keep_their_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "KEPT", 1)
    with opened(tmp_path, parallel=3) as bench:
        for value in (0.4, 0.6, 0.5):
            cut(bench, value)
        bench.now += 100
    assert [path.parent.parent.name for path in tmp_path.rglob("automl_round.json")] == ["t0001"]
    with opened(tmp_path) as again:
        assert again.coordinator.next().trial == 1
        assert [code_of(trial) for trial in again.store.trials()] == [Code.TIME_IS_UP] * 3


def test_of_the_trials_that_were_cut_only_those_with_time_for_a_round_go_on() -> None:
    slow = LiveTrial(0, {}, TrialState.PAUSED, round=3, value=0.9, seconds=5.0)
    quick = LiveTrial(1, {}, TrialState.PAUSED, round=3, value=0.5, seconds=2.0)
    chosen = [resumed_unfinished([slow, quick], "max", remaining) for remaining in (5.0, 4.0, 1.0)]
    assert [None if choice is None else choice.trial for choice in chosen] == [0, 1, None]
    least = resumed_unfinished([slow, quick], "min", 5.0)
    assert least is not None and least.trial == 1
