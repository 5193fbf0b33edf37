"""The best known weights are delivered, and a model that is no better than chance says so."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import automl
from automl import pipeline
from automl.errors import TrialError
from automl.final.card import read_verdict
from automl.final.evidence.answers import Answered, answered
from automl.final.evidence.candidates import Alternative, Candidate, Judge, Positions
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.paired import Difference
from automl.final.evidence.words import not_usable
from automl.final.retrain import Retrain, Retrained
from automl.pipeline.plan import heads
from automl.pipeline.retrain import contest, final_model
from automl.records import Rows
from automl.result import FitResult
from automl.review.studies import find_study, read_study
from automl.training.steps.metrics import compute
from automl.training.trainer import Trainer
from tests.final.evidence.gap_checker import facts_of, false_sentences
from tests.final.evidence.test_candidates import JUDGE, candidate, feature_head
from tests.pipeline.test_final_model import Notes, retrain_of
from tests.pipeline.test_fit import config_for, digits

pytestmark = [pytest.mark.study, pytest.mark.alone]


def no_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retrains take their steps with a learning rate of 0, so that they stay as they began."""
    real = Trainer._set_lr

    def stuck(self: Trainer, progress: float) -> None:
        real(self, progress)
        for group in self.optimizer.param_groups:
            group["lr"] *= 0.0 if self.plan.final else 1.0

    monkeypatch.setattr(Trainer, "_set_lr", stuck)


def card_of(result: FitResult) -> str:
    return (result.model_dir / "README.md").read_text(encoding="utf-8")


def test_retrain_that_is_worse_on_the_rows_it_trained_on_is_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_learning(monkeypatch)
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path), observer=notes)
    found, data = retrain_of(result), result.to_json()["data"]
    assert found["how"] == "own weights" and found["n_train"] == data["n_train"]
    (comparison,) = found["evidence"]["comparisons"]
    assert comparison["won"] and comparison["challenger"] == "own weights"
    assert comparison["rows"] == comparison["preferred_trained_on"] == data["n_val"]
    assert comparison["challenger_value"] == pytest.approx(result.val_score, abs=0.06)
    assert any(note.startswith("On ") and "own weights are delivered" in note for note in notes.notes)
    assert "Both are scores of the same weights" in result.to_json()["gap"]["explained"]
    card = card_of(result)
    assert "The best trial's own weights, after" in card and "Trained for" not in card
    assert result.usable and result.holdout["accuracy"].value > 0.8


def test_rows_are_kept_out_of_a_short_retrain_and_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(final_model, "CERTAIN", 1e9)  # as if every retrain were short
    chosen: dict[str, Any] = {"n_trials": 2, "epochs": 3, "time_limit": 60.0}
    result = pipeline.fit(config_for(tmp_path / "good", **chosen))
    found, data = retrain_of(result), result.to_json()["data"]
    kept = found["evidence"]["kept_out"]
    assert kept == pytest.approx(data["n_val"] / 3, abs=2)
    assert found["evidence"]["retrain"]["n_train"] == data["n_train"] + data["n_val"] - kept
    first = found["evidence"]["comparisons"][0]
    assert (first["rows"], first["preferred_trained_on"]) == (kept, 0)
    no_learning(monkeypatch)
    result = pipeline.fit(config_for(tmp_path / "bad", **chosen))
    found = retrain_of(result)
    assert found["how"] == "own weights" and found["evidence"]["decided_by"] == "comparison"
    assert f"on {kept} validation images" in found["why"] and "neither was trained on them" in found["why"]


def test_retrain_that_reached_little_of_the_trials_work_is_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Retrain.train

    def cut(self: Any, *args: Any, **options: Any) -> Retrained:
        return replace(real(self, *args, **options), images_trained=10)

    monkeypatch.setattr(Retrain, "train", cut)
    found = retrain_of(pipeline.fit(config_for(tmp_path)))
    assert found["how"] == "own weights" and found["evidence"]["decided_by"] == "length reached"
    assert found["why"].startswith("when its time ended, the retrain had trained on 10 images")


def test_retrain_that_fails_leaves_the_best_trials_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Retrain, *args: Any, **options: Any) -> Retrained:
        raise TrialError("the training loss became nan in round 1, also with half the lr; use a lower lr")

    monkeypatch.setattr(Retrain, "train", broken)
    result = pipeline.fit(config_for(tmp_path / "known"))
    found = retrain_of(result)
    assert found["how"] == "own weights" and found["evidence"]["decided_by"] == "retrain failed"
    assert found["why"].startswith("the retrain failed (the training loss became nan in round 1")
    assert result.usable and found["evidence"]["retrain"] is None
    monkeypatch.setattr(contest, "own_model", lambda *_, **__: None)
    with pytest.raises(TrialError, match="the training loss became nan"):
        pipeline.fit(config_for(tmp_path / "unknown"))


def test_time_that_was_reserved_for_comparing_the_retrain_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: dict[Delivery, float] = {}

    def looks(model: Alternative, *rows: Any, until: float, **options: Any) -> Answered:
        seconds[model.delivery] = until - time.monotonic()
        return answered(model, *rows, until=until, **options)

    monkeypatch.setattr(contest, "answered", looks)
    monkeypatch.setattr(contest, "COMPARING", 0.01)  # of the seconds left: not enough for a batch at the end
    monkeypatch.setattr(final_model, "CERTAIN", math.inf)  # the retrain is compared, however long it is
    pipeline.fit(config_for(tmp_path, n_trials=1, epochs=2, time_limit=40.0))
    assert seconds[Delivery.HEAD] < 0.4
    assert seconds[Delivery.RETRAINED] > 1.0


def test_linear_head_is_delivered_if_the_retrain_is_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_learning(monkeypatch)
    monkeypatch.setattr(contest, "own_model", lambda *_, **__: None)
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=2, time_limit=60.0))
    found, document = retrain_of(result), result.to_json()
    assert found["how"] == "linear head" and found["config"]["model"].endswith("linear_on_pixels")
    # It leads where nothing is known of the trial, so rows are kept out, and decide.
    assert found["evidence"]["kept_out"] == found["evidence"]["comparisons"][0]["rows"] > 10
    assert found["evidence"]["comparisons"][0]["won"]
    assert document["best"]["config"]["model"] != found["config"]["model"]
    assert "The linear head was fitted on" in document["gap"]["explained"]
    assert "A linear head, fitted on" in card_of(result)
    assert result.usable and result.holdout["accuracy"].value > 0.8
    images, labels = digits()
    assert np.mean(np.array(result.predictor.predict(images)) == labels) > 0.8
    assert find_study("tiny", tmp_path).state == "finished"


def test_model_that_knows_nothing_is_not_usable_and_says_so(tmp_path: Path) -> None:
    images = (load_digits().images[:300] * 15.9).astype(np.uint8)
    labels = np.random.default_rng(0).choice(["busy", "free"], len(images), p=[0.3, 0.7])
    result = pipeline.fit(config_for(tmp_path, data=(images, labels), n_trials=1, metric="accuracy"))
    document = json.loads((result.directory / "result.json").read_text())
    assert document["usable"] is result.usable is False and "usable=False" in repr(result)
    assert document["trivial_words"]["accuracy"] == "always 'free'"
    assert result.trivial["accuracy"] == pytest.approx(0.7, abs=0.1)
    said = not_usable(document)
    # The model may have learned no more than the more frequent class, which is said in other words.
    assert (
        said.startswith(("Not usable: accuracy 0.", "Not usable: its answer for all ")) and "'free'" in said
    )
    card = card_of(result)
    assert card.index(f"**{said}**") < card.index("Trained by automl")
    assert read_verdict(result.model_dir) == said
    assert f"always 'free' ({result.trivial['accuracy']:.4f}) |" in card


def test_ctrl_c_in_the_search_leaves_the_retrain_its_time_and_a_stopped_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    step = Trainer.train_step

    def stopped(self: Trainer, *batch: Any) -> Any:
        if steps and not self.plan.final:
            steps.append(len(steps))
            if len(steps) == 60:
                os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "train_step", stopped)
    monkeypatch.setattr(heads, "_on_pixels", lambda *_: ())
    given: list[float] = []
    train = Retrain.train

    def told(self: Retrain, *args: Any, **options: Any) -> Retrained:
        given.append(options["seconds"])
        return train(self, *args, **options)

    monkeypatch.setattr(Retrain, "train", told)
    notes = Notes("search", lambda: steps.append(0))
    chosen = {"n_trials": None, "epochs": 6, "time_limit": 60.0, "policy": "none"}
    result = pipeline.fit(config_for(tmp_path, **chosen), observer=notes)
    document = result.to_json()
    assert document["stopped"] == "search" and document["time"]["used_s"] < 60.0
    # The plan gave it about 1 s, which on a busy machine is not enough for a few batches.
    assert given[0] >= 10.0 and document["retrain"]["evidence"]["retrain"]["images"] >= 128
    assert read_study(result.directory).state == "stopped"


@pytest.mark.parametrize("mirrored", [True, False])
def test_own_weights_score_as_the_trial_did_but_for_mirror_images_that_do_not_harm_and_the_gap_says_so(
    mirrored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lr = {"type": "float", "low": 5e-3, "high": 1e-2}
    parameters = {"lr": lr, "hflip": {"type": "categorical", "choices": [True]}}
    space = {"families": {"resnet": ["test_resnet"]}, "parameters": parameters}
    scored: list[tuple[Alternative, Rows]] = []

    def remembered(model: Alternative, val: Rows, order: Positions, **options: Any) -> Answered:
        scored.append((model, val))
        return answered(model, val, order, **options)

    no_learning(monkeypatch)
    monkeypatch.setattr(contest, "answered", remembered)
    monkeypatch.setattr(contest, "worse_mirrored", lambda *_: not mirrored)
    result = pipeline.fit(config_for(tmp_path, space=space, n_trials=1, epochs=6))
    own, val = scored[0]
    n, targets = len(val), np.load(val.targets)[np.load(val.index)]
    values = []
    for both in (False, True):
        alone = replace(own, mirrored=both)
        found = answered(alone, val, np.arange(n), seen=np.zeros(n, dtype=bool), device="cpu").candidate
        values.append(compute("accuracy", targets, found.scores, "classification"))
    assert values[0] == pytest.approx(result.val_score)
    (comparison,) = retrain_of(result)["evidence"]["comparisons"]
    assert comparison["challenger_value"] == pytest.approx(values[int(mirrored)])
    assert automl.load(result.directory).mirrored is mirrored
    explained = result.to_json()["gap"]["explained"]
    assert "Both are scores of the same weights" in explained
    said = "from each image and its mirror image, the validation score from each image alone"
    assert (said in explained) is mirrored
    assert false_sentences(explained, facts_of(result.directory)) == []


class Scored(contest.Contest):
    """A contest whose other models have been scored."""

    def __init__(self, others: list[Candidate], promise: float, crossed: Difference | None = None) -> None:
        self.others, self.promise, self.earlier, self.crossed = others, promise, None, crossed
        self.beaten = []

    @property
    def judge(self) -> Judge:
        return JUDGE


def test_retrain_keeps_rows_to_prove_itself_wherever_a_head_is_preferred_to_it() -> None:
    models = [candidate(Delivery.OWN_WEIGHTS, 59), feature_head(0.8)]
    assert Scored(models, promise=0.82).alternative_leads()
    assert not Scored(models, promise=0.99).alternative_leads()


@pytest.mark.parametrize(("better", "kept"), [(0.05, False), (0.02, True), (-0.05, True)])
def test_retrain_needs_no_rows_where_its_trial_is_better_than_the_head_out_of_fold(
    better: float, kept: bool
) -> None:
    models = [candidate(Delivery.OWN_WEIGHTS, 59), feature_head(0.8)]
    crossed = Difference(0.8 + better, 0.8, better, 0.03, 244)
    assert Scored(models, promise=0.82, crossed=crossed).alternative_leads() is kept
    assert (Scored(models, promise=0.82, crossed=crossed).safe_head is not None) is kept


def test_no_time_is_kept_for_the_test_of_a_head_without_hope() -> None:
    models = [
        replace(feature_head(0.8), seconds_per_row=3.0),
        replace(feature_head(0.3), seconds_per_row=9.0),
    ]
    assert Scored(models, promise=0.82).others_per_row == 3.0
    assert Scored(models, promise=0.99).others_per_row == 0.0
