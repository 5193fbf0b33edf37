"""The counts of all studies of a database are those of their trials."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import optuna
import pytest

from automl.records import HeadTrial, Mode, Report, TrialState
from automl.search.policy import Action, Decision
from automl.search.reasons import Code, Reason
from automl.search.storage.kinds import HEADS
from automl.search.storage.sql.study_counts import read_counts
from automl.search.storage.sql.urls import connected
from automl.search.storage.store import Store, Worker
from automl.search.storage.summary import NOT_OURS, read_summary
from tests.review.studies_on_disk import running_study

GOES_ON = Decision(Action.CONTINUE, TrialState.RUNNING, Reason(Code.BETWEEN_RUNGS))


def add_study(url: str, name: str, mode: Mode, values: list[list[float]], *, unfinished: int = 0) -> None:
    """A study with a head, and trials with these values of their rounds, of which the first so many are unfinished."""
    store = Store.open(
        url,
        name,
        fingerprint={"metric": "loss", "mode": mode},
        make_sampler=lambda _: optuna.samplers.RandomSampler(seed=0),
    )
    store.keep_heads([HeadTrial("pixels", {"model": "linear"}, 5.0, 1.0)])
    for place, scores in enumerate(values):
        draft = store.draw(lambda trial: {"model": "resnet18", "lr": trial.suggest_float("lr", 0.1, 1.0)})
        number = store.adopt(draft, time=0.0, origin="sampler")
        store.started(number, Worker("w", "node", 1), time=0.0)
        for round, value in enumerate(scores, 1):
            store.report(Report(number, round, value, seconds=1.0), GOES_ON, time=1.0)
        if place < unfinished:
            stop = Decision(Action.STOP, TrialState.UNFINISHED, Reason(Code.TIME_IS_UP))
            store.end(number, stop, time=2.0, value=scores[-1])
            store.decided(number, len(scores), stop, time=2.0)
    store.close()


def test_counts_are_those_of_the_summary_of_each_study(tmp_path: Path) -> None:
    root = running_study(tmp_path)
    url = f"sqlite:///{root / 'study.db'}"
    add_study(url, "low", "min", [[9.0, 0.5], [0.1, 7.0], [float("nan")], []], unfinished=2)
    add_study(url, "high", "max", [[1.0, 2.0]])
    add_study(url, "empty", "max", [])
    with connected(url) as connection:
        found = read_counts(connection)
    assert set(found) == {"leaves", "low", "high", "empty"}
    for name, counts in found.items():
        summary = read_summary(url, name)
        assert summary is not None
        trained = [row for row in summary.trials if row.kind not in HEADS]
        assert dict(counts.states) == dict(Counter(row.state for row in trained))
        assert counts.heads == len(summary.trials) - len(trained)
        values = [row.value for row in summary.trials if row.value is not None]
        best = (min if summary.mode == "min" else max)(values, default=None)
        assert (counts.best, counts.metric, counts.mode) == (best, summary.metric, summary.mode)
    assert found["low"].best == 0.5 and found["low"].states[TrialState.UNFINISHED] == 2
    assert found["low"].words["total"] == 4 and found["low"].heads == 1
    assert found["leaves"].last.startswith("20") and found["empty"].best == 5.0


def test_database_of_others_is_not_counted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    optuna.create_study(storage=url, study_name="other")
    with connected(url) as connection, pytest.raises(NOT_OURS):
        read_counts(connection)
