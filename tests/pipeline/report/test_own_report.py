"""A study writes its report by itself, within its limits, and never fails because of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from automl import pipeline
from automl.data.holdout import Holdout
from automl.pipeline import run
from automl.pipeline.clock import Clock
from automl.pipeline.report import during_search, own_report
from automl.pipeline.report.own_report import MOST_SHARE, reserve
from automl.pipeline.setup import Setup
from automl.records import Silent
from automl.result import FitResult
from automl.review.report import write
from tests.pipeline.test_fit import config_for
from tests.review.self_contained import require_self_contained


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """A finished study of arrays, made once; its model is of timm, so it can say where it looks."""
    options = {"n_trials": 1, "epochs": 2}
    return pipeline.fit(config_for(tmp_path_factory.mktemp("studies"), **options))


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.study
def test_report_has_the_images_of_arrays_and_the_verdict_of_the_result(finished: FitResult) -> None:
    text = (finished.directory / "report.html").read_text(encoding="utf-8")
    require_self_contained(text)
    assert len(re.findall('data-file="', text)) >= 12
    document = json.loads((finished.directory / "result.json").read_text())
    assert len(document["verdict"]) == 3 and document["verdict"][0] in text.replace("&#39;", "'")
    assert document["time"]["report_s"] > 0.0 and document["holdout_reads"] == 1
    assert "one answer takes" in text and "parameters" in text


@pytest.mark.study
def test_report_is_written_again_without_the_data_and_without_the_holdout(
    finished: FitResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (finished.directory / "report.html").read_text(encoding="utf-8")

    def sealed(*_: object, **__: object) -> None:
        raise AssertionError("the holdout was opened")

    monkeypatch.setattr(Holdout, "open", sealed)
    after = finished.report().read_text(encoding="utf-8")
    shown = [set(re.findall('data-file="([^"]*)"', text)) for text in (before, after)]
    assert shown[0] == shown[1]
    assert [text.count("data-heat=") for text in (before, after)][0] == after.count("data-heat=")


@pytest.mark.study
def test_study_ends_well_if_its_report_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "write_report", full)
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1), observer=notes)
    assert result.to_json()["verdict"] == [] and not (result.directory / "report.html").exists()
    (said,) = [note for note in notes.notes if "report" in note]
    assert said.startswith("The report could not be written: ") and "No space left" in said


@pytest.mark.study
@pytest.mark.alone
def test_report_of_the_search_shows_data_and_trials_and_does_not_outlive_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    write_it = own_report.report_during_search

    def look(setup: Setup) -> None:
        write_it(setup)
        seen.append((setup.workspace.root / "report.html").read_text(encoding="utf-8"))

    monkeypatch.setattr(during_search, "EVERY", 0.0)
    monkeypatch.setattr(during_search, "MOST_SHARE", 1e9)
    monkeypatch.setattr(run, "report_during_search", look)
    monkeypatch.setattr(own_report, "LEAST", 1e9)  # no time at the end
    result = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=2, time_limit=60.0))
    require_self_contained(seen[-1])
    assert "This study has no result yet, a process runs it: 1 trial" in seen[-1]
    assert "The holdout has not been read" in seen[-1] and "Images of each class" in seen[-1]
    assert not (result.directory / "report.html").exists() and result.to_json()["verdict"] == []


def test_reserve_is_a_small_part_of_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reserve(None) == 0.0
    monkeypatch.setattr(own_report, "slowdown", lambda: 2.0)
    assert reserve(10.0) == pytest.approx(MOST_SHARE * 10.0)
    assert reserve(3600.0) == pytest.approx(2.0)


def test_clock_holds_seconds_back_until_they_are_free() -> None:
    clock = Clock(100.0)
    clock.hold_back(3.0)
    left = clock.remaining()
    assert left is not None and 90.0 < left <= 97.0
    clock.hold_back(0.0)
    free: Any = clock.remaining()
    assert free > 97.0
    unlimited = Clock(None)
    unlimited.hold_back(3.0)
    assert unlimited.remaining() is None and unlimited.shortened(5.0).remaining() is None


def test_shortened_clock_holds_back_as_much() -> None:
    clock = Clock(100.0)
    clock.hold_back(3.0)
    left, short = clock.remaining(), clock.shortened(20.0).remaining()
    assert left is not None and short == pytest.approx(left - 20.0, abs=0.5)
