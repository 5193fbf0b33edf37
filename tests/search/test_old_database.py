"""A database whose log holds sentences, as version 1 of the tables had it: it can be read and not continued."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from automl.cli import main
from automl.config import load, save
from automl.errors import StudyError
from automl.records import TrialState
from automl.review.studies import find_study
from automl.review.trials import stored_rows, stored_trials, study_trials
from automl.search import search
from tests.search.toy import ToySpace, climb, settings

DUMP = Path(__file__).with_name("study_version_1.sql")


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A directory with the unfinished study `old`, made by a search that was interrupted."""
    folder = tmp_path / "studies" / "old"
    folder.mkdir(parents=True)
    save(load("photos/", study="old", directory=str(folder.parent)), folder / "study.yaml")
    connection = sqlite3.connect(folder / "study.db")
    connection.executescript(DUMP.read_text(encoding="utf-8"))
    connection.close()
    return folder.parent


def contents(studies: Path) -> list[str]:
    connection = sqlite3.connect(studies / "old" / "study.db")
    lines = [line for line in connection.iterdump() if "'old'" in line or "automl_decisions" in line]
    connection.close()
    return lines


def test_study_of_version_1_is_not_continued_and_says_what_to_do(studies: Path) -> None:
    before = contents(studies)
    chosen = settings(study="old", storage=f"sqlite:///{studies}/old/study.db", policy="asha")
    told = r"tables have version 1, this automl writes version 2\) and cannot be continued: use the automl that made it"
    with pytest.raises(StudyError, match=told):
        search(climb, ToySpace(), chosen)
    assert contents(studies) == before


def test_study_of_version_1_is_refused_before_its_data_are_read(
    studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(load("digits", study="old", directory=str(studies), engine="local"), studies / "old" / "study.yaml")
    assert main(["resume", "old", "--directory", str(studies)]) == 2
    assert "tables have version 1, this automl writes version 2" in capsys.readouterr().err


def test_sentences_of_version_1_are_shown_as_they_were(studies: Path) -> None:
    study = find_study("old", studies)
    metric, mode, rows = study_trials(study)
    assert (metric, mode, len(rows)) == ("accuracy", "max", 11)
    assert rows[2].reason == "rank 2 of 3 at epoch 2" and rows[2].state is TrialState.PAUSED
    assert rows[3].reason.startswith("ValueError: kind b cannot be trained")
    _, _, trials = stored_trials(study)
    assert [row.reason for row in stored_rows(trials)] == [row.reason for row in rows]
    assert trials[9].interrupted and not trials[2].interrupted


def test_commands_list_a_study_of_version_1(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["list"], ["show", "old"], ["leaderboard", "old"]):
        assert main([*command, "--directory", str(studies), "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out) and err == ""


def test_new_study_may_share_the_database_and_leaves_the_old_one_alone(studies: Path) -> None:
    before = rows_of_old(studies)
    chosen = settings(study="new", storage=f"sqlite:///{studies}/old/study.db", policy="asha", n_trials=4)
    assert len(search(climb, ToySpace(), chosen).trials) == 4
    assert len(search(climb, ToySpace(), replace(chosen, n_trials=6)).trials) == 6  # and goes on
    assert rows_of_old(studies) == before
    _, _, rows = study_trials(find_study("old", studies))
    assert len(rows) == 11 and all(row.epochs is None or row.rounds for row in rows)


def rows_of_old(studies: Path) -> list[list[tuple[object, ...]]]:
    """What the tables of ours hold of the study of version 1, which was the first in its database."""
    tables = ("meta", "trials", "reports", "decisions", "checkpoints", "runs")
    with closing(sqlite3.connect(studies / "old" / "study.db")) as connection:
        return [
            connection.execute(f"SELECT * FROM automl_{name} WHERE study_id = 1").fetchall()
            for name in tables
        ]
