"""Whether there is time for a student, and how it then learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from automl.data import open_source
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrain
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.distillation import training as module
from automl.pipeline.distillation.students import Student
from automl.pipeline.distillation.teacher import Teacher
from automl.pipeline.distillation.training import NoTime, Taught, Training
from automl.pipeline.setup import Setup, prepare
from automl.pipeline.study_folder import open_workspace
from automl.records import Config, Report, Silent, TrialState
from automl.search.storage.reader import StoredTrial
from automl.training.distillation.lesson import Lesson
from automl.training.speed_probe import Speed
from automl.training.trainer import Trainer
from tests.pipeline.test_fit import config_for, digits

pytestmark = pytest.mark.study

CONFIG: Config = {"model": "test_resnet", "upscale": 1.0, "lr": 4e-3, "batch_size": 32, "augment": 0.2}


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    directory = tmp_path_factory.mktemp("studies")
    config = config_for(directory, n_trials=1)
    workspace = open_workspace(str(directory), "tiny", overwrite=False)
    yield prepare(Context(config, workspace, Clock(None), Silent()), open_source(digits()))
    workspace.close()


@pytest.fixture(scope="module")
def teacher(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    """A network of the study after an epoch."""
    plan = replace(setup.plan, epochs=1)
    work = tmp_path_factory.mktemp("teacher")
    trained = Retrain(CONFIG, setup.data.splits, plan, work_dir=work).train(Silent())
    return Teacher(Alternative(Delivery.RETRAINED, CONFIG, trained), "cpu")


@pytest.fixture
def training(setup: Setup, teacher: Teacher, tmp_path: Path) -> Training:
    plan = replace(setup.plan, epochs=1, deadline=None)
    return Training(setup, teacher, setup.data.splits, plan, 1e-3, tmp_path, lambda: 1e3, lambda: False)


@pytest.fixture
def student(teacher: Teacher) -> Student:
    return Student(CONFIG, teacher.size("a network as large as its teacher"))


def at_speeds(beside: float, alone: float) -> Callable[..., Speed]:
    """A measurement that gives these images a second, beside the teacher and without it, whatever the machine does."""

    def measured(trainer: Trainer, *_: Any) -> Speed:
        return Speed(beside if trainer.lesson is not None else alone, 1.0)

    return measured


def lessons(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the lessons that a student gets, as it gets them."""
    found: list[str] = []
    for name in ("beside", "before"):
        given = getattr(Teacher, name)

        def told(self: Teacher, *rest: Any, _given: Any = given, _name: str = name) -> Lesson:
            found.append(_name)
            lesson: Lesson = _given(self, *rest)
            return lesson

        monkeypatch.setattr(Teacher, name, told)
    return found


def test_without_a_limit_a_student_trains_as_long_as_the_retrain(
    training: Training, student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = lessons(monkeypatch)
    made = training.taught(student, None)
    assert isinstance(made, Taught) and not made.stored
    assert made.model.epochs == 1.0 and made.model.n_train == training.rows
    assert given == ["beside"]


def test_with_time_for_every_image_it_learns_beside_its_teacher(
    training: Training, student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "speed_of", at_speeds(1e6, 1e6))
    made = training.taught(student, 60.0)
    assert isinstance(made, Taught) and not made.stored
    assert made.model.epochs == 1.0  # the plan has no more


def test_where_the_teacher_is_too_slow_it_answers_once_for_the_stored_images(
    training: Training, student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "speed_of", at_speeds(0.1, 1e6))
    given = lessons(monkeypatch)
    made = training.taught(student, 60.0)
    assert isinstance(made, Taught) and made.stored
    assert given[-1] == "before"
    answers = np.load(training.folder / "answers.npy")
    rows = np.load(training.folder / "retrain_index.npy")
    np.testing.assert_allclose(answers[rows].sum(axis=1), 1.0, rtol=1e-5)


def test_without_time_for_that_either_nothing_is_trained_and_it_is_said(
    training: Training, student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "speed_of", at_speeds(0.1, 0.2))
    monkeypatch.setattr(Retrain, "train", None)
    made = training.taught(student, 60.0)
    assert isinstance(made, NoTime)
    assert made.why.startswith("no time: ") and f"{training.enough:,} images take it" in made.why


def test_a_student_begins_with_the_weights_of_its_trial(
    training: Training, student: Student, tmp_path: Path
) -> None:
    """Their moving average, which is what the trial was scored with; a damaged checkpoint is told, and not used."""
    config = {**CONFIG, "ema": 0.9}
    trial = Trainer(config, training.splits.info, training.splits.train, training.plan)
    trial.train_round()
    place = tmp_path / "checkpoint"
    trial.save(place)
    report = Report(2, 1, 0.5, 1.0)
    stored = StoredTrial(2, TrialState.COMPLETE, config, "", (report,), (1.0,), 1, None, False, 0.0, 1.0)
    warm = replace(student, config=config, trial=stored, checkpoint=place)
    assert (warm.begun, student.begun) == ("weights of trial 2", "random weights")
    begun = training._begun(warm, None).trainer
    for name, value in trial.averaged.state_dict().items():
        assert torch.equal(begun.model.state_dict()[name], value)
        assert torch.equal(begun.averaged.state_dict()[name], value)
    (place / "weights.safetensors").write_bytes(b"")
    anew = training._begun(warm, None).trainer
    assert any(not torch.equal(anew.model.state_dict()[k], v) for k, v in trial.averaged.state_dict().items())


def test_a_student_sees_every_image_once_and_half_of_what_its_teacher_saw(training: Training) -> None:
    trained = training.teacher.trained
    patient = replace(training.teacher.model, trained=replace(trained, images_trained=10_000))
    assert training.enough == training.rows
    assert replace(training, teacher=replace(training.teacher, model=patient)).enough == 5000
