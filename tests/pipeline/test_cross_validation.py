"""Whole studies with --val cv: every row outside of the holdout scores a trial, and everything says so."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from automl import pipeline
from automl.errors import DataError, StudyError
from automl.pipeline.retrain import final_model
from automl.result import FitResult
from automl.review.describe import aligned, details, summary
from automl.review.replay import replay_study
from automl.review.studies import find_study
from automl.training.cross_validation import read_outputs
from automl.training.models.pretrained_weights import Weights
from tests.final.evidence.gap_checker import facts_of, false_sentences
from tests.photos import write_classes
from tests.pipeline.test_final_model import Notes
from tests.pipeline.test_fit import config_for, trainings
from tests.training.heads.conftest import weights

__all__ = ["weights"]
pytestmark = pytest.mark.study

CV = {"val": "cv:3", "n_trials": 4, "epochs": 6}


@pytest.fixture(scope="module")
def notes() -> Notes:
    """What the study said."""
    return Notes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, notes: Notes) -> FitResult:
    """A finished study, made once."""
    return pipeline.fit(config_for(tmp_path_factory.mktemp("studies"), **CV), observer=notes)


def test_the_score_is_that_of_the_answers_for_every_row_of_the_folds(finished: FitResult) -> None:
    best = finished.to_json()["best"]
    outputs = read_outputs(finished.directory / "trials" / f"t{best['trial']:04d}" / "checkpoint")
    table = pd.read_csv(finished.directory / "splits.csv", dtype=str, keep_default_na=False)
    folded = table[table["fold"] != ""]
    assert outputs is not None and len(outputs) == len(folded) == finished.to_json()["data"]["n_val"]
    # One fold after the other, the rows of each in order.
    labels = np.concatenate([folded.loc[folded["fold"] == fold, "label"] for fold in "123"])
    said = outputs.argmax(1).numpy().astype(str)
    assert best["val_score"] == pytest.approx(float((said == labels).mean()))


def test_everything_says_that_scores_are_out_of_fold(finished: FitResult, notes: Notes) -> None:
    document = finished.to_json()
    n = document["data"]["n_val"]
    assert (document["val"], document["data"]["folds"], document["data"]["n_train"]) == ("cv", 3, n)
    told = "\n".join(aligned([*summary(document, Path("m"), ""), *details(document)]))
    assert f"{document['best']['val_score']:.4f} (out of fold, 3 folds), from trial" in told
    assert f"{n} in 3 folds, {document['data']['n_holdout']} holdout" in told
    card = (finished.model_dir / "README.md").read_text()
    assert f"configurations on {n} images out of fold, in 3 folds (best:" in card
    report = json.loads((finished.directory / "data_report.json").read_text())
    assert any(note.startswith("Cross-validation: 3 folds of") for note in report["notes"])
    assert any("To beat out of fold, on the images of 3 folds: accuracy" in note for note in notes.notes)
    assert any("of 3 networks, one for each fold" in note for note in notes.notes)
    assert false_sentences(document["gap"]["explained"], facts_of(finished.directory)) == []
    assert all(trainings(finished)["epochs"] == trainings(finished)["rounds"])


def test_the_retrain_learns_from_all_folds_and_label_errors_come_from_all(finished: FitResult) -> None:
    document = finished.to_json()
    retrain, evidence = document["retrain"], document["retrain"]["evidence"]
    assert retrain["how"] == "retrained"
    assert retrain["n_train"] == document["data"]["n_train"] - evidence["kept_out"]
    assert (finished.directory / "label_errors.csv").is_file()


def test_its_decisions_are_replayed(finished: FitResult) -> None:
    study = find_study("tiny", finished.directory.parent)
    assert replay_study(study)[1] is None
    with closing(sqlite3.connect(finished.directory / "study.db")) as database:
        resumed = database.execute("SELECT count(*) FROM automl_decisions WHERE action = 'resume'").fetchone()
        assert resumed[0] > 0, "no trial was paused and promoted"


def test_it_continues_and_another_validation_is_refused(finished: FitResult) -> None:
    directory = finished.directory.parent
    more = pipeline.fit(config_for(directory, **{**CV, "n_trials": 5}))
    assert more.trials["total"] == 5
    with pytest.raises(StudyError, match=r"exists with another --val \(cv:3 there, 0.2 now\)"):
        pipeline.fit(config_for(directory, **{**CV, "n_trials": 6, "val": 0.2}))
    with pytest.raises(StudyError, match=r"exists with another --val \(cv:3 there, cv:4 now\)"):
        pipeline.fit(config_for(directory, **{**CV, "n_trials": 6, "val": "cv:4"}))


def test_a_given_validation_part_is_refused_before_decoding(tmp_path: Path) -> None:
    for part in ("train", "val"):
        write_classes(tmp_path / "data" / part, (6, 6))
    with pytest.raises(DataError, match="the data give a validation part: leave out --val cv"):
        pipeline.fit(config_for(tmp_path, data=str(tmp_path / "data"), val="cv"))
    assert not (tmp_path / "tiny").exists()


def test_without_a_retrain_the_network_of_the_first_fold_is_delivered_and_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from automl.errors import TrialError

    def broken(*_: object, **__: object) -> None:
        raise TrialError("broken")

    monkeypatch.setattr(final_model, "_retrain_here", broken)
    result = pipeline.fit(config_for(tmp_path, **{**CV, "n_trials": 1}))
    document = result.to_json()
    assert document["retrain"]["how"] == "own weights"
    assert document["retrain"]["n_train"] < document["data"]["n_train"]
    told = "\n".join(aligned(summary(document, Path("m"), "")))
    assert "own weights, of its first fold, after" in told
    assert "Delivered is the network of the first fold" in document["gap"]["explained"]
    assert false_sentences(document["gap"]["explained"], facts_of(result.directory)) == []


def test_heads_of_folds_begin_the_fine_tunings_and_are_compared_with_them_out_of_fold(
    tmp_path: Path, weights: Weights
) -> None:
    write_classes(tmp_path / "data", (45, 45))
    notes = Notes()
    tuned = {
        "families": {"resnet": ["test_resnet"]},
        "parameters": {
            "lr": {"type": "float", "low": 1e-4, "high": 1e-3},
            "pretrained": {"type": "categorical", "choices": [True]},
        },
    }
    options = {**CV, "n_trials": 1, "space": tuned, "pretrained": weights.file.parent, "time_limit": 120.0}
    result = pipeline.fit(config_for(tmp_path, data=str(tmp_path / "data"), **options), observer=notes)
    document = result.to_json()
    assert {path.name for path in (result.directory / "heads").glob("test_resnet*")} >= {
        "test_resnet.fold2.safetensors",
        "test_resnet.fold3.safetensors",
        "test_resnet.safetensors",
    }
    scores = result.leaderboard().set_index("kind")["val_accuracy"].to_dict()
    crossed = document["retrain"]["evidence"]["out_of_fold"]
    assert crossed["rows"] == document["data"]["n_val"]
    assert crossed["head"] == pytest.approx(scores["head on features"])
    assert crossed["trial"] == pytest.approx(document["best"]["val_score"])
    assert any("by cross-validation (" in note and "mean of 3 times" in note for note in notes.notes)


def test_few_validation_rows_have_heads_cross_validated_without_asking(
    tmp_path: Path, weights: Weights
) -> None:
    torch.manual_seed(0)
    write_classes(tmp_path / "data", (45, 45))
    notes = Notes()
    options = {"n_trials": 1, "epochs": 1, "pretrained": weights.file.parent, "time_limit": 600.0}
    tuned = {
        "families": {"resnet": ["test_resnet"]},
        "parameters": {
            "lr": {"type": "float", "low": 1e-4, "high": 1e-3},
            "pretrained": {"type": "categorical", "choices": [True]},
        },
    }
    result = pipeline.fit(
        config_for(tmp_path, data=str(tmp_path / "data"), space=tuned, **options), observer=notes
    )
    assert result.to_json()["val"] == "split"
    assert any(
        "on the validation images and" in note and "5 folds, mean of 3 times" in note for note in notes.notes
    )
    assert any("`--val cv`" in note for note in notes.notes)
