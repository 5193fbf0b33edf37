"""One process at a time runs a study, and a start that was killed leaves nothing in the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import automl
from automl.config.loading import load, save
from automl.errors import StorageError, StudyError
from automl.pipeline.fit import fit
from automl.pipeline.study_folder import FolderLock, open_workspace, write_json
from automl.records import Silent
from automl.review.studies import LOCK, REPLACED, study_folders
from tests.pipeline.test_fit import config_for, digits


def test_second_process_is_refused_while_the_first_runs_and_let_in_when_it_was_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from automl.pipeline.study_folder import open_workspace\n"
        "held = open_workspace(sys.argv[1], 's', overwrite=False); print('held', flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    for overwrite in (False, True):
        with pytest.raises(StudyError, match=f"one process at a time, but process {child.pid} is running it"):
            open_workspace(str(tmp_path), "s", overwrite=overwrite)
    child.kill()
    child.communicate()
    workspace = open_workspace(str(tmp_path), "s", overwrite=False)
    assert not workspace.existed
    workspace.close()


def test_start_that_was_killed_in_set_up_can_be_started_again(tmp_path: Path) -> None:
    root = tmp_path / "s"
    (root / "rows").mkdir(parents=True)
    (root / "rows" / "train.npy").write_text("half")
    (root / LOCK).write_text("process 1")
    workspace = open_workspace(str(tmp_path), "s", overwrite=False)
    assert not workspace.existed and [path.name for path in root.iterdir()] == [LOCK]
    workspace.close()


def test_study_that_a_killed_overwrite_had_moved_away_comes_back(tmp_path: Path) -> None:
    moved = tmp_path / f".s{REPLACED}1"
    moved.mkdir()
    (moved / "study.yaml").write_text("data: digits")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / LOCK).write_text("process 1")
    workspace = open_workspace(str(tmp_path), "s", overwrite=False)
    assert workspace.existed and (tmp_path / "s" / "study.yaml").read_text() == "data: digits"
    assert not moved.exists()
    workspace.close()


def test_study_of_a_running_overwrite_is_left_alone(tmp_path: Path) -> None:
    moved = tmp_path / f".s{REPLACED}1"
    moved.mkdir()
    held = FolderLock(moved)
    open_workspace(str(tmp_path), "s", overwrite=False).close()
    assert moved.exists()
    held.release()


def test_dead_database_is_told_before_the_data_are_read_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    studies = tmp_path / "studies"
    with pytest.raises(StorageError, match="127.0.0.1:1/study cannot be read or written"):
        automl.fit(
            "no such data", storage="POSTGRESQL://ann:hidden@127.0.0.1:1/study", directory=str(studies)
        )
    assert not studies.exists()


@pytest.mark.study
def test_database_that_dies_in_set_up_leaves_no_study(tmp_path: Path) -> None:
    """An empty study would be in `automl list`, and stand in the way of other data under its name."""

    class Dies(Silent):
        def stage(self, name: str, text: str) -> None:
            if name == "plan":
                (tmp_path / "db").rmdir()

    (tmp_path / "db").mkdir()
    url = f"sqlite:///{tmp_path / 'db' / 'study.db'}"
    config = config_for(tmp_path / "studies", data=digits(60), n_trials=1, epochs=1, storage=url)
    with pytest.raises(StorageError, match="cannot be created: there is no folder"):
        fit(config, observer=Dies())
    assert study_folders(tmp_path / "studies") == []
    assert not any((tmp_path / "studies").iterdir())


def test_options_that_a_resumed_study_does_not_follow_are_told(tmp_path: Path) -> None:
    began = load("photos.csv", study="mine", directory=tmp_path, epochs=3)
    workspace = open_workspace(str(tmp_path), "mine", overwrite=False)
    assert workspace.kept_in_words(began) == []  # a new study
    save(began, workspace.study_yaml)
    write_json(workspace.plan_json, {"epochs": 3, "precision": "bf16", "begun_with": {}})
    assert (
        workspace.kept_in_words(began.changed(n_trials=9, precision="bf16")) == []
    )  # what it chose by itself
    assert workspace.kept_in_words(began.changed(epochs=5, precision="fp32")) == [
        "Trials keep the --epochs with which this study began (3, 5 now): another is for another study.",
        "Trials keep the --precision with which this study began (auto, fp32 now): another is for another study.",
    ]
    workspace.close()


def test_another_group_column_is_refused_by_its_name_even_where_all_counts_stay(tmp_path: Path) -> None:
    began = load("photos.csv", study="mine", directory=tmp_path, group_column="site")
    workspace = open_workspace(str(tmp_path), "mine", overwrite=False)
    plan = {"epochs": 1, "begun_with": {}, "resize": "crop", "val": "split", "n_train": 9, "split": "one"}
    write_json(workspace.plan_json, plan)
    save(began, workspace.study_yaml)
    workspace.check_same(plan, began)
    for group, said in (("patient", "patient"), (None, "none")):
        now = began.changed(group_column=group)
        expected = rf"exists with another --group-column \(site there, {said} now\); choose another --study"
        for other in ({"split": "two"}, {"n_train": 8, "split": "two"}):
            with pytest.raises(StudyError, match=expected):
                workspace.check_same({**plan, **other}, now)
    del plan["split"]  # as an earlier version wrote it
    write_json(workspace.plan_json, plan)
    workspace.check_same({**plan, "split": "two"}, began)
    with pytest.raises(StudyError, match=r"exists with another n_train \(9 there, 8 now\)"):
        workspace.check_same({**plan, "n_train": 8}, began)
    workspace.close()


def test_file_that_cannot_be_written_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(OSError):
        write_json(tmp_path / "plan.json", {"a": 1})
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]
