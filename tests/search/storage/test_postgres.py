"""A study in PostgreSQL, against a real server that is stopped and started under it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage

from automl.errors import StorageError, StudyError
from automl.records import Report, TrialState
from automl.review.studies import StudyFolder
from automl.review.trials import stored_rows, stored_trials
from automl.search import search
from automl.search.policy import Action, Decision
from automl.search.reasons import Code, Reason
from automl.search.storage.delete_study import delete_study
from automl.search.storage.sql.dashboard_storage import BulkStorage
from automl.search.storage.sql.database import open_database
from automl.search.storage.store import Store
from automl.search.storage.summary import read_summary
from tests.postgres_server import PASSWORD, Server
from tests.search.storage.sql.test_dashboard_storage import trials_of
from tests.search.storage.test_head_trials import FEATURES, PIXELS
from tests.search.storage.test_store import KEYS, ON, start
from tests.search.toy import ToySpace, climb, outages, settings
from tests.waiting import until

pytestmark = pytest.mark.postgres

_numbers = itertools.count()


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.create_database(f"db{next(_numbers)}")


def open_store(url: str, name: str = "s") -> Store:
    return Store.open(
        url, name, fingerprint=KEYS, make_sampler=lambda count: optuna.samplers.RandomSampler(count)
    )


def test_search_in_postgres_reads_the_same_as_in_memory(url: str) -> None:
    there = search(climb, ToySpace(), settings(storage=url))
    here = search(climb, ToySpace(), settings())
    assert there.trials == here.trials
    with pytest.raises(StorageError) as found:
        open_database(url.replace("s3cret", "wrong"))
    assert "password authentication failed" in str(found.value)
    assert "wrong" not in str(found.value) and PASSWORD not in str(found.value)


def test_reading_in_bulk_gives_what_optuna_gives(url: str) -> None:
    search(climb, ToySpace(), settings(storage=url, n_trials=30, parallel=4))
    name = settings().study
    bulk, plain = trials_of(url, BulkStorage), trials_of(url, RDBStorage)
    assert bulk == plain and len(bulk) == 30
    folder = StudyFolder(name, Path(), {"storage": url}, None)
    metric, mode, trials = stored_trials(folder)
    summary = read_summary(url, name)
    assert summary is not None and (summary.metric, summary.mode) == (metric, mode)
    added, read = (
        [replace(row, seconds=round(row.seconds, 6)) for row in rows]
        for rows in (summary.trials, stored_rows(trials))
    )
    assert added == read


def test_study_is_continued_and_another_in_the_same_database_is_left_alone(url: str) -> None:
    search(climb, ToySpace(), settings(storage=url, study="one", n_trials=4))
    search(climb, ToySpace(), settings(storage=url, study="two", n_trials=5))
    assert len(search(climb, ToySpace(), settings(storage=url, study="one", n_trials=7)).trials) == 7
    delete_study(url, "one")
    database = open_database(url)
    assert [study.study_name for study in database.optuna.get_all_studies()] == ["two"]
    database.close()
    assert len(search(climb, ToySpace(), settings(storage=url, study="two", n_trials=6)).trials) == 6
    assert len(search(climb, ToySpace(), settings(storage=url, study="one", n_trials=2)).trials) == 2


def test_second_search_on_a_study_is_refused_and_so_is_deleting_it_meanwhile(url: str) -> None:
    store = open_store(url)
    with pytest.raises(StudyError, match="only one search may write to a study, and another"):
        open_store(url)
    with pytest.raises(StudyError, match="is running 's'"):
        delete_study(url, "s")
    other = open_store(url, "t")
    other.close()
    start(store)
    store.close()
    again = open_store(url)
    assert len(again) == 1
    again.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_reports_wait_while_the_server_is_away_and_none_is_lost(
    postgres: Server, url: str, mode: str
) -> None:
    store = open_store(url)
    first = start(store)
    store.report(Report(first, 1, 0.1, 1.0), ON, 1.0)
    store.complete(first, 0.1, 1.0)
    postgres.stop(mode)
    begun = time.monotonic()
    second = start(store)
    for round in range(1, 6):
        store.report(Report(second, round, round / 10, 1.0), ON, float(round))
    store.end(second, Decision(Action.STOP, TrialState.PRUNED, Reason(Code.TIME_IS_UP)), 6.0, 0.5)
    assert time.monotonic() - begun < 2.0  # the search is not held up
    postgres.start()
    trials = store.trials()
    store.close()
    assert [(trial.state, trial.rounds) for trial in trials] == [
        (TrialState.COMPLETE, 1),
        (TrialState.PRUNED, 5),
    ]
    assert [report.value for report in trials[1].reports] == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_search_goes_on_through_a_restart_of_the_server(
    postgres: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, noticed = threading.Event(), outages(monkeypatch)

    def slow(config: Any) -> Iterator[dict[str, float]]:
        for report in climb(config):
            begun.set()
            time.sleep(0.01)
            yield report

    def restart() -> None:
        begun.wait()
        postgres.stop()
        until(lambda: noticed)
        postgres.start()

    thread = threading.Thread(target=restart)
    thread.start()
    found = search(slow, ToySpace(), settings(storage=url, n_trials=40))
    thread.join()
    expected = search(climb, ToySpace(), settings(n_trials=40))
    assert found.trials == expected.trials


def test_server_that_stays_away_ends_the_search_with_one_sentence(postgres: Server, url: str) -> None:
    store = open_store(url)
    store._journal.patience = 0.5
    number = start(store)
    postgres.stop()
    try:
        with pytest.raises(StorageError, match="cannot be read or written") as found:
            for round in range(1, 100):
                store.report(Report(number, round, 0.5, 1.0), ON, float(round))
                time.sleep(0.05)
        assert PASSWORD not in str(found.value) and "s3cret" not in str(found.value)
    finally:
        postgres.start()
        with pytest.raises(StorageError, match="cannot be read or written"):
            store.close()


def test_heads_in_postgres_are_found_again_and_deleted_with_the_study(url: str) -> None:
    first = search(climb, ToySpace(), settings(storage=url, heads=(PIXELS, FEATURES), n_trials=3))
    second = search(climb, ToySpace(), settings(storage=url, heads=(PIXELS, FEATURES), n_trials=5))
    here = search(climb, ToySpace(), settings(heads=(PIXELS, FEATURES), n_trials=3))
    assert first.trials == here.trials and first.heads == here.heads == second.heads
    assert [trial.number for trial in second.trials] == [2, 3, 4, 5, 6]
    summary = read_summary(url, "search")
    assert summary is not None and summary.trials[1].kind == "head on features"
    delete_study(url, "search")
    database = open_database(url)
    assert database.optuna.get_all_studies() == []
    database.close()
