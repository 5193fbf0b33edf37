"""Linear heads in whole studies: rows of their own, no part of the search, and delivered after an interruption."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from automl import pipeline
from automl.cli import main
from automl.pipeline.retrain import contest
from automl.result import FitResult
from automl.review.describe import summary
from automl.review.earlier_studies import read_past
from automl.review.replay import replay_study
from automl.review.studies import find_study
from automl.search.engines.local import LocalEngine
from tests.pipeline.test_best_known_weights import no_learning
from tests.pipeline.test_final_model import Notes
from tests.pipeline.test_fit import config_for

pytestmark = [pytest.mark.study, pytest.mark.alone]

TINY = {"n_trials": 1, "epochs": 2, "time_limit": 60.0}
# Networks that learn nothing, so that the head is the best that is known.
USELESS = {
    "families": {"resnet": ["test_resnet"]},
    "parameters": {"lr": {"type": "float", "low": 1e-9, "high": 1e-8}},
}


@pytest.fixture(autouse=True)
def _quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan as on a quiet machine, however busy it is."""
    for module in ("automl.pipeline.fit", "automl.pipeline.plan.plan", "automl.pipeline.setup"):
        monkeypatch.setattr(import_module(module), "slowdown", lambda: 1.0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """A finished study with a head and a training, made once."""
    return pipeline.fit(config_for(tmp_path_factory.mktemp("studies"), **TINY))


def board(result: FitResult) -> pd.DataFrame:
    return pd.read_csv(result.directory / "trials.csv", keep_default_na=False)


def test_head_is_a_row_of_the_leaderboard_but_never_the_best_training(finished: FitResult) -> None:
    document = finished.to_json()
    assert document["trials"]["total"] == document["trials"]["complete"] == 1
    assert document["trials"]["heads"] == 1
    rows = board(finished).set_index("trial")
    assert list(rows.columns[-3:]) == ["reason", "kind", "delivered"]
    assert rows["kind"].to_dict() == {0: "head on pixels", 1: "from scratch"}
    head = {str(name): value for name, value in rows.to_dict("index")[0].items()}
    assert head["estimator"] == "logistic regression" and float(head["strength"]) > 0.0
    assert (head["state"], head["rounds"]) == ("complete", 0) and 0.0 < float(head["seconds"]) < 10.0
    assert document["best"]["trial"] == 1
    assert (finished.directory / "trials" / "t0001").is_dir()
    assert not (finished.directory / "trials" / "t0000").exists()


def test_head_is_no_curve_for_later_studies_and_no_event_of_the_log(finished: FitResult) -> None:
    study = find_study("tiny", finished.directory.parent)
    past = read_past(study)
    assert [config["model"] for config, _ in past.trials] == [finished.best_config["model"]]
    assert replay_study(study)[1] is None


def test_commands_show_heads_as_what_they_are(
    finished: FitResult, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--directory", str(finished.directory.parent))
    assert main(["leaderboard", "tiny", *place]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("head on pixels" in line for line in lines) == 1
    assert any("from scratch" in line and "linear head" not in line for line in lines)
    assert main(["show", "tiny", *place]) == 0
    assert "1 trial: 1 complete; and 1 linear head" in capsys.readouterr().out
    assert main(["list", *place, "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["studies"]
    assert listed["delivered"] in ("from scratch", "head on pixels") and listed["trials"] == 1


def test_continued_study_has_each_head_once(tmp_path: Path) -> None:
    first = pipeline.fit(config_for(tmp_path, **TINY))
    second = pipeline.fit(config_for(tmp_path, **{**TINY, "n_trials": 2}))
    assert (first.trials["total"], second.trials["total"]) == (1, 2)
    assert board(second).set_index("trial")["kind"].sort_index().to_dict() == {
        0: "head on pixels",
        1: "from scratch",
        2: "from scratch",
    }


def test_delivered_head_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_learning(monkeypatch)
    monkeypatch.setattr(contest, "own_model", lambda *_, **__: None)
    result = pipeline.fit(config_for(tmp_path, **TINY))
    retrain = result.to_json()["retrain"]
    assert (retrain["how"], retrain["trial"]) == ("linear head", 0)
    assert board(result).set_index("trial")["delivered"].to_dict() == {0: "linear head", 1: ""}
    said = dict(summary(result.to_json(), result.model_dir, ""))["delivered"]
    assert said.startswith("trial 0, linear head on 16 x 16 pixels: fitted on")
    assert main(["list", "--directory", str(tmp_path), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["studies"]
    assert listed["delivered"] == "head on pixels" and listed["delivered_val_score"] == retrain["val_score"]


def test_ctrl_c_before_any_score_delivers_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = LocalEngine.run

    def stopped(self: LocalEngine, *arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        run(self, *arguments)

    notes = Notes()
    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "run", stopped)
        result = pipeline.fit(config_for(tmp_path, **{**TINY, "n_trials": 3}), observer=notes)
    document = result.to_json()
    assert document["stopped"] == "search" and document["best"]["val_score"] is None
    assert (document["retrain"]["how"], document["retrain"]["trial"]) == ("linear head", 0)
    assert document["retrain"]["evidence"]["retrain"] is None  # nothing was retrained
    assert document["time"]["retrain_s"] < 20.0
    assert any("so the best linear head is delivered" in note for note in notes.notes)
    assert result.holdout["accuracy"].value > 0.8
    resumed = pipeline.fit(config_for(tmp_path, **{**TINY, "n_trials": 3})).to_json()
    assert resumed["stopped"] is None and resumed["best"]["val_score"] is not None
    assert (resumed["trials"]["total"], resumed["trials"]["heads"]) == (3, 1)


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    """A study in a process of its own whose trainings learn nothing, with time for many."""
    (folder / "useless.yaml").write_text(json.dumps(USELESS), encoding="utf-8")
    command = [sys.executable, "-m", "automl", "fit", "digits", "--study", "s", "--directory", str(folder)]
    command += ["--space", str(folder / "useless.yaml"), "--engine", "local", "--img-size", "8", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rows_in(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query of the study's database; none before it is there."""
    database = folder / "s" / "study.db"
    if not database.is_file():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []


def wait_for(there: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120.0
    while not there():
        assert time.monotonic() < end and process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.2)


REPORTS = "SELECT trial FROM automl_reports WHERE epoch > 0"


@pytest.mark.slow
def test_ctrl_c_in_the_search_delivers_the_head_if_it_is_the_best(tmp_path: Path) -> None:
    # Trials of many rounds, so that the search goes on after the first of them on a slow machine, too.
    with started(tmp_path, "--time-limit", "10m", "--n-trials", "9", "--epochs", "9") as process:
        wait_for(lambda: rows_in(tmp_path, REPORTS), process)
        assert rows_in(tmp_path, "SELECT trial FROM automl_trials WHERE origin = 'head'") == [(0,)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=180)
    assert process.returncode == 0
    document = json.loads((tmp_path / "s" / "result.json").read_text(encoding="utf-8"))
    assert document["stopped"] == "search" and document["best"]["trial"] >= 1
    assert (document["retrain"]["how"], document["retrain"]["trial"]) == ("linear head", 0)
    assert document["holdout"]["accuracy"]["value"] > 0.8


@pytest.mark.slow
def test_study_that_was_killed_and_resumed_delivers_the_head_if_it_is_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(tmp_path, "--n-trials", "2", "--time-limit", "10m") as process:
        wait_for(lambda: rows_in(tmp_path, REPORTS), process)
        process.kill()
        process.communicate(timeout=60)
    place = ("--directory", str(tmp_path))
    assert main(["show", "s", *place]) == 0
    shown = capsys.readouterr().out
    assert "from trial 0 (head on pixels)" in shown and "1 linear head" in shown
    assert main(["resume", "s", *place, "--time-limit", "40", "--quiet", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["trials"]["heads"], document["retrain"]["how"]) == (1, "linear head")
    assert rows_in(tmp_path, "SELECT trial FROM automl_trials WHERE origin = 'head'") == [(0,)]
    assert document["holdout"]["accuracy"]["value"] > 0.8
