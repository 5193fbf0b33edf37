"""What the dashboard and the leaderboard read in bulk is what Optuna reads trial by trial."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from automl.records import Config, TrialState
from automl.review.studies import StudyFolder
from automl.review.trials import stored_rows, stored_trials
from automl.search import search
from automl.search.storage.sql.dashboard_storage import BulkStorage
from automl.search.storage.sql.database import open_optuna
from automl.search.storage.summary import read_summary
from tests.search.toy import ToySpace, settings


def uneven(config: Config) -> Iterator[dict[str, float]]:
    """Some break, some report what is no number, the others go on."""
    for round in range(1, 20):
        if config["x"] < 0.2 and round == 2:
            raise RuntimeError("broken")
        yield {"accuracy": math.nan if config["x"] > 0.9 else config["x"] * round, "seconds": 1.0}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = f"sqlite:///{tmp_path_factory.mktemp('bulk')}/study.db"
    search(
        uneven,
        ToySpace(),
        settings(engine="simulated", storage=place, n_trials=40, parallel=4, max_failures=40),
    )
    return place


def trials_of(url: str, kind: type[RDBStorage]) -> list[FrozenTrial]:
    """The trials of the study as a storage of this kind reads them."""
    storage = open_optuna(url, kind)
    try:
        return optuna.load_study(study_name=settings().study, storage=storage).get_trials(deepcopy=False)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_trials_in_bulk_are_those_of_optuna(url: str) -> None:
    found, expected = (trials_of(url, kind) for kind in (BulkStorage, RDBStorage))
    assert len(found) == 40 and {trial.state for trial in found} > {optuna.trial.TrialState.FAIL}
    for a, b in zip(found, expected, strict=True):
        assert repr(a) == repr(b)  # NaN is not equal to itself
        assert list(a.params) == list(b.params)


def test_summary_is_what_all_rounds_add_up_to(url: str, tmp_path: Path) -> None:
    folder = StudyFolder(settings().study, tmp_path, {"storage": url}, None)
    metric, mode, trials = stored_trials(folder)
    summary = read_summary(url, folder.name)
    assert summary is not None and (summary.metric, summary.mode) == (metric, mode)
    assert {row.state for row in summary.trials} > {TrialState.FAILED}
    added, read = (
        [replace(row, seconds=round(row.seconds, 6)) for row in rows]
        for rows in (summary.trials, stored_rows(trials))
    )
    assert added == read


def test_summary_of_what_is_no_study_of_ours_is_none(url: str, tmp_path: Path) -> None:
    assert read_summary(url, "other") is None
    other = f"sqlite:///{tmp_path}/other.db"
    storage = open_optuna(other)
    optuna.create_study(study_name="search", storage=storage)
    storage.remove_session()
    storage.engine.dispose()
    assert read_summary(other, "search") is None
    assert read_summary("nonsense", "search") is None
