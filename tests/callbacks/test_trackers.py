"""Each tracker, offline: a run for each trial, with every round, and the scores of the study."""

from __future__ import annotations

import math
import struct
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import clone

import automl
from automl.callbacks import MLflow, StudyInfo, TensorBoard, Trackio, TrialEnd, TrialInfo, WandB
from automl.callbacks.tracker import Run, Tracker
from automl.records import Config, Report, TrialState
from tests.callbacks.test_notify import tune


class Lines(Run):
    """A run that keeps what it is told."""

    def __init__(self, lines: list[str], name: str) -> None:
        self.lines, self.name = lines, name

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self.lines.append(f"{self.name}: {step} {dict(numbers)}")

    def log_scores(self, scores: Mapping[str, float]) -> None:
        self.lines.append(f"{self.name}: {dict(scores)}")

    def log_end(self, end: TrialEnd) -> None:
        self.lines.append(f"{self.name}: {end.reason}")

    def close(self, state: TrialState) -> None:
        self.lines.append(f"{self.name}: {state}")


class LineTracker(Tracker):
    """The smallest tracker."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def open_study(self, study: StudyInfo) -> Run:
        return Lines(self.lines, study.name)

    def open_trial(self, study: StudyInfo, trial: TrialInfo, values: Mapping[str, str | float]) -> Run:
        self.lines.append(f"{study.name}-{trial.label}: {dict(values)}")
        return Lines(self.lines, f"{study.name}-{trial.label}")


def test_tracker_closes_the_runs_of_a_study_that_failed_and_begins_anew_with_the_next() -> None:
    tracker, trial = LineTracker(), TrialInfo(0, {"x": 0.5})
    opened = "t0000: {'kind': '', 'x': 0.5}"
    tracker.on_study_start(StudyInfo("first", "acc", "max"))
    tracker.on_trial_start(trial)
    tracker.on_study_end(None)
    assert tracker.lines == [f"first-{opened}", "first-t0000: unfinished", "first: unfinished"]
    tracker.lines.clear()
    tracker.on_study_start(StudyInfo("second", "acc", "max"))
    tracker.on_report(trial, Report(0, 3, 0.25, math.inf))  # of a trial that goes on after a resume
    tracker.on_trial_end(trial, TrialEnd(TrialState.COMPLETE, 0.25, 3, "full length"))
    tracker.on_study_end(None)
    assert tracker.lines == [
        f"second-{opened}",
        "second-t0000: 3 {'val_acc': 0.25}",
        "second-t0000: full length",
        "second-t0000: complete",
        "second: unfinished",
    ]


def rounds_of(result: automl.TuneResult) -> dict[int, list[tuple[int, float]]]:
    """Round and value of each report, by trial."""
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    columns = (result.reports[name].tolist() for name in ("number", "epoch", "value"))
    for number, epoch, value in zip(*columns, strict=True):
        found[number].append((epoch, value))
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of each scalar in TensorBoard's files, by name: records of a length, its check, data, a check."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in sorted(folder.glob("events.*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack("<Q", data[place : place + 8])
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += 12 + length + 4
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    found[value.tag].append((event.step, value.simple_value))
    return found


def test_tensorboard_has_a_run_for_each_trial(tmp_path: Path) -> None:
    result = tune([TensorBoard()], directory=tmp_path)
    home = tmp_path / "trackers" / "tensorboard"
    for number, rounds in rounds_of(result).items():
        written = scalars(home / f"t{number:04d}")
        assert [step for step, _ in written["val_acc"]] == [round for round, _ in rounds]
        assert [value for _, value in written["val_acc"]] == pytest.approx([value for _, value in rounds])
        assert len(written["loss"]) == len(rounds)
    assert scalars(home / "study")["best_value"][0][1] == pytest.approx(result.best_value)


def test_tensorboard_of_a_continued_study_has_every_round(tmp_path: Path) -> None:
    options = {"storage": f"sqlite:///{tmp_path / 'study.db'}", "n_trials": None}
    tune([TensorBoard(tmp_path / "tb")], **options, time_limit=5)
    result = tune([TensorBoard(tmp_path / "tb")], **options, time_limit=20)
    for number, rounds in rounds_of(result).items():
        written = scalars(tmp_path / "tb" / f"t{number:04d}")["val_acc"]
        assert sorted({step for step, _ in written}) == [round for round, _ in rounds]


@pytest.mark.filterwarnings("ignore")  # of MLflow's own dependencies
def test_mlflow_has_a_run_for_each_trial_below_one_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed (pip install 'automl[mlflow]')")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = tune([MLflow()], name="it's", n_trials=4, directory=tmp_path)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'trackers' / 'mlflow' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("automl").experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [run.data.metrics["best_value"] for run in parents] == [pytest.approx(result.best_value)]
    children = {int(run.data.tags["automl.trial"]): run for run in runs if run not in parents}
    assert set(children) == {0, 1, 2, 3}
    for number, run in children.items():
        assert run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        history = client.get_metric_history(run.info.run_id, "val_acc")
        assert [(each.step, each.value) for each in history] == [
            (round, pytest.approx(value)) for round, value in rounds_of(result)[number]
        ]
        assert float(run.data.params["x"]) == pytest.approx(_params(result, number)["x"])
        assert run.info.status in ("FINISHED", "KILLED")


def _params(result: automl.TuneResult, number: int) -> Config:
    found: Config = result.trials["params"].tolist()[number]
    return found


@pytest.mark.filterwarnings("ignore")  # of wandb's own dependencies
def test_wandb_writes_a_run_for_each_trial_offline(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed (pip install 'automl[wandb]')")
    result = tune([WandB(mode="offline")], n_trials=3, directory=tmp_path)
    wandb.teardown()  # as at the end of the process: files are complete
    runs = [
        records(path) for path in (tmp_path / "trackers" / "wandb" / "wandb").glob("offline-run-*/*.wandb")
    ]
    by_name = {
        record.run.display_name: found for found in runs for record in found if record.run.display_name
    }
    assert sorted(by_name) == ["t0000", "t0001", "t0002", "tune"]
    assert {record.run.run_group for found in runs for record in found if record.run.display_name} == {"tune"}
    for number, rounds in rounds_of(result).items():
        logged = [
            float(item.value_json)
            for record in by_name[f"t{number:04d}"]
            for item in record.history.item
            if "val_acc" in (item.key, *item.nested_key)
        ]
        assert logged == pytest.approx([value for _, value in rounds])


@pytest.mark.filterwarnings("ignore")  # of Trackio's own dependencies
def test_trackio_has_a_run_for_each_trial_in_one_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("trackio", reason="Trackio is not installed (pip install 'automl[trackio]')")
    from trackio.sqlite_storage import SQLiteStorage

    for name, module in list(sys.modules.items()):  # each has the folder since it was imported
        if name.startswith("trackio") and hasattr(module, "TRACKIO_DIR"):
            monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    for trials in (2, 4):  # then it is resumed
        result = tune([Trackio("plants")], n_trials=trials, directory=tmp_path, storage=storage)
    assert capsys.readouterr().out == ""
    known = {run["name"]: run for run in SQLiteStorage.get_run_records("plants")}
    assert set(known) == {"tune", *(f"tune-t{number:04d}" for number in range(4))}
    for number, rounds in rounds_of(result).items():
        logs = SQLiteStorage.get_logs("plants", f"tune-t{number:04d}")
        written = {int(row["step"]): row["val_acc"] for row in logs if "val_acc" in row}
        assert written == pytest.approx(dict(rounds))


def records(path: Path) -> list[Any]:
    """The records of a file of wandb, which is a log of LevelDB: a header, and a check, length and kind before each."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, found = path.read_bytes(), 7, []
    while place < len(data):
        _, length, _ = struct.unpack("<IHB", data[place : place + 7])
        found.append(Record.FromString(data[place + 7 : place + 7 + length]))
        place += 7 + length
    return found


@pytest.mark.filterwarnings("ignore")  # of the trackers' own dependencies
@pytest.mark.parametrize(
    ("name", "module"),
    [("TensorBoard", "tensorboardX"), ("MLflow", "mlflow"), ("WandB", "wandb"), ("Trackio", "trackio")],
)
def test_estimator_with_a_tracker_can_be_cloned(name: str, module: str) -> None:
    pytest.importorskip(module, reason=f"{module} is not installed")
    estimator = automl.ImageClassifier(options={"callbacks": [getattr(automl.callbacks, name)()]})
    (copy,) = clone(estimator).options["callbacks"]
    assert isinstance(copy, automl.callbacks.Callback)


@pytest.mark.parametrize(
    ("name", "module"), [("MLflow", "mlflow"), ("WandB", "wandb"), ("Trackio", "trackio")]
)
def test_tracker_that_is_not_installed_says_how_to_install_it(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(automl.AutomlError, match=rf"run `pip install 'automl\[{module}\]'`"):
        getattr(automl.callbacks, name)()
