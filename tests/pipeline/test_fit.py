"""Whole studies on real images, in this process: what a study leaves behind, and how it is resumed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from automl import config as configuration
from automl import pipeline
from automl.config import StudyConfig
from automl.data.holdout import Holdout
from automl.errors import ConfigError, DataError, SpaceError, StudyError, TimeLimitError
from automl.records import Rows, Silent
from automl.result import FitResult
from automl.review.incumbents.answers import trial_answers
from automl.review.replay import replay_study
from automl.review.studies import find_study
from automl.review.trials import study_trials
from automl.search.storage.kinds import HEADS
from automl.spaces.parsing import includes
from tests.final.evidence.gap_checker import facts_of, false_sentences

pytestmark = pytest.mark.study

FILES = {
    "study.yaml",
    "study.db",
    "data_report.json",
    "splits.csv",
    "trials.csv",
    "trials",
    "model",
    "result.json",
}


def digits(n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """The first `n` handwritten digits that are 0, 1 or 2."""
    data = load_digits()
    chosen = np.flatnonzero(data.target < 3)[:n]
    return (data.images[chosen] * 15.9).astype(np.uint8), data.target[chosen]


def config_for(directory: Path, **options: Any) -> StudyConfig:
    """Return the config of a study of seconds, without Ray."""
    quick = {"study": "tiny", "space": "smoke", "n_trials": 3, "epochs": 3, "engine": "local", "parallel": 1}
    return configuration.load(options.pop("data", digits()), directory=directory, **{**quick, **options})


def trainings(result: FitResult) -> pd.DataFrame:
    """The leaderboard without the linear heads, by number."""
    board = result.leaderboard().sort_values("trial")
    return board[~board["kind"].str.startswith("head")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """A finished study, made once."""
    return pipeline.fit(config_for(tmp_path_factory.mktemp("studies")))


def test_study_directory_is_complete(finished: FitResult) -> None:
    assert {path.name for path in finished.directory.iterdir()} >= FILES
    assert {path.name for path in finished.model_dir.iterdir()} == {
        "README.md",
        "confidence.json",
        "config.json",
        "known_features.safetensors",
        "labels.txt",
        "model.safetensors",
        "preprocess.json",
    }


def test_study_logs_what_its_scores_are_judged_by_and_replays_with_it(finished: FitResult) -> None:
    """The trivial answer is the majority class of the training rows, scored on the validation rows."""
    split = pd.read_csv(finished.directory / "splits.csv")
    majority = split.label[split.split == "train"].mode()[0]
    val = split.label[split.split == "val"]
    with closing(sqlite3.connect(finished.directory / "study.db")) as connection:
        query = "SELECT reason FROM automl_decisions WHERE action = 'search'"
        (text,) = connection.execute(query).fetchone()
    (note,) = json.loads(text)["notes"]
    assert note["code"] == "judged_by"
    assert note["data"]["trivial"] == pytest.approx(float((val == majority).mean()))
    assert (note["data"]["rows"], note["data"]["metric"]) == (len(val), "accuracy")
    events, difference = replay_study(find_study("tiny", finished.directory.parent))
    assert events > 3 and difference is None


def test_result_json_has_what_scripts_rely_on(finished: FitResult) -> None:
    written = json.loads((finished.directory / "result.json").read_text())
    assert written == json.loads(json.dumps(finished.to_json()))
    assert set(written) >= {
        *("study", "task", "metric", "mode", "seed", "space", "data", "best", "retrain", "holdout", "gap"),
        *("trials", "time", "work", "pretrained", "versions", "command"),
    }
    assert set(written["time"]) == {
        *(
            "limit_s",
            "used_s",
            "all_runs_s",
            "setup_s",
            "search_s",
            "retrain_s",
            "holdout_s",
            "report_s",
            "first_result_s",
        )
    }
    data, retrain = written["data"], written["retrain"]
    rows = data["n_train"] + (data["n_val"] if retrain["how"] == "retrained" else 0)
    assert retrain["n_train"] == rows and retrain["evidence"]["retrain"]["n_train"] == 192
    assert written["usable"] is finished.usable is True and written["stopped"] is None
    assert written["trivial"]["accuracy"] == finished.trivial["accuracy"] == pytest.approx(1 / 3, abs=0.05)
    assert set(written["trivial"]) == set(written["trivial_words"]) == set(written["holdout"])
    assert written["best"]["val_trivial"] == pytest.approx(1 / 3, abs=0.05)
    assert written["trials"]["total"] == 3


def test_explanation_of_the_gap_is_true_by_the_database(finished: FitResult) -> None:
    explained = finished.to_json()["gap"]["explained"]
    assert false_sentences(explained, facts_of(finished.directory)) == []
    assert "The holdout was read once." in explained


def test_trials_csv_has_a_row_a_trial_and_agrees_with_the_database(finished: FitResult) -> None:
    board = finished.leaderboard()
    assert list(board.columns[:6]) == ["rank", "trial", "state", "val_accuracy", "rounds", "epochs"]
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{finished.directory / 'study.db'}")
    states = {trial.number: trial.state.name.lower() for trial in study.trials}
    assert dict(zip(board["trial"], board["state"], strict=True)) == states
    assert finished.trials["complete"] == sum(state == "complete" for state in states.values())
    # The size of each network is in the table and on the dashboard, and the front needs both columns.
    sizes = dict(zip(board["trial"], board["params"], strict=True))
    assert {t.number: t.user_attrs["params (min)"] for t in study.trials} == sizes
    assert all(trial.user_attrs["macs (min)"] > 0 for trial in study.trials)
    best = board.sort_values(["val_accuracy", "params"], ascending=[False, True]).iloc[0]
    assert board["pareto"].any() and best["pareto"]
    for trial in study.trials:
        assert sorted(trial.intermediate_values) == list(range(1, len(trial.intermediate_values) + 1))


def test_splits_csv_names_every_image_once(finished: FitResult) -> None:
    table = pd.read_csv(finished.directory / "splits.csv")
    assert table["file"].is_unique
    assert table["split"].value_counts().to_dict() == {
        part: finished.to_json()["data"][f"n_{part}"] for part in ("train", "val", "holdout")
    }


def test_predictor_of_the_result_scores_as_the_holdout_says(finished: FitResult) -> None:
    table = pd.read_csv(finished.directory / "splits.csv", dtype={"file": str, "label": str})
    held = table[table["split"] == "holdout"]
    images, labels = digits()
    rows = held["file"].astype(int).to_numpy()
    predicted = finished.predictor.predict(images[rows])
    right = np.mean(np.array(predicted) == labels[rows])
    assert finished.holdout["accuracy"].value == pytest.approx(right)


def test_holdout_is_read_exactly_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    real = Holdout.open

    def counted(self: Holdout, *, again: bool = False) -> Rows:
        reads.append("read")
        return real(self, again=again)

    monkeypatch.setattr(Holdout, "open", counted)
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1))
    assert reads == ["read"]
    assert result.to_json()["holdout_reads"] == 1


def test_fit_again_with_nothing_to_do_returns_the_same_result(finished: FitResult) -> None:
    before = (finished.model_dir / "model.safetensors").stat().st_mtime_ns
    written = (finished.directory / "result.json").read_bytes()
    again = pipeline.fit(config_for(finished.directory.parent))
    assert again.holdout == finished.holdout
    assert again.trials == finished.trials
    assert again.to_json()["holdout_reads"] == 1
    assert (again.model_dir / "model.safetensors").stat().st_mtime_ns == before
    assert (finished.directory / "result.json").read_bytes() == written and again.time == finished.time


def test_fit_again_leaves_a_result_of_an_earlier_version_as_it_is(
    finished: FitResult, tmp_path: Path
) -> None:
    shutil.copytree(finished.directory, tmp_path / "tiny")
    path = tmp_path / "tiny" / "result.json"
    document = json.loads(path.read_text())
    for key in ("usable", "trivial", "trivial_words", "stopped", "shortened"):
        del document[key]
    del document["trials"]["unfinished"]
    path.write_text(json.dumps(document))
    pipeline.fit(config_for(tmp_path))
    assert json.loads(path.read_text()) == document


def test_fit_again_with_more_trials_continues(tmp_path: Path) -> None:
    first = pipeline.fit(config_for(tmp_path, n_trials=2))
    before = first.leaderboard()
    second = pipeline.fit(config_for(tmp_path, n_trials=4))
    assert (first.trials["total"], second.trials["total"]) == (2, 4)
    merged = before.merge(second.leaderboard(), on="trial", suffixes=("_first", "_second"))
    assert len(merged) == 2
    assert (merged["lr_first"] == merged["lr_second"]).all()


def test_resume_raises_the_number_of_trials(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    _write_images(folder)
    pipeline.fit(config_for(tmp_path, data=str(folder), n_trials=1))
    result = pipeline.resume("tiny", directory=tmp_path, n_trials=2)
    assert result.trials["total"] == 2


def test_study_keeps_its_preset_when_a_newer_version_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pipeline.fit(config_for(tmp_path, n_trials=1))
    kept = (first.directory / "space.yaml").read_text()
    newer = tmp_path / "search_spaces"
    shutil.copytree(includes._preset_folder(), newer)
    preset = newer / "smoke.yaml"
    preset.write_text(preset.read_text() + "constraints: [lr < 0.5]\n")
    monkeypatch.setattr(includes, "_preset_folder", lambda: newer)
    again = pipeline.fit(config_for(tmp_path, n_trials=2))
    assert again.trials["total"] == 2
    assert (again.directory / "space.yaml").read_text() == kept
    other = pipeline.fit(config_for(tmp_path, study="other", n_trials=1))
    assert "lr < 0.5" in (other.directory / "space.yaml").read_text()


def test_resume_of_no_study_names_the_closest(finished: FitResult) -> None:
    with pytest.raises(StudyError, match="did you mean 'tiny'"):
        pipeline.resume("tinny", directory=finished.directory.parent)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": digits(150)}, "other data"),
        ({"metric": "f1"}, r"another --metric \(auto there, f1 now\)"),
        ({"seed": 5}, r"another --seed \(0 there, 5 now\)"),
    ],
)
def test_study_with_another_identity_is_refused(
    finished: FitResult, changes: dict[str, Any], message: str
) -> None:
    before = (finished.directory / "result.json").read_bytes()
    with pytest.raises(StudyError, match=message):
        pipeline.fit(config_for(finished.directory.parent, **changes))
    assert (finished.directory / "result.json").read_bytes() == before


def test_overwrite_starts_from_scratch(tmp_path: Path) -> None:
    pipeline.fit(config_for(tmp_path, n_trials=2, epochs=1))
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1, overwrite=True, seed=3))
    assert result.trials["total"] == 1


def test_one_class_leaves_nothing_behind(tmp_path: Path) -> None:
    images, _ = digits(20)
    with pytest.raises(DataError, match="class"):
        pipeline.fit(config_for(tmp_path, data=(images, np.zeros(len(images), dtype=int))))
    assert list(tmp_path.iterdir()) == []


def test_unknown_space_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="smoke"):
        pipeline.fit(config_for(tmp_path, space="smokee"))
    assert list(tmp_path.iterdir()) == []


def test_limit_too_short_for_any_result_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(
        TimeLimitError,
        match=r"--time-limit must be at least \d+s on this machine",
    ):
        pipeline.fit(config_for(tmp_path, n_trials=None, time_limit=0.5))
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_no_study_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "thesis.tex").write_text("years of work")
    with pytest.raises(StudyError, match="must be a study or not exist"):
        pipeline.fit(config_for(tmp_path, overwrite=True))
    assert (tmp_path / "tiny" / "thesis.tex").read_text() == "years of work"


def test_corrupt_image_is_counted_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    _write_images(folder)
    (folder / "0" / "broken.png").write_bytes(b"\x89PNG but no more")
    notes: list[str] = []

    class Listening(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    result = pipeline.fit(config_for(tmp_path, data=str(folder), n_trials=1, epochs=1), observer=Listening())
    assert result.to_json()["data"]["n_skipped"] == 1
    assert any("broken.png" in note for note in notes)
    assert "broken.png" in (result.directory / "data_report.json").read_text()


def _write_images(folder: Path) -> None:
    from PIL import Image

    images, labels = digits(90)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"{i:04d}.png")


def test_overwrite_with_bad_input_keeps_the_earlier_study(tmp_path: Path) -> None:
    pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1))
    before = (tmp_path / "tiny" / "result.json").read_bytes()
    images, _ = digits(20)
    with pytest.raises(DataError, match="class"):
        pipeline.fit(config_for(tmp_path, data=(images, np.zeros(20, dtype=int)), overwrite=True))
    assert (tmp_path / "tiny" / "result.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("policy", "ashaa", "did you mean 'asha'"), ("sampler", "tpee", "did you mean 'tpe'")],
)
def test_unknown_name_is_reported_before_anything_is_made(
    tmp_path: Path, option: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        pipeline.fit(config_for(tmp_path, **{option: value}))
    assert list(tmp_path.iterdir()) == []


def test_study_of_other_data_is_refused_before_any_image_is_decoded(tmp_path: Path) -> None:
    begun: list[str] = []

    class Stages(Silent):
        def stage(self, name: str, text: str) -> None:
            begun.append(name)

    _write_images(tmp_path / "photos")
    pipeline.fit(config_for(tmp_path, data=str(tmp_path / "photos"), n_trials=1))
    moved = (tmp_path / "photos").rename(tmp_path / "moved")
    (moved / "extra").mkdir()
    next(moved.rglob("*.png")).rename(moved / "extra" / "1.png")
    with pytest.raises(
        StudyError, match=r"exists with other data \(photos there, moved now\); choose another --study"
    ):
        pipeline.fit(config_for(tmp_path, data=str(moved), n_trials=1), observer=Stages())
    assert begun == []


def test_best_trial_and_heads_leave_what_they_answered_on_validation(finished: FitResult) -> None:
    study = find_study("tiny", finished.directory.parent)
    board = finished.leaderboard()
    split = pd.read_csv(finished.directory / "splits.csv", dtype=str)
    val = split[split.split == "val"]
    rows = {row.trial: row for row in study_trials(study)[2]}
    best = int(board["trial"].tolist()[0])
    led = [best, *[row.trial for row in rows.values() if row.kind in HEADS]]
    for number in led:
        found = trial_answers(study, rows[number], "accuracy")
        assert found is not None
        labels = dict(zip(val.file, val.label, strict=True))
        assert len(labels) == found.evaluation.n and len(found.answers) == found.wrong
        assert all(labels[answer.file] == answer.label != answer.predicted for answer in found.answers)
        assert found.value == pytest.approx(1 - found.wrong / found.evaluation.n)
        assert found.value >= (rows[number].value or 0.0), "it is of the best round"
    page = (finished.directory / "report.html").read_text(encoding="utf-8")
    assert "answer wrong on validation" in page
