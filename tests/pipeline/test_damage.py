"""A damaged file of a study is named in one sentence, and nothing is overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from automl import pipeline
from automl.errors import AutomlError, StorageError, StudyError
from automl.records import Silent
from automl.review.studies import find_study
from automl.review.trials import stored_trials, study_trials
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, made once."""
    return pipeline.fit(config_for(tmp_path_factory.mktemp("studies"), n_trials=1, epochs=1)).directory


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "study.db",
            b"this is not a database, but long enough to look like one to a program that reads it" * 40,
        ),
        ("plan.json", b'{"data": "ab'),
        ("plan.json", b"[]"),
        ("plan.json", b"{}"),
        ("result.json", b"{"),
        ("result.json", b'{"trials": 3}'),
        ("holdout.json", b'"once"'),
        ("holdout.json", b'{"reads": "x"}'),
        ("plan.json", b"[" * 100_000),
        ("result.json", b'{"study": ' + b"9" * 5000 + b"}"),
    ],
)
def test_damaged_file_is_named_and_left_as_it_is(
    study: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    shutil.copytree(study, tmp_path / "tiny")
    for beside in (tmp_path / "tiny").glob("study.db-*"):
        beside.unlink()
    (tmp_path / "tiny" / name).write_bytes(content)
    with pytest.raises(AutomlError, match=name.replace(".", r"\.")) as caught:
        pipeline.fit(config_for(tmp_path, n_trials=2, epochs=1))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "tiny" / name).read_bytes() == content


def test_option_that_was_changed_is_named_when_the_study_is_refused(study: Path) -> None:
    for options, named in (
        ({"holdout": 0.3}, r"--holdout \(0.2 there, 0.3 now\)"),
        ({"seed": 4}, r"--seed \(0 there, 4 now\)"),
        ({"metric": "f1", "val": 0.3}, r"--metric \(auto there, f1 now\) and --val \(0.2 there, 0.3 now\)"),
    ):
        with pytest.raises(StudyError, match=f"exists with another {named}; choose another --study"):
            pipeline.fit(config_for(study.parent, **options))


@pytest.mark.parametrize("stage", ["retrain", "deliver"])
def test_database_that_is_removed_while_the_study_runs_is_said(tmp_path: Path, stage: str) -> None:
    class Removes(Silent):
        def stage(self, name: str, text: str) -> None:
            if name == stage:
                (tmp_path / "tiny" / "study.db").unlink()

    with pytest.raises(StorageError, match=r"study\.db' was removed while the study ran: the model in"):
        pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1), observer=Removes())
    assert (tmp_path / "tiny" / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("name", ["a?b=c#d", "50%20x%41 {x}", "new\nline 📷"])
def test_study_lies_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    result = pipeline.fit(config_for(tmp_path / name, n_trials=1, epochs=1))
    assert result.directory == tmp_path / name / "tiny"
    assert (result.directory / "study.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    found = find_study("tiny", tmp_path / name)
    assert len(study_trials(found)[2]) == 1 and len(stored_trials(found)[2]) == 1
