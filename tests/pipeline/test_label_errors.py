"""label_errors.csv of a study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from automl import config as configuration
from automl.data import open_source
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.label_errors import write_label_errors
from automl.pipeline.setup import Setup, prepare
from automl.pipeline.study_folder import open_workspace
from automl.records import Config, Silent
from automl.search import BestTrial, SearchResult
from automl.search.storage.checkpoints import ROUND_FILE, publish_checkpoint
from automl.training.trial import ImageTrial

pytestmark = pytest.mark.study

WRONG = frozenset(range(0, 360, 12))  # rows whose label is false


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A prepared study of the digits 0, 1 and 2, one in twelve with a false label."""
    directory = tmp_path_factory.mktemp("studies")
    data = load_digits()
    chosen = np.flatnonzero(data.target < 3)[:360]
    labels = data.target[chosen]
    labels[sorted(WRONG)] = (labels[sorted(WRONG)] + 1) % 3
    images = (data.images[chosen] * 15.9).astype(np.uint8)
    config = configuration.load(
        (images, labels), directory=directory, study="s", space="smoke", n_trials=1, epochs=6, engine="local"
    )
    workspace = open_workspace(str(directory), "s", overwrite=False)
    context = Context(config, workspace, Clock(None), Silent())
    yield prepare(context, open_source((images, labels)))
    workspace.close()


def _save(trial: ImageTrial, place: Path, *, round: int = 6) -> None:
    """Save the trial as the search does, with a note of its round."""
    trial.save(place.with_name("new"))
    publish_checkpoint(place.with_name("new"), place, round)


def _found(config: Config, checkpoint: Path | None) -> SearchResult:
    best = BestTrial(number=0, config=config, value=0.9, round=6, checkpoint=checkpoint)
    return SearchResult(best=best, trials=(), mode="max", stopped=None, seconds=1.0)


def _table(setup: Setup) -> Path:
    return setup.workspace.root / "label_errors.csv"


def test_false_labels_among_training_and_validation_images_are_listed(setup: Setup, tmp_path: Path) -> None:
    config = {**setup.space.portfolio[0], "lr": 5e-3, "augment": 0.0, "batch_size": 32}
    trial = ImageTrial(config, splits=setup.data.splits, plan=replace(setup.plan, epochs=3))
    for _ in range(3):  # later, its features know the training labels, false ones too
        trial.step()
    _save(trial, tmp_path / "checkpoint")
    trial.close()
    text = write_label_errors(setup, _found(config, tmp_path / "checkpoint"))
    found = pd.read_csv(_table(setup), dtype={"file": str})
    rows = setup.data.table[setup.data.table["split"].isin(["train", "val"])]
    assert set(found["file"]) <= set(rows["file"]), "the holdout stays sealed"
    for part, least in (("train", 1 / 6), ("val", 1 / 2)):
        wrong = {file for file in rows["file"][rows["split"] == part] if int(file) in WRONG}
        assert len(wrong) >= 3
        assert len(wrong & set(found["file"])) > least * len(wrong), part
    top = found["file"][: len(WRONG) // 2]
    assert np.mean([int(file) in WRONG for file in top]) > 0.6, "by chance 1 in 12"
    assert text.startswith(
        f"{len(found)} of {len(rows)} training and validation images may have a wrong label"
    )


def test_trial_without_checkpoint_gives_a_note_and_no_table(setup: Setup) -> None:
    _table(setup).write_text("of an earlier trial")
    text = write_label_errors(setup, _found(setup.space.portfolio[0], None))
    assert text == "No search for label errors: the best trial left no checkpoint."
    assert not _table(setup).exists()


def test_checkpoint_of_another_round_than_the_best_is_not_used(setup: Setup, tmp_path: Path) -> None:
    config = setup.space.portfolio[0]
    trial = ImageTrial(config, splits=setup.data.splits, plan=setup.plan)
    _save(trial, tmp_path / "checkpoint", round=4)
    trial.close()
    text = write_label_errors(setup, _found(config, tmp_path / "checkpoint"))
    assert text == (
        "No search for label errors: the best trial's checkpoint is of round 4, and its score of round 6."
    )
    assert not _table(setup).exists()


def test_trial_that_is_often_wrong_lists_no_label_errors(setup: Setup, tmp_path: Path) -> None:
    config = setup.space.portfolio[0]
    trial = ImageTrial(config, splits=setup.data.splits, plan=setup.plan)
    _save(trial, tmp_path / "checkpoint")
    trial.close()
    text = write_label_errors(setup, _found(config, tmp_path / "checkpoint"))
    assert "too few to tell a wrong label from a hard image" in text
    assert not _table(setup).exists()


def test_damaged_checkpoint_gives_a_note(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / ROUND_FILE).write_text('{"round": 6}')
    text = write_label_errors(setup, _found(setup.space.portfolio[0], tmp_path))
    assert text.startswith("No search for label errors: the checkpoint ")
    assert "cannot be read" in text


def test_limit_that_is_too_short_gives_a_note(setup: Setup, tmp_path: Path) -> None:
    short = replace(setup, clock=Clock(2.0))
    text = write_label_errors(short, _found(setup.space.portfolio[0], tmp_path))
    assert text.endswith("s, more than 2 % of the time limit.")
