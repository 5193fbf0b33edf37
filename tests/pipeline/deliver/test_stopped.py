"""`automl deliver` that Ctrl-C or a kill ends: the model and its result agree at every moment."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import automl
from automl.cli.commands.deliver.stopped import what_stands
from automl.final.evaluation.record import ANSWERS_FILE
from automl.final.model_folder import weights_sha256
from automl.pipeline.deliver import deliver as delivering
from automl.pipeline.deliver.draft import DIGEST, DRAFT, REPLACED, is_of_model, recover
from automl.pipeline.deliver.sealed import Sealed
from automl.pipeline.study_folder import open_workspace
from automl.records import Silent
from automl.result import FitResult
from automl.review.studies import find_study
from tests.pipeline.deliver.test_deliver import finished, kept_of, other_head, read, study

__all__ = ["finished", "study"]  # fixtures

pytestmark = pytest.mark.study
BESIDE = ("result.json", ANSWERS_FILE, "trials.csv", "holdout.json")


class CtrlC(Silent):
    """Presses Ctrl-C at the stages whose message begins with one of these, and keeps the notes."""

    def __init__(self, *messages: str) -> None:
        self.messages, self.notes = messages, list[str]()

    def stage(self, name: str, message: str) -> None:
        if message.startswith(self.messages):
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, text: str) -> None:
        self.notes.append(text)


def deliver(study: Path, observer: Silent) -> FitResult:
    return automl.deliver("tiny", directory=study.parent, trial=other_head(study), observer=observer)


def files(study: Path) -> dict[str, bytes]:
    """What is in the folder of a study, but for its lock and its index of decoded images."""
    found = (path for path in study.rglob("*") if path.is_file() and path.name != ".running")
    return {str(path.relative_to(study)): path.read_bytes() for path in found}


def agree(study: Path) -> bool:
    result = read(study / "result.json")
    told = result["holdout_reads"] == read(study / "holdout.json")["reads"]
    return told and is_of_model(result, study / "model") and not leftovers(study)


def leftovers(study: Path) -> list[str]:
    return [name for name in (DRAFT, REPLACED) if (study / name).exists()]


def opened_again(study: Path) -> None:
    workspace = open_workspace(str(study.parent), study.name, overwrite=False)
    recover(workspace)
    workspace.close()


def test_ctrl_c_before_the_holdout_is_read_leaves_everything_as_it_was(study: Path) -> None:
    before, found = files(study), find_study("tiny", study.parent)
    with pytest.raises(KeyboardInterrupt):
        deliver(study, CtrlC("making a model"))
    after = files(study)
    assert {name: after.get(name) for name in before} == before
    assert not leftovers(study) and not (study / "models").exists()
    assert what_stands(found) == "; the study and its model are as they were"


@pytest.mark.parametrize("message", ["scoring the sealed holdout", "writing "])
def test_first_ctrl_c_from_the_holdout_on_is_ignored(message: str, study: Path) -> None:
    observer = CtrlC(message)
    result = deliver(study, observer)
    assert observer.notes == [delivering.ALMOST_DONE]
    assert result.to_json()["retrain"]["how"] == "linear head" and agree(study)
    assert result.to_json()["holdout_reads"] == 2 and read(study / "result.json")["verdict"]


def test_second_ctrl_c_while_scoring_keeps_the_model_and_tells_the_read(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, found = files(study), find_study("tiny", study.parent)
    write_known = Sealed.write_known

    def press(*given: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        write_known(*given, **options)

    monkeypatch.setattr(Sealed, "write_known", press)
    with pytest.raises(KeyboardInterrupt):
        deliver(study, CtrlC("scoring"))
    assert files(study)["model/model.safetensors"] == before["model/model.safetensors"]
    assert files(study)[ANSWERS_FILE] == before[ANSWERS_FILE] and agree(study)
    assert "read 2 times" in (study / "model" / "README.md").read_text(encoding="utf-8")
    assert what_stands(found) == "; the model is as it was, but the holdout was read 2 times"


def test_second_ctrl_c_at_the_report_leaves_the_new_model_with_its_result(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = find_study("tiny", study.parent)

    def press(*_: object) -> tuple[str, ...]:
        os.kill(os.getpid(), signal.SIGINT)
        return ()

    monkeypatch.setattr(delivering, "_report", press)
    with pytest.raises(KeyboardInterrupt):
        deliver(study, CtrlC("scoring"))
    assert read(study / "result.json")["retrain"]["how"] == "linear head" and agree(study)
    assert not (study / "report.html").exists()
    assert what_stands(found).startswith("; the study has a new model: ")


def test_killed_after_the_swap_gets_the_result_of_the_new_model(study: Path, finished: FitResult) -> None:
    """As a kill leaves it: the new model is in place, the other files are still in the draft."""
    deliver(study, Silent())
    done = {name: (study / name).read_bytes() for name in BESIDE}
    (study / DRAFT).mkdir()
    shutil.copytree(finished.directory / "model", study / REPLACED)
    for name in BESIDE[:3]:
        (study / name).rename(study / DRAFT / name)
        shutil.copy2(finished.directory / name, study / name)
    assert find_study("tiny", study.parent).result is not None
    opened_again(study)
    assert {name: (study / name).read_bytes() for name in BESIDE} == done and agree(study)


def test_killed_before_the_swap_keeps_the_model_and_tells_the_read(study: Path) -> None:
    """As a kill leaves it: a draft with a result, whose model is not in place, and a read that is counted."""
    before, digest = read(study / "result.json"), weights_sha256(study / "model")
    shutil.copytree(study / "model", study / DRAFT / "model")
    (study / DRAFT / "result.json").write_text('{"holdout_reads": 2, "model_sha256": "0"}', encoding="utf-8")
    (study / "holdout.json").write_text('{"reads": 2}', encoding="utf-8")
    shown = find_study("tiny", study.parent).result  # before anything has recovered
    assert shown is not None and shown["holdout_reads"] == 2
    (study / "model").rename(study / REPLACED)
    opened_again(study)
    now = read(study / "result.json")
    assert agree(study) and now[DIGEST] == digest == before[DIGEST]
    assert now["retrain"] == before["retrain"] and "read 2 times" in now["gap"]["explained"]
    assert kept_of(study) and not leftovers(study)
