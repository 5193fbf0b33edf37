"""What is delivered without time for a retrain, without a score, and after Ctrl-C."""

from __future__ import annotations

import importlib
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl import pipeline
from automl.final.evidence.answers import Answered, answered
from automl.final.evidence.candidates import Alternative, Positions
from automl.final.evidence.delivery import Delivery, TooShort
from automl.final.retrain import Retrain, Retrained
from automl.machine import Moment
from automl.pipeline import run
from automl.pipeline.plan import heads
from automl.pipeline.plan import plan as planning
from automl.pipeline.plan.budget import Budget, Work
from automl.pipeline.retrain import contest, retrain_time
from automl.pipeline.retrain.retrain_time import RetrainTime
from automl.pipeline.run import Run
from automl.records import Rows, Silent
from automl.result import FitResult
from automl.review.describe import summary
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer
from tests.final.evidence.gap_checker import facts_of, false_sentences
from tests.pipeline.test_fit import config_for, digits, trainings

pytestmark = [pytest.mark.study, pytest.mark.alone]


@pytest.fixture(autouse=True)
def _any_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of a few seconds are allowed, however busy the machine is: they make the cases that are tested here."""
    fit = importlib.import_module("automl.pipeline.fit")  # `automl.pipeline.fit` is the function
    monkeypatch.setattr(fit, "refuse_shorter", lambda *_, **__: None)
    monkeypatch.setattr(planning, "slowdown", lambda: 1.0)


class Notes(Silent):
    """Keeps the notes, and calls `then` when a stage begins."""

    def __init__(self, stage: str = "", then: Any = None) -> None:
        self.notes: list[str] = []
        self._when, self._then = stage, then

    def stage(self, name: str, text: str) -> None:
        if name == self._when:
            self._then()

    def note(self, text: str) -> None:
        self.notes.append(text)


def retrain_of(result: FitResult) -> dict[str, Any]:
    """Return what result.json says of the retrain."""
    found: dict[str, Any] = json.loads((result.directory / "result.json").read_text())["retrain"]
    return found


def test_ctrl_c_in_the_retrain_delivers_the_best_trials_own_weights_and_resume_retrains(
    tmp_path: Path,
) -> None:
    steps: list[int] = []  # of the retrain
    notes = Notes("retrain", lambda: steps.append(0))
    chosen = {"n_trials": 1, "epochs": 16, "space": "smoke", "data": digits()}
    step = Trainer.train_step

    def stopped(self: Trainer, *batch: Any) -> Any:
        if steps:
            steps.append(len(steps))
            if len(steps) == 5:
                os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "train_step", stopped)
        first = pipeline.fit(config_for(tmp_path, **chosen), observer=notes)
    found = retrain_of(first)
    assert found["how"] == "own weights" and found["why"].startswith("Ctrl-C stopped")
    assert found["n_train"] == first.to_json()["data"]["n_train"]
    assert any("own weights are delivered" in note for note in notes.notes)
    second = pipeline.fit(config_for(tmp_path, **chosen))
    again = retrain_of(second)
    assert again["evidence"]["retrain"]["progress"] == 1.0 and second.trials["total"] == 1
    # The rows that are kept out are so few that one of them may decide for the earlier model.
    kept = again["how"] == "earlier model" and any(each["won"] for each in again["evidence"]["comparisons"])
    assert kept or again["how"] == "retrained", again
    assert second.to_json()["holdout_reads"] == (1 if kept else 2)


def test_ctrl_c_between_search_and_retrain_delivers_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: Any) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return ""

    monkeypatch.setattr(run, "write_label_errors", pressed)
    notes = Notes("nothing", lambda: None)
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=2), observer=notes)
    assert result.to_json()["stopped"] is not None
    assert any(note.startswith("Search stopped; ") for note in notes.notes)
    assert (result.model_dir / "model.safetensors").is_file()


def test_ctrl_c_in_the_set_up_leaves_nothing_behind(tmp_path: Path) -> None:
    watching = Notes("plan", lambda: os.kill(os.getpid(), signal.SIGTERM))
    # Ray leaves a handler of its own, where it ran before.
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(KeyboardInterrupt):
            pipeline.fit(config_for(tmp_path), observer=watching)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert list(tmp_path.iterdir()) == []


def test_no_time_for_a_retrain_delivers_the_best_trials_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_for_the_search(work: Work, *, remaining: float | None, **options: Any) -> Budget:
        assert remaining is not None
        return Budget(400, remaining - 1.5, 1.0, 1.0, 400)

    monkeypatch.setattr(planning, "make_budget", all_for_the_search)
    monkeypatch.setattr(planning, "part_of_rows", lambda *_: 0.5)
    monkeypatch.setattr(heads, "_on_pixels", lambda *_: ())
    # Nothing pauses the trial, so that on every machine it takes longer than the second that is left holds twice.
    whole = {"policy": "none", "n_trials": None, "time_limit": 9.0, "epochs": None}
    result = pipeline.fit(config_for(tmp_path, **whole))
    found = retrain_of(result)
    assert found["how"] == "own weights" and "of what a retrain as long as" in found["why"]
    assert found["epochs"] == pytest.approx(result.to_json()["best"]["epochs"], abs=0.01)
    # Those of the trial.
    assert found["n_train"] == pytest.approx(result.to_json()["data"]["n_train"] / 2, abs=10)
    images, _ = digits()
    assert len(result.predictor.predict(images[:2])) == 2


def test_retrain_that_could_not_be_scored_gives_way_to_a_better_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "answered", without_scores(Delivery.RETRAINED))
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1, time_limit=30.0))
    found, best = retrain_of(result), result.to_json()["best"]
    assert found["how"] == "linear head" and "no time to score the retrain" in found["why"]
    assert found["evidence"]["decided_by"] == "earlier scores"
    assert result.holdout["accuracy"].value > best["val_score"] + 0.1


def without_scores(*delivered: Delivery) -> Any:
    """There is no time to score these models on validation rows."""

    def no_time(model: Alternative, val: Rows, order: Positions, **options: Any) -> Answered:
        return answered(model, val, order[: 0 if model.delivery in delivered else None], **options)

    return no_time


def test_retrain_that_could_not_be_scored_and_is_shorter_gives_way_to_the_trials_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "answered", without_scores(Delivery.RETRAINED))
    monkeypatch.setattr(heads, "_on_pixels", lambda *_: ())
    train = Retrain.train
    for images, how in ((1, "own weights"), (10**6, "retrained")):

        def some(self: Retrain, *args: Any, count: int = images, **options: Any) -> Retrained:
            return replace(train(self, *args, **options), images_trained=count)

        monkeypatch.setattr(Retrain, "train", some)
        monkeypatch.setattr(RetrainTime, "enough", lambda *_: 0.0)
        result = pipeline.fit(config_for(tmp_path / how, n_trials=1, epochs=4, time_limit=20.0))
        found = retrain_of(result)
        assert found["how"] == how, found
        assert ("it trained on 1 images, the best trial on" in found["why"]) is (how == "own weights")
        assert false_sentences(result.to_json()["gap"]["explained"], facts_of(result.directory)) == []


def test_without_time_for_anything_the_best_known_score_decides_and_not_the_trial_at_any_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "answered", without_scores(*Delivery))
    monkeypatch.setattr(retrain_time, "ROUND_IMAGES", 10**9)  # no retrain
    for name, lr, how in (("bad", 1e-7, "linear head"), ("good", 8e-3, "own weights")):
        space = {
            "families": {"resnet": ["test_resnet"]},
            "parameters": {"lr": {"type": "float", "low": lr, "high": 1.01 * lr}},
        }
        chosen = {"n_trials": 1, "epochs": 1 if name == "bad" else 12, "time_limit": 30.0, "space": space}
        if name == "good":
            monkeypatch.setattr(heads, "_on_pixels", lambda *_: ())
        result = pipeline.fit(config_for(tmp_path / name, **chosen))
        found = retrain_of(result)
        assert found["how"] == how, (found, result.val_score)
        assert ("no time to compare models" in found["why"]) is (how == "linear head")


def test_ctrl_c_while_the_other_models_are_scored_delivers_the_best_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Delivery] = []

    def pressed(model: Alternative, *rows: Any, **options: Any) -> Answered:
        if not asked:
            os.kill(os.getpid(), signal.SIGINT)
        asked.append(model.delivery)
        return answered(model, *rows, **options)

    monkeypatch.setattr(contest, "answered", pressed)
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=8, time_limit=60.0))
    document, found = result.to_json(), retrain_of(result)
    assert found["how"] in ("own weights", "linear head") and found["why"].startswith("Ctrl-C came before")
    assert found["evidence"]["retrain"] is None and document["stopped"] == "retrain"
    assert (result.model_dir / "model.safetensors").is_file()
    assert Delivery.RETRAINED not in asked


def test_ctrl_c_before_the_retrain_without_another_model_trains_one_shortly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(contest, "own_model", nothing)
    monkeypatch.setattr(heads, "_on_pixels", lambda *_: ())
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=2, time_limit=120.0))
    document = result.to_json()
    assert document["retrain"]["how"] == "retrained" and document["stopped"] == "retrain"
    assert document["time"]["used_s"] < 60.0


def test_ctrl_c_while_the_earlier_model_is_read_delivers_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Run, "earlier_model", pressed)
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=2))
    assert result.to_json()["stopped"] is not None
    assert (result.model_dir / "model.safetensors").is_file()


def test_time_for_the_retrain_is_judged_after_its_scoring_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forecast reserves half a minute for a scoring that takes a moment."""
    monkeypatch.setattr(retrain_time, "closing_seconds", lambda *_, **__: 30.0)
    monkeypatch.setattr(heads, "_on_pixels", lambda *_: ())
    for name in ("weights", "none"):
        if name == "none":
            monkeypatch.setattr(contest, "own_model", lambda *_, **__: None)
        result = pipeline.fit(config_for(tmp_path / name, n_trials=1, epochs=6, time_limit=30.0))
        found = retrain_of(result)
        assert found["how"] == "retrained" and found["evidence"]["retrain"]["progress"] == 1.0, found


def test_no_retrain_begins_that_holds_fewer_images_than_a_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrain_time, "ROUND_IMAGES", 10**9)
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1, time_limit=12.0))
    found = retrain_of(result)
    assert found["how"] == "linear head" and "enough for only about" in found["why"]
    assert found["evidence"]["decided_by"] == "time left" and found["evidence"]["retrain"] is None


def test_network_that_is_too_expensive_to_score_is_not_retrained_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if a CPU had to score a network that was meant for a GPU: hours.
    monkeypatch.setattr(retrain_time, "seconds_per_image", lambda *_, **__: 100.0)
    monkeypatch.setattr(Answered, "seconds_per_row", 100.0)
    monkeypatch.setattr(retrain_time, "ENOUGH", 1e6)
    monkeypatch.setattr(planning, "part_of_rows", lambda *_: 1.0)
    short = RetrainTime.too_short
    told: list[float] = []

    def judged(self: RetrainTime, plan: TrainPlan) -> TooShort | None:
        told.append(plan.seconds or 0.0)
        return short(self, plan)

    monkeypatch.setattr(RetrainTime, "too_short", judged)
    chosen = {"n_trials": 1, "epochs": 2, "time_limit": 60.0}
    found = retrain_of(pipeline.fit(config_for(tmp_path, **chosen)))
    assert found["how"] == "own weights" and "0.1 s are left for the retrain" in found["why"]
    assert told == [contest.LEAST_S]  # the trial's own network was scored before
    # Where the trial left no weights that can be read, its network is measured before it is judged.
    told.clear()
    monkeypatch.setattr(retrain_time, "ENOUGH", 1.0)
    monkeypatch.setattr(RetrainTime, "_trial_seconds", lambda _: 5.0)
    monkeypatch.setattr(contest, "own_model", lambda *_, **__: None)
    monkeypatch.setattr(Answered, "seconds_per_row", 1e-4)
    found = retrain_of(pipeline.fit(config_for(tmp_path / "measured", **chosen)))
    assert found["how"] == "linear head" and "0.1 s are left for the retrain" in found["why"]
    assert len(told) == 2 and told[0] > 5.0 > told[1]
    # Without another model, what the time holds is delivered.
    told.clear()
    monkeypatch.setattr(heads, "_on_pixels", lambda *_: ())
    result = pipeline.fit(config_for(tmp_path / "unread", **chosen))
    assert retrain_of(result)["how"] == "retrained" and len(told) == 1


def test_trial_that_meets_the_deadline_in_its_first_epoch_reports_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _slow_down(monkeypatch, 0.6)
    result = pipeline.fit(config_for(tmp_path, n_trials=None, time_limit=12.0, epochs=None))
    board = trainings(result)
    assert list(board["state"]) == ["unfinished"] and 0.0 <= result.val_score <= 1.0
    assert (result.model_dir / "model.safetensors").is_file()


def test_nothing_reported_in_time_delivers_the_first_configuration_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automl.training.trial.ImageTrial.step", lambda self: _late(self.plan.deadline))
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, n_trials=None, time_limit=9.0), observer=notes)
    written = json.loads((result.directory / "result.json").read_text())
    assert written["best"]["val_score"] is None and np.isnan(result.val_score)
    assert "No trial had a validation score, so " in written["gap"]["explained"]
    assert any("compared with no other" in note for note in notes.notes)
    assert result.trials == {
        "total": 1,
        "complete": 0,
        "pruned": 0,
        "unfinished": 1,
        "failed": 0,
        "paused": 0,
        "heads": 1,
    }


def test_head_that_is_delivered_without_a_scored_trial_is_not_called_the_best_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("automl.training.trial.ImageTrial.step", lambda self: _late(self.plan.deadline))
    monkeypatch.setattr(retrain_time, "ROUND_IMAGES", 10**9)
    result = pipeline.fit(config_for(tmp_path, n_trials=None, time_limit=9.0))
    document = result.to_json()
    assert document["retrain"]["how"] == "linear head"
    assert "so the linear head was compared with no trial." in document["gap"]["explained"]
    card = (result.model_dir / "README.md").read_text()
    assert "No trial was scored; a linear head is delivered." in card and "(best:" not in card
    shown = dict(summary(document, result.model_dir, ""))
    assert shown["val accuracy"].startswith("none: no trial was scored; a linear head is delivered")
    assert shown["delivered"].startswith("trial 0, linear head on 16 x 16 pixels: fitted on")
    assert shown["best training"].startswith("none; the first configuration was ")
    assert false_sentences(document["gap"]["explained"], facts_of(result.directory)) == []


def _late(deadline: Moment) -> dict[str, bool]:
    time.sleep(max(0.0, deadline.left()))
    return {"interrupted": True}


def _slow_down(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """From the search on, a step of a trial takes that much longer than the probe had measured."""
    real = Trainer.train_round

    def slowly(self: Trainer) -> float | None:
        step = self.train_step

        def slow_step(*batch: Any) -> Any:
            if self.plan.seconds is None:
                time.sleep(seconds)
            return step(*batch)

        monkeypatch.setattr(self, "train_step", slow_step, raising=False)
        return real(self)

    monkeypatch.setattr(Trainer, "train_round", slowly)
