"""Studies that deliver the smallest network that keeps the metric."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import automl
from automl import pipeline
from automl.data.holdout import Holdout
from automl.final.cost.network import counts_of
from automl.final.evidence.words import made
from automl.pipeline.distillation import case, distil
from automl.pipeline.distillation.training import Training
from automl.records import Silent
from automl.result import FitResult
from automl.review.front.kept import Where, delivered_trial
from automl.review.front.networks import StudyNetworks
from automl.review.front.several import several_of
from automl.review.studies import find_study
from automl.review.trials import study_trials
from tests.final.evidence.gap_checker import facts_of, false_sentences
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study

# One network, from wide to narrow: the study trains the wide one, and the others are students that it may have.
SPACE: dict[str, Any] = {
    "families": {"resnet": ["resnet10t"]},
    "parameters": {
        "lr": {"type": "categorical", "choices": [0.004]},
        "batch_size": {"type": "categorical", "choices": [32]},
        "width": {"type": "categorical", "choices": [0.0625, 0.125, 0.25]},
        "upscale": {"type": "categorical", "choices": [1.0]},
    },
    "portfolio": [
        {
            "family": "resnet",
            "model": "resnet10t",
            "lr": 0.004,
            "batch_size": 32,
            "width": 0.25,
            "upscale": 1.0,
        }
    ],
}


class Log(Silent):
    """What happened, in its order: stages and notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stage(self, name: str, text: str) -> None:
        self.lines.append(f"[{name}] {text}")

    def note(self, text: str) -> None:
        self.lines.append(text)


def ten_digits() -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    return (data.images[:450] * 15.9).astype(np.uint8), data.target[:450]


def options(**changes: Any) -> dict[str, Any]:
    """A study of one trial; whatever its students reach, they may lose it all unless `max_loss` says otherwise."""
    base = {"data": ten_digits(), "space": SPACE, "deliver": "small", "max_loss": 1.0, "val": 0.3}
    return {**base, "n_trials": 1, "epochs": 2, **changes}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[FitResult, list[str]]:
    """A study that delivers a student; to open its holdout before the model is chosen is an error."""
    log, opened = Log(), Holdout.open

    def recorded(self: Holdout, *, again: bool = False) -> Any:
        if not any(line.startswith("[holdout]") for line in log.lines):
            raise AssertionError("the holdout was read while a model was chosen")
        log.lines.append("the holdout is opened")
        return opened(self, again=again)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Holdout, "open", recorded)
        result = pipeline.fit(config_for(tmp_path_factory.mktemp("small"), **options()), observer=log)
    return result, log.lines


def test_students_learn_before_the_holdout_is_opened_once(small: tuple[FitResult, list[str]]) -> None:
    result, lines = small
    taught = [place for place, line in enumerate(lines) if line.startswith("[distil] teaching")]
    assert len(taught) == 2, "of two sizes the larger one comes first, then the smaller one"
    assert taught[-1] < lines.index("the holdout is opened")
    assert lines.count("the holdout is opened") == result.to_json()["holdout_reads"] == 1


def test_the_smallest_student_is_delivered_where_all_keep_the_metric(
    small: tuple[FitResult, list[str]],
) -> None:
    document = small[0].to_json()
    retrain = document["retrain"]
    told = retrain["evidence"]["distillation"]
    assert retrain["how"] == "distilled" and retrain["config"]["width"] == 0.0625
    assert told["chosen"] == 0 and [one["keeps"] for one in told["students"]] == [True, True]
    sizes = [one["params"] for one in (*told["students"], told["teacher"])]
    assert sizes == sorted(sizes) and sizes[0] < sizes[1] < sizes[2]
    assert sum(value.numel() for value in small[0].predictor.model.parameters()) == sizes[0]
    assert told["students"][0]["ms_per_image"] > 0 and told["teacher"]["ms_per_image"] > 0
    assert retrain["teacher"] == told["teacher"]


def test_what_is_told_of_it_is_true(small: tuple[FitResult, list[str]]) -> None:
    result = small[0]
    document = result.to_json()
    retrain, told = document["retrain"], document["retrain"]["evidence"]["distillation"]
    assert retrain["evidence"]["kept_out"] == told["rows"] >= 30
    assert retrain["n_train"] == document["data"]["n_train"] + document["data"]["n_val"] - told["rows"]
    student = told["students"][0]
    assert student["loss"] == pytest.approx(told["teacher"]["value"] - student["value"])
    assert f"{student['loss']:.4f}" in retrain["why"] and f"{student['value']:.4f}" in retrain["why"]
    assert f"{told['teacher']['params']:,} parameters" in made(document)
    assert false_sentences(document["gap"]["explained"], facts_of(result.directory)) == []
    card = (result.model_dir / "README.md").read_text(encoding="utf-8")
    assert "Distilled from the retrain of trial 0" in card
    assert delivered_trial(document) is None
    assert not result.leaderboard()["delivered"].any()
    study = find_study("tiny", result.directory.parent)
    trials = study_trials(study)[2]
    (point,) = several_of(study, trials)
    (trial,) = (row for row in trials if row.trial == document["best"]["trial"])
    assert trial.value is not None and point.place == Where.MODEL.value and point.kind == "distilled"
    assert point.value == pytest.approx(trial.value - student["loss"])
    assert counts_of(point.network(StudyNetworks.of(study)).build()).params == student["params"]
    assert not (result.directory / distil.FOLDER).exists()


def test_the_student_answers_as_the_holdout_says(small: tuple[FitResult, list[str]]) -> None:
    result = small[0]
    images, labels = ten_digits()
    right = float(np.mean(np.array(result.predictor.predict(images)) == labels))
    assert right >= result.holdout["accuracy"].low


def test_the_same_command_again_keeps_the_student(small: tuple[FitResult, list[str]]) -> None:
    first = small[0]
    again = pipeline.fit(config_for(first.directory.parent, **options()))
    assert again.unchanged_after is not None
    assert json.loads(json.dumps(again.to_json())) == json.loads(json.dumps(first.to_json()))


def test_the_teacher_of_the_same_run_can_become_the_model_without_a_training(
    small: tuple[FitResult, list[str]], tmp_path: Path
) -> None:
    result, lines = small
    shutil.copytree(result.directory, tmp_path / "tiny")
    told = result.to_json()["retrain"]["evidence"]["distillation"]["teacher"]
    assert any(
        line.startswith("The teacher is kept in models/t0000-retrained; `automl deliver") for line in lines
    )
    teacher = automl.deliver("tiny", directory=tmp_path, former="t0000-retrained", data=ten_digits())
    document = teacher.to_json()
    assert sum(value.numel() for value in teacher.predictor.model.parameters()) == told["params"]
    assert document["retrain"]["how"] == "retrained" and document["holdout_reads"] == 2
    assert document["holdout"] != result.to_json()["holdout"]
    assert not false_sentences(document["gap"]["explained"], facts_of(tmp_path / "tiny"))
    back = automl.deliver("tiny", directory=tmp_path, former="distilled", data=ten_digits()).to_json()
    assert back["holdout"] == result.to_json()["holdout"] and back["holdout_reads"] == 2
    again = automl.deliver("tiny", directory=tmp_path, former="t0000-retrained", data=ten_digits()).to_json()
    assert again["holdout"] == document["holdout"] and again["holdout_reads"] == 2  # its score is kept now


def test_a_finished_study_with_a_single_model_has_students_without_a_search(tmp_path: Path) -> None:
    first = pipeline.fit(config_for(tmp_path, **options(deliver="single", max_loss=None))).to_json()
    assert first["retrain"]["how"] == "retrained" and first["deliver"] == "single"
    log = Log()
    second = pipeline.fit(config_for(tmp_path, **options()), observer=log).to_json()
    assert second["retrain"]["how"] == "distilled" and second["trials"] == first["trials"]
    assert second["work"]["rounds"] == first["work"]["rounds"]  # no search
    assert second["holdout_reads"] == 2 and second["deliver"] == "small"
    assert not false_sentences(second["gap"]["explained"], facts_of(tmp_path / "tiny"))
    kept = sorted(folder.name for folder in (tmp_path / "tiny" / "models").iterdir())
    assert kept == ["t0000-retrained", "t0000-retrained-2"], "the former model, and the teacher of this run"
    again = automl.deliver("tiny", directory=tmp_path, trial=0, data=ten_digits()).to_json()
    assert again["holdout"] == first["holdout"] and again["retrain"]["how"] == "retrained"
    # and a single one is asked for while a student is the model: a sentence says how
    automl.deliver("tiny", directory=tmp_path, former="distilled", data=ten_digits())
    pipeline.fit(config_for(tmp_path, **options(deliver="single", max_loss=None)), observer=log)
    assert any(
        line.startswith("The model stays the distilled network of the earlier run") for line in log.lines
    )


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_other_tasks_have_students_too(task: str, tmp_path: Path) -> None:
    images, labels = ten_digits()
    targets = np.eye(10, dtype=np.int64)[labels] if task == "multilabel" else labels + 0.5
    most = 1.0 if task == "multilabel" else 100.0  # an error has no upper limit
    result = pipeline.fit(config_for(tmp_path, **options(data=(images, targets), task=task, max_loss=most)))
    document = result.to_json()
    told = document["retrain"]["evidence"]["distillation"]
    assert document["task"] == task and document["retrain"]["how"] == "distilled"
    assert all(np.isfinite(one["loss"]) and one["keeps"] for one in told["students"])
    value, sign = told["teacher"]["value"], 1.0 if document["mode"] == "max" else -1.0
    for one in told["students"]:
        assert one["loss"] == pytest.approx(sign * (value - one["value"]))


def test_the_teacher_stays_where_no_student_keeps_the_metric_and_it_is_told_what_each_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A student may lose nothing, and its answers are moved by one class, so that it loses nearly all."""
    answers = case.Case.answers

    def wrong(self: case.Case, model: Any) -> Any:
        found = answers(self, model)
        return replace(found, scores=np.roll(found.scores, 1, axis=1))

    monkeypatch.setattr(case.Case, "answers", wrong)
    result = pipeline.fit(config_for(tmp_path, **options(max_loss=0.0, epochs=6)))
    retrain = result.to_json()["retrain"]
    told = retrain["evidence"]["distillation"]
    assert retrain["how"] == "retrained" and told["chosen"] is None and told["max_loss"] == 0.0
    assert len(told["students"]) == 2 - 1, "the largest failed, so no smaller one is trained"
    assert retrain["why"].startswith(
        "no smaller network is shown to be within 0.0000 of the retrain of trial 0"
    )
    assert f"{told['students'][0]['value']:.4f}" in retrain["why"]


def test_ctrl_c_while_students_learn_delivers_the_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(self: Training, student: Any, seconds: float | None) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return taught(self, student, seconds)

    taught, log = Training.taught, Log()
    monkeypatch.setattr(Training, "taught", pressed)
    result = pipeline.fit(config_for(tmp_path, **options()), observer=log)
    assert result.to_json()["retrain"]["how"] == "retrained" and result.to_json()["stopped"] == "retrain"
    assert "Ctrl-C ended the distillation: the retrain of trial 0 is delivered." in log.lines


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"val": 0.1}, "validation images are left that the model did not train on"),
        ({"val": "cv:2"}, "under cross-validation no image is left"),
        ({"max_params": 40_000}, "the study knows none that is clearly smaller"),
    ],
)
def test_without_rows_or_students_the_model_itself_is_delivered_and_it_is_said(
    changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    log = Log()
    result = pipeline.fit(config_for(tmp_path, **options(**changes)), observer=log)
    assert result.to_json()["retrain"]["how"] != "distilled"
    assert any(line.startswith("No smaller network: ") and why in line for line in log.lines)
