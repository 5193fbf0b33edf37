"""Warm start from earlier studies, in whole studies without Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl import config as configuration
from automl import pipeline
from automl.errors import StudyError
from automl.pipeline.plan.warm_start import alike
from automl.records import Silent
from automl.result import FitResult

pytestmark = pytest.mark.study

TRAITS = {
    "task": "classification",
    "n_train": 1000,
    "n_outputs": 10,
    "in_chans": 3,
    "img_size": 64,
    "skew": 1.5,
}


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def run(directory: Path, study: str, *, observer: Silent | None = None, **options: Any) -> FitResult:
    """A study of seconds on two kinds of noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = (rng.integers(0, 120, (60, 16, 16)) + 100 * labels[:, None, None]).astype(np.uint8)
    quick = {"space": "smoke", "n_trials": 1, "epochs": 1, "engine": "local", "pretrained": "never"}
    config = configuration.load((images, labels), study=study, directory=directory, **{**quick, **options})
    return pipeline.fit(config, observer=observer)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one study of six trials, of which none began warm, and one that is damaged."""
    directory = tmp_path_factory.mktemp("studies")
    assert run(directory, "first", n_trials=6).to_json()["warm_start"] == []
    (directory / "broken").mkdir()
    (directory / "broken" / "study.yaml").write_text("data: [\n", encoding="utf-8")
    return directory


def test_new_study_begins_with_what_was_good_and_says_so(earlier: Path) -> None:
    observer = Notes()
    result = run(earlier, "second", observer=observer)
    plan = json.loads((result.directory / "plan.json").read_text(encoding="utf-8"))
    assert result.to_json()["warm_start"] == plan["warm_start"]["studies"] == ["first"]
    assert result.best_config == plan["warm_start"]["configs"][0]
    assert any("earlier studies (first)" in note and "--warm-start none" in note for note in observer.notes)


def test_continued_study_keeps_its_beginning(earlier: Path) -> None:
    before = run(earlier, "third", warm_start="first").to_json()["warm_start"]
    after = run(earlier, "third", n_trials=2, warm_start="first").to_json()
    assert before == after["warm_start"] == ["first"]
    assert after["trials"]["total"] == 2


def test_none_begins_as_if_there_were_no_other(earlier: Path) -> None:
    result = run(earlier, "fourth", warm_start="none")
    assert result.to_json()["warm_start"] == []


def test_unknown_study_is_named_and_nothing_is_left(earlier: Path) -> None:
    with pytest.raises(StudyError, match="unknown study 'frist'"):
        run(earlier, "fifth", warm_start="frist")
    assert not (earlier / "fifth").exists()


def test_study_of_another_task_takes_no_part() -> None:
    assert alike(TRAITS, {**TRAITS, "task": "multilabel"}) == 0.0


@pytest.mark.parametrize("change", [{"n_train": 9000}, {"n_outputs": 2}, {"in_chans": 1}, {"skew": 30.0}])
def test_data_are_less_similar_the_more_they_differ(change: dict[str, Any]) -> None:
    assert 0.0 < alike({**TRAITS, **change}, TRAITS) < alike(TRAITS, TRAITS) == 1.0


def test_missing_traits_are_not_similar() -> None:
    assert alike({"task": "classification"}, TRAITS) == 0.0


@pytest.mark.parametrize("value", [None, "many", 0, -3, [1]])
def test_damaged_traits_of_another_study_are_not_similar_and_no_error(value: Any) -> None:
    assert alike({**TRAITS, "n_train": value}, TRAITS) == 0.0
