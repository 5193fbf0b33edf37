"""The models that no other beats in metric, latency and size."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automl.cli import main
from automl.errors import StudyError
from automl.machine import Moment
from automl.records import TrialRow, TrialState
from automl.review.front import latencies
from automl.review.front.kept import Kept, Where, kept_weights
from automl.review.front.latencies import FILE, Latencies
from automl.review.front.networks import StudyNetworks
from automl.review.front.points import Point, front, points_of
from automl.review.studies import find_study
from automl.review.tables import write_trials
from tests.review.studies_on_disk import RESULT, finished_study

CONFIG = {"family": "resnet", "model": "test_resnet", "lr": 0.1}
TRIALS = (
    TrialRow(0, TrialState.COMPLETE, 0.9, 3, 1.0, CONFIG, kind="from scratch"),
    TrialRow(
        1, TrialState.COMPLETE, 0.8, 3, 1.0, {**CONFIG, "model": "test_efficientnet"}, kind="from scratch"
    ),
    TrialRow(2, TrialState.COMPLETE, 0.7, 3, 1.0, {**CONFIG, "lr": 0.2}, kind="from scratch"),
    TrialRow(3, TrialState.FAILED, None, 0, 1.0, CONFIG),
)
PLAN: dict[str, Any] = {
    "traits": {"task": "classification", "n_outputs": 2, "in_chans": 3, "img_size": 32},
    "task": "classification",
    "data": "d",
    "data_name": "photos",
    "img_size": 32,
    "n_train": 80,
    "n_val": 20,
    "n_holdout": 25,
    "epochs": 3,
    "begun_with": {"used": False},
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A finished study with a plan and an int8 export."""
    root = finished_study(tmp_path)
    (root / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    result = {**RESULT, "best": {**RESULT["best"], "trial": 0}}
    (root / "result.json").write_text(json.dumps(result), encoding="utf-8")
    write_trials(TRIALS, "accuracy", "max", root / "trials.csv")
    for name, layers in (("onnx-int8", 5), ("onnx", 0)):
        (root / "model" / name).mkdir()
        proof = {
            "format": "onnx",
            "bytes": 1000,
            "int8_layers": layers,
            "value": {"value": 0.90},
            "torch_value": 0.92,
            "latency": [{"batch": 32, "p50": 9.0}, {"batch": 1, "p50": 0.01}],
        }
        (root / "model" / name / "proof.json").write_text(json.dumps(proof), encoding="utf-8")
    return root


def point(trial: int, value: float, latency: float | None, size: int) -> Point:
    return Point(trial, "float32", value, latency, size, size // 4, "", "", {})


def test_front_has_what_nothing_beats_in_all_three() -> None:
    points = [
        point(0, 0.9, 10.0, 100),
        point(1, 0.8, 5.0, 100),
        point(2, 0.8, 6.0, 100),  # slower than 1
        point(3, 0.7, 20.0, 50),
        point(4, 0.99, None, 10),  # not measured
    ]
    assert [one.trial for one in front(points, "max")] == [0, 1, 3]
    assert [one.trial for one in front(points, "min")] == [3, 1]


def test_points_have_the_costs_of_their_networks_and_int8_what_it_lost(study: Path) -> None:
    found = find_study("photos", study.parent)
    kept = {0: Kept(Where.MODEL, study / "model")}
    points = points_of(found, TRIALS, "max", Latencies(study / FILE, threads=1), kept)
    assert [(one.trial, one.form) for one in points] == [
        (0, "float32"),
        (0, "int8 onnx"),
        (1, "float32"),
        (2, "float32"),
    ]
    first, exported, second, third = points
    assert first.params > second.params > 10_000 and first.size > 4 * first.params
    assert first.latency == third.latency and first.latency is not None  # the same network
    assert exported.value == pytest.approx(0.9 - 0.02) and exported.latency == 0.01
    assert (first.weights, exported.weights, second.weights) == ("model", "model/onnx-int8", "")


def test_latencies_are_measured_once_a_machine(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = StudyNetworks.of(find_study("photos", study.parent)).network(CONFIG)
    told: list[str] = []
    first = Latencies(study / FILE, threads=1).of(network, 3, told.append)
    assert first is not None and first > 0.0 and told == ["measuring test_resnet at 64 px"]
    monkeypatch.setattr(latencies, "measure_latency", None)
    assert Latencies(study / FILE, threads=1).of(network, 3, told.append) == first and len(told) == 1
    late = Latencies(study / FILE, threads=2, until=Moment.now().later(-1.0))
    assert late.of(network, 3) is None
    (study / FILE).write_text("{", encoding="utf-8")
    assert Latencies(study / FILE, threads=1, until=Moment.now().later(-1.0)).of(network, 3) is None


def test_kept_weights_are_found_where_they_are(study: Path) -> None:
    place = study / "trials" / "t0001" / "checkpoint"
    place.mkdir(parents=True)
    (place / "automl_round.json").write_text('{"round": 3}', encoding="utf-8")
    older = study / "trials" / "t0002" / "checkpoint"
    older.mkdir(parents=True)
    (older / "automl_round.json").write_text('{"round": 2}', encoding="utf-8")  # not of its last score
    found = kept_weights(find_study("photos", study.parent), list(TRIALS))
    assert {trial: kept.where for trial, kept in found.items()} == {0: Where.MODEL, 1: Where.CHECKPOINT}
    former = study / "models" / "t0002-retrained"
    (former / "model").mkdir(parents=True)
    (former / "model" / "model.safetensors").write_bytes(b"")
    (former / "result.json").write_text(json.dumps({"retrain": {"trial": 2}}), encoding="utf-8")
    found = kept_weights(find_study("photos", study.parent), list(TRIALS))
    assert found[2] == Kept(Where.BEFORE, former)


def test_study_without_a_plan_says_what_to_do(study: Path) -> None:
    (study / "plan.json").write_text(json.dumps({"epochs": 3}), encoding="utf-8")
    with pytest.raises(StudyError, match=r"must say what its data are, but lacks 'traits': resume"):
        StudyNetworks.of(find_study("photos", study.parent))


def test_leaderboard_shows_the_front_as_table_json_and_csv(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["leaderboard", "photos", "--directory", str(study.parent), "--pareto"]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    rows = document["models"]
    assert [(row["trial"], row["form"]) for row in rows][:2] == [(0, "float32"), (0, "int8 onnx")]
    assert set(rows[0]) >= {"val_accuracy", "latency_ms", "size_bytes", "params", "weights"}
    assert document["unmeasured"] == 0 and "thread" in document["measured_on"]
    assert not any(row["trial"] in (2, 3) for row in rows)
    assert main([*command, "--csv", str(tmp_path / "front.csv")]) == 0
    assert capsys.readouterr().out == f"{len(rows)} models written to {tmp_path / 'front.csv'}\n"
    with (tmp_path / "front.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file).fieldnames or ()) == list(rows[0])
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "int8 onnx" in out and "val_accuracy" in out and "one image on cpu with" in out


def test_front_of_a_study_without_scores_says_so(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_trials([replace(TRIALS[3])], "accuracy", "max", study / "trials.csv")
    assert main(["leaderboard", "photos", "--directory", str(study.parent), "--pareto"]) == 0
    assert capsys.readouterr().out == "no trial of study 'photos' has a score and a latency yet\n"
