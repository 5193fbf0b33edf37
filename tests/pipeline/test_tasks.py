"""Whole studies of other tasks and of skewed classes, on drawn and on real images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl import config as configuration
from automl import pipeline
from automl.errors import ConfigError
from automl.records import Mode, Silent
from automl.result import FitResult

pytestmark = pytest.mark.study


class Listening(Silent):
    """Keeps notes and the metric."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.told: tuple[str, str] | None = None

    def note(self, text: str) -> None:
        self.notes.append(text)

    def metric(self, name: str, mode: Mode) -> None:
        self.told = (name, mode)


def run(data: Any, directory: Path, observer: Silent | None = None, **options: Any) -> FitResult:
    """A study of seconds, without Ray."""
    quick = {"study": "tiny", "space": "smoke", "n_trials": 1, "epochs": 2, "engine": "local", "img_size": 32}
    return pipeline.fit(
        configuration.load(data, directory=directory, **{**quick, **options}), observer=observer
    )


def bars(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Grey noise with a bright bar at the top, the bottom, both or none, and (n, 2) which."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (n, 32, 32))
    shown = rng.integers(0, 2, (n, 2))
    images[:, 4:12] += 120 * shown[:, :1, None]
    images[:, 20:28] += 120 * shown[:, 1:, None]
    return images.astype(np.uint8), shown


def test_several_labels_from_a_table_are_learnt(tmp_path: Path) -> None:
    images, shown = bars()
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    table = pd.DataFrame(
        {"image": [f"{i}.png" for i in range(len(images))], "top": shown[:, 0], "low": shown[:, 1]}
    )
    table.to_csv(tmp_path / "bars.csv", index=False)
    observer = Listening()
    result = run(str(tmp_path / "bars.csv"), tmp_path / "studies", observer, epochs=8)
    document = result.to_json()
    assert (document["task"], document["metric"]) == ("multilabel", "average_precision")
    assert observer.told == ("average_precision", "max")
    assert result.holdout["average_precision"].value > 0.8  # half of it by chance
    predicted = result.predictor.predict([tmp_path / f"{i}.png" for i in range(4)])
    assert all(set(labels) <= {"top", "low"} for labels in predicted)
    splits = pd.read_csv(result.directory / "splits.csv", keep_default_na=False)
    assert set(splits["label"]) == {"", "top", "low", "top|low"}


def test_numbers_are_learnt_and_predicted_in_their_units(tmp_path: Path) -> None:
    images, shown = bars()
    values = 5000.0 + 300.0 * shown[:, 0] + 30.0 * shown[:, 1]
    observer = Listening()
    result = run((images, values), tmp_path, observer, epochs=10, task="regression")
    assert observer.told == ("rmse", "min")
    assert result.holdout["rmse"].value < 0.85 * values.std()
    predicted = np.array(result.predictor.predict(images))[:, 0]
    assert 4800 < predicted.min() < predicted.max() < 5600
    assert result.to_json()["best"]["val_score"] < values.std() * 1.5
    preprocess = json.loads((result.model_dir / "preprocess.json").read_text())
    assert preprocess["target_mean"] == pytest.approx([values.mean()], rel=0.02)


def test_skewed_classes_are_balanced_and_scored_alike(tmp_path: Path) -> None:
    images, shown = bars(160)
    labels = np.where((shown[:, 0] == 1) & (np.arange(160) % 8 == 0), "rare", "usual")
    observer = Listening()
    result = run((images, labels), tmp_path, observer)
    document = result.to_json()
    assert (document["metric"], document["balance"]) == ("balanced_accuracy", "sampler")
    assert any(
        note.startswith("Metric: balanced_accuracy, because the classes are imbalanced")
        for note in observer.notes
    )
    assert any(note.startswith("Balance: sampler") for note in observer.notes)


def test_balance_changes_the_run(tmp_path: Path) -> None:
    images, shown = bars(80)
    labels = np.where((shown[:, 0] == 1) & (np.arange(80) % 4 == 0), "rare", "usual")
    losses = set()
    for choice in ("none", "loss", "sampler"):
        result = run((images, labels), tmp_path / choice, balance=choice, epochs=1, metric="log_loss")
        losses.add(result.val_score)
        assert result.to_json()["balance"] == choice
    assert len(losses) == 3


def test_balance_of_a_regression_leaves_nothing_behind(tmp_path: Path) -> None:
    images, shown = bars(40)
    with pytest.raises(ConfigError, match="balance must be auto or none for a regression, got 'loss'"):
        run((images, shown[:, 0] + 0.5 * shown[:, 1]), tmp_path, balance="loss")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("metric", ["accuracy", "rmse"])
def test_metric_of_another_task_is_refused_before_decoding(tmp_path: Path, metric: str) -> None:
    images, shown = bars(40)
    with pytest.raises(ConfigError, match=f"metric must fit the task 'multilabel', got '{metric}'"):
        run((images, shown), tmp_path, metric=metric)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "task", "metric"),
    [
        ("ants_bees", {}, "classification", "accuracy"),
        ("cards_multilabel", {}, "multilabel", "average_precision"),
        ("bloodcells_regression", {"target": "rbc"}, "regression", "rmse"),
    ],
)
def test_real_data_go_the_whole_way(
    shared_data: Path, tmp_path: Path, name: str, options: dict[str, Any], task: str, metric: str
) -> None:
    result = run(str(shared_data / f"{name}.zip"), tmp_path, epochs=1, **options)
    document = result.to_json()
    assert (document["task"], document["metric"]) == (task, metric)
    assert np.isfinite(result.holdout[metric].value)


@pytest.mark.slow
def test_rarest_class_of_a_skewed_set_is_predicted(shared_data: Path, tmp_path: Path) -> None:
    result = run(str(shared_data / "magnetic_tile.zip"), tmp_path, epochs=8)
    assert result.to_json()["metric"] == "balanced_accuracy"
    assert result.holdout["balanced_accuracy"].value > 0.4
    from automl.data import open_source

    source = open_source(shared_data / "magnetic_tile.zip")
    rare = [i for i, target in enumerate(source.targets.tolist()) if source.classes[target] == "Fray"]
    assert "Fray" in result.predictor.predict([source.load(i) for i in rare])
    source.close()


class Stops(Listening):
    """Keeps the notes and the split of a study, and stops it once its data are prepared."""

    def __init__(self, study: Path) -> None:
        super().__init__()
        self.study = study
        self.split = pd.DataFrame()

    def stage(self, name: str, text: str) -> None:
        if name == "search":
            self.split = pd.read_csv(self.study / "splits.csv", dtype=str, keep_default_na=False)
            raise KeyboardInterrupt


def prepared(data: Path, directory: Path, **options: Any) -> Stops:
    stops = Stops(directory / "tiny")
    with pytest.raises(KeyboardInterrupt):
        run(str(data), directory, stops, **options)
    return stops


def test_study_says_what_it_took_folders_and_odd_names_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("Training", "Testing"):
        for name in ("a", "two\nlines"):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for i in range(8):
                pixels = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / part / name / f"{i}.png")
    stops = prepared(tmp_path / "photos", tmp_path)
    assert "Folders taken for parts of a split: Training/ as train, Testing/ as holdout." in stops.notes
    assert len(stops.split) == 32 and set(stops.split["label"]) == {"a", "two\nlines"}
    assert set(stops.split.loc[stops.split["split"] == "holdout", "file"].str.partition("/")[0]) == {
        "Testing"
    }


def test_study_follows_the_columns_and_the_answer_to_a_leak_that_it_is_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / f"{i:02d}.png")
        rows.append(
            [f"{59 - i:02d}.png", f"{i:02d}.png", "ab"[i % 2], "train" if i % 3 else "test", f"p{i // 6}"]
        )
    columns = ["image", "picture", "label", "split", "patient"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "t.csv", index=False)
    given = {"image_column": "picture", "group_column": "patient"}
    redrawn = prepared(tmp_path / "t.csv", tmp_path / "one", **given, on_group_leak="redraw")
    groups = redrawn.split["file"].str[:2].astype(int) // 6
    assert redrawn.split["split"].groupby(groups).nunique().max() == 1
    assert any("'picture' names the images" in note for note in redrawn.notes)
    kept = prepared(tmp_path / "t.csv", tmp_path / "two", **given)
    assert (kept.split["split"] == "holdout").sum() == 20
    assert any("10 groups have rows on several sides of the given split" in note for note in kept.notes)
