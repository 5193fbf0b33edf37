"""What callbacks are told, in which order, and that none of them can harm a search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import automl
from automl.callbacks.base import Callback, StudyInfo, TrialEnd, TrialInfo
from automl.callbacks.notify import Notifier
from automl.errors import ConfigError, TrialError
from automl.records import Config, Report, Silent, TrialEvent, TrialState

SPACE = {"parameters": {"x": {"type": "float", "low": 0.1, "high": 0.9}}}


class Recorder(Callback):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.reports: list[Report] = []
        self.ends: list[TrialEnd] = []
        self.result: Any = "nothing yet"

    def on_study_start(self, study: StudyInfo) -> None:
        self.study = study
        self.told.append(("study", study.name))

    def on_trial_start(self, trial: TrialInfo) -> None:
        self.told.append(("start", trial.number))

    def on_report(self, trial: TrialInfo, report: Report) -> None:
        self.reports.append(report)
        self.told.append(("report", (trial.number, report.round)))

    def on_promotion(self, trial: TrialInfo, reason: str) -> None:
        self.told.append(("promotion", trial.number))

    def on_trial_end(self, trial: TrialInfo, end: TrialEnd) -> None:
        self.ends.append(end)
        self.told.append(("end", trial.number))

    def on_study_end(self, result: Any) -> None:
        self.result = result
        self.told.append(("study end", None))


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Broken(Callback):
    """Fails at the second report."""

    reports = 0
    error: BaseException = ValueError("no room\nleft")

    def on_report(self, trial: TrialInfo, report: Report) -> None:
        self.reports += 1
        if self.reports == 2:
            raise self.error


def curve(config: Config) -> Iterator[dict[str, float]]:
    for epoch in range(1, 10):
        yield {"acc": config["x"] * epoch, "loss": 1.0 / epoch, "seconds": 1.0}


class Saved:
    """The same curve, with a state that survives the search."""

    def __init__(self, config: Config) -> None:
        self.x, self.epoch = config["x"], 0

    def step(self) -> dict[str, float]:
        self.epoch += 1
        return {"acc": self.x * self.epoch, "seconds": 1.0}

    def save(self, folder: Path) -> None:
        (folder / "epoch").write_text(str(self.epoch), encoding="utf-8")

    def load(self, folder: Path) -> None:
        self.epoch = int((folder / "epoch").read_text(encoding="utf-8"))


def tune(callbacks: list[Callback], objective: Any = curve, **options: Any) -> automl.TuneResult:
    asked: dict[str, Any] = {
        "metric": "acc",
        "max_epochs": 9,
        "n_trials": 12,
        "parallel": 4,
        "engine": "simulated",
    }
    return automl.tune(objective, SPACE, callbacks=callbacks, **(asked | options))


def test_every_event_of_a_search_is_told_in_order(tmp_path: Path) -> None:
    recorder = Recorder()
    result = tune([recorder], name="mine", directory=tmp_path)
    told = recorder.told
    assert told[0] == ("study", "mine") and told[-1] == ("study end", None)
    assert (recorder.study.metric, recorder.study.directory) == ("acc", tmp_path)
    assert recorder.study.options["n_trials"] == 12
    assert recorder.result is result
    for number in range(12):
        own = [
            kind for kind, about in told if about == number or isinstance(about, tuple) and about[0] == number
        ]
        assert own[:2] == ["start", "report"] and own[-1] == "end" and own.count("start") == 1
    assert sum(kind == "report" for kind, _ in told) == len(result.reports)
    assert any(kind == "promotion" for kind, _ in told)
    assert {end.state for end in recorder.ends} > {TrialState.COMPLETE}
    assert all(report.metrics["loss"] == pytest.approx(1.0 / report.round) for report in recorder.reports)


def test_trials_that_go_on_after_a_resume_are_told_as_promotions(tmp_path: Path) -> None:
    options = {"storage": f"sqlite:///{tmp_path / 'study.db'}", "directory": tmp_path, "n_trials": 4}
    tune([], Saved, **options, time_limit=2.5)
    recorder = Recorder()
    tune([recorder], Saved, **options, time_limit=60)
    kinds = [kind for kind, _ in recorder.told]
    assert kinds[:2] == ["study", "promotion"] and "start" not in kinds and "report" in kinds


@pytest.mark.parametrize("error", [ValueError("no room\nleft"), SystemExit("no room")])
def test_failing_callback_is_left_out_and_named_once(error: BaseException) -> None:
    broken, recorder, notes = Broken(), Recorder(), Notes()
    broken.error = error
    result = tune([broken, recorder], observer=notes)
    assert broken.reports == 2
    said = [note for note in notes.notes if "Broken" in note]
    assert len(said) == 1 and "\n" not in said[0]
    assert f"left out from now on, because it failed: {type(error).__name__}: no room" in said[0]
    assert recorder.told[-1] == ("study end", None) and len(result.trials) == 12


def test_search_that_fails_ends_without_a_result() -> None:
    def broken(config: Config) -> Iterator[dict[str, float]]:
        if config["x"] > 0:
            raise RuntimeError("broken")
        yield {}

    recorder = Recorder()
    with pytest.raises(TrialError, match="broken"):
        automl.tune(
            broken, SPACE, metric="acc", max_epochs=3, n_trials=6, engine="simulated", callbacks=[recorder]
        )
    assert recorder.told[-1] == ("study end", None) and recorder.result is None
    assert {end.state for end in recorder.ends} == {TrialState.FAILED}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Recorder, "must be a list"),
        ([Recorder], r"call it: callbacks=\[TensorBoard\(\)\]"),
        ([print], "must hold"),
    ],
)
def test_what_is_no_callback_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tune(given)


def test_round_that_runs_again_is_told_again() -> None:
    recorder = Recorder()
    notifier = Notifier(Silent(), [recorder], StudyInfo("s", "acc", "max"))
    running, paused = TrialState.RUNNING, TrialState.PAUSED
    for state, round in [(running, 0), (running, 1), (running, 2), (paused, 1), (running, 1), (running, 2)]:
        notifier.trial(TrialEvent(0, state, {}, round, 0.5 if round else None, 0.0))
    assert [about for kind, about in recorder.told if kind == "report"] == [(0, 1), (0, 2), (0, 2)]
    assert [kind for kind, _ in recorder.told].count("promotion") == 1
