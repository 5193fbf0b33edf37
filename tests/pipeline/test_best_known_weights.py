"""The best known weights are delivered, and a model that is no better than chance says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automl import pipeline
from automl.final.retrain import Retrain, Retrained
from automl.pipeline import final_model
from automl.result import FitResult
from automl.training.trainer import Trainer
from tests.pipeline.test_final_model import Notes, retrain_of
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study


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
