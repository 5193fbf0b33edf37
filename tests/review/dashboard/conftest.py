"""Studies as the dashboard sees them, made once: reading must not change them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from automl.final.evaluation.record import ANSWERS_FILE
from automl.review.dashboard.storage import DashboardStorage
from automl.review.studies import read_study
from automl.search.storage.sql.database import open_optuna
from tests.final.evaluation.test_record import an_evaluation
from tests.review.studies_on_disk import RESULT, running_study


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that is under way: trials of every state, the best one complete."""
    root = running_study(tmp_path_factory.mktemp("running"))
    plan = {
        "n_train": 80,
        "n_val": 20,
        "n_holdout": 25,
        "task": "classification",
        "search_s": 60.0,
        "epochs": 9,
    }
    (root / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, running: Path) -> Path:
    """The same study with a result, an evaluation and a report."""
    root = tmp_path_factory.mktemp("finished") / "leaves"
    shutil.copytree(running, root)
    evaluation = an_evaluation("classification").to_json()
    best = {**RESULT["best"], "trial": 0, "val_score": 0.7}
    document = {**RESULT, "study": "leaves", "best": best, "evaluation": evaluation}
    (root / "result.json").write_text(json.dumps(document), encoding="utf-8")
    (root / "report.html").write_text("<!doctype html><title>report</title>", encoding="utf-8")
    rows = [
        "file,label,predicted,confidence,proba_a",
        "1.png,a,b,0.6,0.4",
        "2.png,a,a,1.0,1.0",
        "3.png,b,a,0.9,0.9",
    ]
    (root / ANSWERS_FILE).write_text("\n".join(rows), encoding="utf-8")
    return root


def opened(root: Path) -> DashboardStorage:
    """The dashboard's storage of the study in a folder."""
    storage = open_optuna(f"sqlite:///{root / 'study.db'}", DashboardStorage)
    assert isinstance(storage, DashboardStorage)
    storage.find_folder = lambda _: read_study(root)
    return storage


def closed(storage: DashboardStorage) -> None:
    """Close the connections, which a test leaves to nobody."""
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture(scope="session")
def view(running: Path) -> Iterator[DashboardStorage]:
    storage = opened(running)
    yield storage
    closed(storage)


@pytest.fixture(scope="session")
def finished_view(finished: Path) -> Iterator[DashboardStorage]:
    storage = opened(finished)
    yield storage
    closed(storage)
