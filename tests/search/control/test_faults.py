"""A full disk, a database that is away, a damaged checkpoint, and failures in a row: through a whole search."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from automl.errors import StorageError, TrialError
from automl.records import Config, OnFailure, TrialEvent, TrialState
from automl.search import search
from automl.search.reasons import Code
from automl.search.result import SearchResult
from automl.search.storage.sql import database
from automl.search.storage.sql.write_journal import is_away
from tests.search.toy import Counter, Listener, ToySpace, climb, outages, settings
from tests.waiting import until


class Notes(Listener):
    """Keeps the notes too."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class OnSmallDisk(Counter):
    """Its folder of trials has room for so many checkpoints."""

    def __init__(self, config: Config, *, trials: Path, room: int) -> None:
        super().__init__(config)
        self._trials, self._room = trials, room

    def save(self, directory: Path) -> None:
        if len(list(self._trials.glob("*/checkpoint"))) >= self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().save(directory)


def run(objective: Any, folder: Path, observer: Any = None, **changes: Any) -> SearchResult:
    chosen = {
        "engine": "local",
        "storage": f"sqlite:///{folder}/study.db",
        "directory": folder,
        "parallel": 1,
    }
    return search(objective, ToySpace(), settings(**{**chosen, **changes}), observer)


def test_full_disk_costs_the_weakest_checkpoints_first_and_no_trial(tmp_path: Path) -> None:
    notes = Notes()
    small = partial(OnSmallDisk, trials=tmp_path / "trials", room=3)
    result = run(small, tmp_path, notes, n_trials=12)
    assert any(note.startswith("The disk is full: the checkpoints of trials ") for note in notes.notes)
    assert result.stopped is None and len(result.trials) == 12 and result.counts["failed"] == 0
    for trial in result.trials:
        assert trial.value == pytest.approx(trial.config["x"] * sum(range(1, trial.rounds + 1)))


class Large(Counter):
    """Its checkpoints take a megabyte."""

    def save(self, directory: Path) -> None:
        super().save(directory)
        (directory / "weights").write_bytes(bytes(1_000_000))


def test_checkpoints_keep_to_the_disk_that_they_may_take(tmp_path: Path) -> None:
    most: list[int] = []

    class Watching(Notes):
        def trial(self, event: TrialEvent) -> None:
            most.append(len(list((tmp_path / "trials").glob("*/checkpoint/weights"))))

    run(Large, tmp_path, Watching(), n_trials=8)
    assert max(most) > 5
    most.clear()
    bounded = run(Large, tmp_path, Watching(), n_trials=24, max_disk=3_500_000)
    assert 3 <= max(most) <= 5  # the limit, the one that is too many, and that of a trial that runs
    result = run(Large, tmp_path, n_trials=28, max_disk=3_500_000)
    assert len(result.trials) == 28 and result.counts["failed"] == 0 and bounded.stopped is None
    assert result.best.checkpoint is not None


def test_full_disk_without_anything_to_remove_stops_in_order_and_the_study_goes_on(tmp_path: Path) -> None:
    none = partial(OnSmallDisk, trials=tmp_path / "trials", room=0)
    stopped = run(none, tmp_path, n_trials=6)
    assert stopped.stopped_for(Code.DISK_FULL) and 0 < len(stopped.trials) < 6
    assert stopped.counts["failed"] == 0
    with sqlite3.connect(tmp_path / "study.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    result = run(Counter, tmp_path, n_trials=6)
    assert len(result.trials) == 6 and result.counts["paused"] == 0 and result.counts["complete"] > 0


def test_locked_database_makes_reports_wait_and_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    refused = outages(monkeypatch)

    def lock() -> None:
        until(lambda: list((tmp_path / "trials").glob("*/log.csv")))  # it has begun to report
        with contextlib.closing(sqlite3.connect(tmp_path / "study.db", timeout=10)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            until(lambda: len(refused) >= 3)
            connection.rollback()

    other = threading.Thread(target=lock)
    other.start()
    result = run(partial(Counter, pause=0.02), tmp_path, n_trials=12)
    other.join()
    assert len(refused) >= 3 and len(result.trials) == 12
    for trial in result.trials:
        assert [report.round for report in trial.reports] == list(range(1, trial.rounds + 1))
        assert trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.ended is not None


def test_full_disk_and_damage_are_no_reason_to_wait_for_the_database() -> None:
    def storage_error(text: str) -> StorageError:
        error = StorageError("the study's database cannot be written")
        error.__cause__ = OperationalError("INSERT", {}, sqlite3.OperationalError(text))
        return error

    assert is_away(storage_error("database is locked"))
    assert not is_away(storage_error("database or disk is full"))
    assert not is_away(storage_error("no such table: trials"))
    assert not is_away(StorageError("something else"))


def test_damaged_checkpoint_lets_its_trial_begin_again_and_is_told(tmp_path: Path) -> None:
    counter = partial(OnSmallDisk, trials=tmp_path / "trials", room=99)
    first = run(counter, tmp_path, n_trials=6, time_limit=None)
    best = first.best.number
    notes = Notes()
    folder = tmp_path / "again"
    folder.mkdir()
    damaged = partial(Damaging, folder=folder)
    result = run(damaged, folder, notes, n_trials=12)
    assert best in range(6) and result.counts["failed"] == 0
    assert any("began again: its checkpoint is damaged (JSONDecodeError" in note for note in notes.notes)
    for trial in result.trials:
        assert trial.value == pytest.approx(trial.config["x"] * sum(range(1, trial.rounds + 1)))


class Damaging(Counter):
    """What it saves cannot be read."""

    def __init__(self, config: Config, *, folder: Path) -> None:
        super().__init__(config)

    def save(self, directory: Path) -> None:
        (directory / "state.json").write_text('{"round": 1, "to', encoding="utf-8")


def test_damaged_note_of_the_round_counts_as_no_checkpoint(tmp_path: Path) -> None:
    run(Counter, tmp_path, n_trials=4)
    notes = list((tmp_path / "trials").glob("*/checkpoint/automl_round.json"))
    assert notes
    for note in notes:
        note.write_text('{"epo', encoding="utf-8")
    assert len(run(Counter, tmp_path, n_trials=6).trials) == 6


def broken_later(config: Config) -> Iterator[dict[str, float]]:
    """Kind b breaks."""
    if config["kind"] == "b":
        raise ValueError("kind b cannot be trained")
    yield from climb(config)


def test_failures_in_a_row_stop_the_study_only_where_that_was_asked_for(tmp_path: Path) -> None:
    portfolio = [{"x": 0.5, "kind": "a"}, *({"x": 0.1, "kind": "b", "extra": 0.5 + i / 10} for i in range(3))]
    asked = {"max_failures": 3, "portfolio": portfolio, "n_trials": 5, "policy": "none"}
    skipped = run(broken_later, tmp_path, storage=None, **asked)
    assert skipped.counts["failed"] >= 3 and len(skipped.trials) == 5
    with pytest.raises(TrialError, match="3 trials in a row failed, 3 of 3 with ValueError: kind b cannot"):
        run(broken_later, tmp_path, on_failure=OnFailure.STOP, **asked)
