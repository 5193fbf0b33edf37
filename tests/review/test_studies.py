"""Studies on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl.errors import ConfigError, ModelError, StorageError, StudyError
from automl.review.studies import (
    REPLACED,
    StudyFolder,
    find_model,
    find_study,
    in_words,
    read_study,
    study_folders,
    study_name,
)
from automl.review.trials import study_trials
from tests.review.studies_on_disk import finished_study


def test_study_is_found_by_name_and_by_folder(studies: Path) -> None:
    assert find_study("photos", studies) == find_study(str(studies / "photos"), "nowhere")
    assert find_study("photos", studies).finished
    assert not find_study("leaves", studies).finished


def test_unknown_study_gets_the_closest_match(studies: Path) -> None:
    with pytest.raises(
        StudyError, match=r"unknown study 'photo': did you mean 'photos'\? Valid names: leaves, photos"
    ):
        find_study("photo", studies)


def test_study_in_an_empty_directory_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"holds none; start one with `automl fit DATA`"):
        find_study("photos", tmp_path / "studies")
    assert study_folders(tmp_path / "studies") == []


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_damaged_result_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.yaml").write_text("data: digits\n", encoding="utf-8")
    (tmp_path / "result.json").write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=r"must be readable, got|must hold one JSON object"):
        read_study(tmp_path)


def test_metric_of_a_study_under_way_is_the_one_that_its_plan_chose(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("data: digits\nmetric: auto\n", encoding="utf-8")
    assert read_study(tmp_path).metric == "auto"
    (tmp_path / "plan.json").write_text('{"metric": "balanced_accuracy"}', encoding="utf-8")
    assert read_study(tmp_path).metric == "balanced_accuracy"
    (tmp_path / "plan.json").write_text("[1", encoding="utf-8")  # only a resume has to refuse it
    assert read_study(tmp_path).metric == "auto"


def test_model_is_found_by_name_study_folder_and_model_folder(studies: Path) -> None:
    folder = studies / "photos" / "model"
    found = [find_model("photos", studies), find_model(studies / "photos"), find_model(folder)]
    assert found == [folder] * 3


def test_unfinished_study_has_no_model(studies: Path) -> None:
    command = f"`automl resume leaves --directory {studies}`"
    with pytest.raises(ModelError, match=f"'leaves' has no model yet.*; resume with {command}"):
        find_model("leaves", studies)


def test_unknown_model_gets_the_closest_match(studies: Path) -> None:
    with pytest.raises(ModelError, match=r"unknown model 'fotos': did you mean 'photos'"):
        find_model("fotos", studies)


def test_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"its folder or a folder with model.safetensors, got"):
        find_model(tmp_path)


def test_trials_of_a_finished_study_come_from_its_table(studies: Path) -> None:
    metric, mode, rows = study_trials(find_study("photos", studies))
    assert (metric, mode, len(rows)) == ("accuracy", "max", 3)


def test_trials_of_a_running_study_come_from_its_database(studies: Path) -> None:
    metric, mode, rows = study_trials(find_study("leaves", studies))
    assert (metric, mode) == ("f1", "max")
    assert [row.state for row in rows] == ["complete", "pruned", "failed", "paused", "running"]
    assert [(row.value, row.rounds) for row in rows] == [(0.7, 2), (0.4, 1), (None, 0), (0.6, 1), (None, 0)]
    assert rows[0].seconds == 3.0
    assert set(rows[0].config) == {"family", "model", "lr"}
    assert rows[2].reason == "RuntimeError: no"


def test_study_before_its_search_has_no_trials(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("data: digits\nmetric: log_loss\n", encoding="utf-8")
    assert study_trials(read_study(tmp_path)) == ("log_loss", "min", [])


def test_other_file_instead_of_a_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("data: digits\nstudy: x\n", encoding="utf-8")
    (tmp_path / "study.db").write_text(
        "no database, but long enough to be looked at as one" * 40, encoding="utf-8"
    )
    with pytest.raises(
        StorageError, match=r"database sqlite:///.* cannot be read or written: file is not a database"
    ):
        study_trials(read_study(tmp_path))


def test_masked_storage_must_be_given_again(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("data: digits\nstorage: postgresql://a:***@db/x\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="AUTOML_STORAGE"):
        read_study(tmp_path).storage_url()


@pytest.mark.parametrize(
    ("result", "state"),
    [
        (None, "unfinished"),
        ({}, "finished"),  # of an earlier version
        ({"stopped": None}, "finished"),
        ({"stopped": "search"}, "stopped"),
        ({"stopped": "retrain"}, "stopped"),
    ],
)
def test_study_that_ctrl_c_ended_is_stopped_and_not_finished(
    result: dict[str, Any] | None, state: str
) -> None:
    assert StudyFolder("s", Path("s"), {}, result).state == state


def test_study_that_a_killed_overwrite_had_moved_is_found_by_all(tmp_path: Path) -> None:
    finished_study(tmp_path / "studies", "photos")
    folder = tmp_path / "studies"
    (folder / "photos").rename(folder / f".photos{REPLACED}123")
    (folder / "photos").mkdir()  # of a new study that never started
    (folder / "photos" / ".running").touch()
    (folder / f".other{REPLACED}9").mkdir()  # no study
    found = find_study("photos", folder)
    assert (found.name, found.finished, found.path.is_dir()) == ("photos", True, True)
    assert find_model("photos", folder) == found.model_dir
    assert find_model(folder / "photos") == found.model_dir
    assert [study_name(path) for path in study_folders(folder)] == ["photos"]
    assert study_trials(found)[2]
    with pytest.raises(StudyError, match="unknown study 'phots': did you mean 'photos'"):
        find_study("phots", folder)
    (folder / "photos" / "study.yaml").write_text("data: digits\nstudy: photos\n")  # the new one has begun
    assert not find_study("photos", folder).finished


def test_state_of_a_model_that_answers_no_label_is_not_only_finished() -> None:
    assert in_words("finished", True, silent=True) == "finished, answers no label"
    assert in_words("finished", False, silent=True) == "finished, not usable"
    assert in_words("finished", True) == "finished"
