"""The models that no other beats in metric, latency and size."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from automl.cli import main
from automl.errors import StudyError
from automl.final.cost.latency import Latency
from automl.final.ensemble.network import Ensemble, Member
from automl.final.model_folder import write_model_folder
from automl.machine import Moment
from automl.pipeline.plan.limits.measure import Cost
from automl.records import TrialRow, TrialState
from automl.review.front import latencies
from automl.review.front.exports import record_export
from automl.review.front.kept import Kept, Where, kept_weights
from automl.review.front.latencies import FILE, Latencies, Measured
from automl.review.front.networks import StudyNetworks
from automl.review.front.points import Point, front, points_of
from automl.review.studies import find_study
from automl.review.tables import write_trials
from automl.review.trials import study_trials
from automl.spaces.architectures.factories import ENSEMBLE
from tests.delivery.conftest import info_of
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


def test_score_of_two_images_does_not_lead_and_is_marked(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lucky = TrialRow(
        4, TrialState.COMPLETE, 1.0, 3, 1.0, {**CONFIG, "lr": 0.3}, kind="from scratch", val_rows=2
    )
    write_trials((*TRIALS, lucky), "accuracy", "max", study / "trials.csv")
    found = find_study("photos", study.parent)
    _, mode, rows = study_trials(found)
    points = points_of(found, rows, mode, Latencies(study / FILE, threads=1), {})
    assert points[0].trial == 0 and points[0].worth(mode) == 0.9  # it was scored on all
    (last,) = (one for one in points if one.trial == 4)
    assert (last.value, last.val_rows) == (1.0, 2) and last.worth(mode) < 0.9
    place = ("--directory", str(study.parent))
    assert main(["leaderboard", "photos", *place]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "trial 4 was scored on 2 of 20 validation images: its score counts as worse" in said
    assert main(["leaderboard", "photos", *place, "--json"]) == 0
    board = json.loads(capsys.readouterr().out)
    assert [(one["trial"], one["val_rows"]) for one in board["trials"]][:2] == [(0, None), (1, None)]
    assert {one["trial"]: one["val_rows"] for one in board["trials"]}[4] == 2


def _measured(network: nn.Module, *, threads: int, device: str, busy: bool, **_: Any) -> Latency:
    """Stand for a measurement on a machine that is busy or quiet, as no test can choose."""
    return Latency(7.0, 5, threads, device, busy)


def test_latencies_of_the_search_stand_where_nothing_is_measured(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = StudyNetworks.of(find_study("photos", study.parent)).network(CONFIG)
    cost = Cost(network, 100, 400, latency=3.5, fits=True)
    limits = {"asked": {}, "threads": 6, "device": "cpu", "networks": [cost.to_dict()]}
    (study / "plan.json").write_text(json.dumps({**PLAN, "limits": limits}), encoding="utf-8")
    monkeypatch.setattr(latencies, "SECONDS", -1.0)  # no time to measure
    assert main(["leaderboard", "photos", "--directory", str(study.parent), "--pareto", "--json"]) == 0
    board = json.loads(capsys.readouterr().out)
    (model,) = (one for one in board["models"] if one["form"] == "float32")
    assert (model["latency_ms"], model["latency_on"]) == (3.5, "cpu with 6 threads, by the search")
    assert board["unmeasured"] == 1  # the network of trial 1
    assert main(["leaderboard", "photos", "--directory", str(study.parent), "--pareto"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of these latencies is of cpu with 6 threads, by the search: there was no time" in said
    limits["networks"] = [{"model": "x"}]  # damaged
    (study / "plan.json").write_text(json.dumps({**PLAN, "limits": limits}), encoding="utf-8")
    assert main(["leaderboard", "photos", "--directory", str(study.parent), "--pareto"]) == 0
    assert "3 more could not be measured in time" in capsys.readouterr().out


def test_latencies_are_measured_once_a_machine(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = StudyNetworks.of(find_study("photos", study.parent)).network(CONFIG)
    told: list[str] = []
    monkeypatch.setattr(latencies, "measure_latency", partial(_measured, busy=False))
    now = Latencies(study / FILE, threads=1)
    (study / FILE).write_text(
        json.dumps({f"{network.key} {now.where}": 900.0}), encoding="utf-8"
    )  # of format 1
    first = Latencies(study / FILE, threads=1).of(network, 3, told.append)
    assert first == Measured(7.0, now.where) and told == ["measuring test_resnet at 64 px"]
    monkeypatch.setattr(latencies, "measure_latency", None)
    assert Latencies(study / FILE, threads=1).of(network, 3, told.append) == first and len(told) == 1
    late = Latencies(study / FILE, threads=2, until=Moment.now().later(-1.0))
    assert late.of(network, 3) is None
    (study / FILE).write_text("{", encoding="utf-8")
    assert Latencies(study / FILE, threads=1, until=Moment.now().later(-1.0)).of(network, 3) is None


def test_latency_of_a_busy_machine_is_not_kept(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = StudyNetworks.of(find_study("photos", study.parent)).network(CONFIG)
    monkeypatch.setattr(latencies, "measure_latency", partial(_measured, busy=True))
    now, told = Latencies(study / FILE, threads=1), list[str]()
    assert now.of(network, 3, told.append) == Measured(7.0, now.where, busy=True)
    assert now.of(network, 3, told.append) == Measured(7.0, now.where, busy=True) and len(told) == 1
    assert Latencies(study / FILE, threads=1, until=Moment.now()).of(network, 3) is None


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


def several(kind: str, trial: int, values: tuple[float, float]) -> dict[str, Any]:
    """The entry `retrain` of a model of several that began with a trial; `values` are theirs on the rows that chose."""
    about = {"trial": trial, "single_value": values[0], "value": values[1]}
    members = [{"trial": trial, "words": f"the retrain of trial {trial}"}, {"trial": 1, "words": "trial 1"}]
    config = CONFIG if kind == "soup" else {"model": ENSEMBLE, "lr": 1.0, "hflip": False}
    return {"how": kind, "config": config, "members": members, "evidence": {kind: about}}


def write_ensemble(folder: Path) -> None:
    """Write the model folder of an ensemble of two networks."""
    info = info_of("classification")
    arguments = {"num_classes": info.n_outputs, "in_chans": 3}
    members = [
        Member(name, arguments, 32, info.img_size, info.mean, info.std, 0.5)
        for name in ("test_resnet", "test_efficientnet")
    ]
    whole = Ensemble(
        members,
        [member.build() for member in members],
        task=info.task,
        mean=info.mean,
        std=info.std,
        num_classes=info.n_outputs,
    )
    config = {"model": ENSEMBLE, "lr": 1.0, "hflip": False}
    write_model_folder(folder, whole.eval(), config, info, size=info.img_size)


def test_soups_and_ensembles_are_points_with_the_gain_over_the_model_that_they_began_with(
    study: Path,
) -> None:
    result = {**RESULT, "retrain": several("soup", 0, (0.8, 0.85))}
    (study / "result.json").write_text(json.dumps(result), encoding="utf-8")
    former = study / "models" / "ensemble"
    former.mkdir(parents=True)
    write_ensemble(former / "model")
    text = json.dumps({**RESULT, "retrain": several("ensemble", 1, (0.7, 0.9))})
    (former / "result.json").write_text(text, encoding="utf-8")
    found = find_study("photos", study.parent)
    points = points_of(found, TRIALS, "max", Latencies(study / FILE, threads=1), {})
    whole = {one.kind: one for one in points if one.trial is None and one.form == "float32"}
    soup, ensemble = whole["soup"], whole["ensemble"]
    assert soup.value == pytest.approx(0.95) and ensemble.value == pytest.approx(1.0)
    assert (soup.weights, ensemble.weights) == ("model", "models/ensemble")
    first, second = (next(one for one in points if one.trial == trial) for trial in (0, 1))
    assert (soup.params, soup.size, soup.latency) == (first.params, first.size, first.latency)
    assert ensemble.params > max(
        first.params, second.params
    )  # of both networks, with other numbers of outputs
    assert ensemble.latency is not None and ensemble.members == ("the retrain of trial 1", "trial 1")
    assert [one.kind for one in points if one.form == "int8 onnx"] == [
        "soup"
    ]  # the model's export is of the soup
    assert 0 not in {
        trial for trial, kept in kept_weights(found, list(TRIALS)).items() if kept.where is Where.MODEL
    }
    text = json.dumps({**RESULT, "retrain": {**several("soup", 0, (0.8, 0.85)), "evidence": {}}})
    (study / "result.json").write_text(text, encoding="utf-8")  # as an earlier version wrote it
    points = points_of(
        find_study("photos", study.parent), TRIALS, "max", Latencies(study / FILE, threads=1), {}
    )
    assert [one.kind for one in points if one.trial is None] == ["ensemble"]


def test_export_elsewhere_is_known_while_its_model_is_kept(study: Path, tmp_path: Path) -> None:
    shutil.rmtree(study / "model" / "onnx-int8")
    kept = {0: Kept(Where.MODEL, study / "model")}
    (study / "model" / "model.safetensors").write_bytes(b"weights")
    out = tmp_path / "elsewhere"
    shutil.copytree(study / "model" / "onnx", out)
    proof = json.loads((out / "proof.json").read_text(encoding="utf-8")) | {"int8_layers": 5}
    (out / "proof.json").write_text(json.dumps(proof), encoding="utf-8")

    def exports() -> list[str]:
        found = points_of(
            find_study("photos", study.parent), TRIALS, "max", Latencies(study / FILE, threads=1), kept
        )
        return [one.weights for one in found if one.form == "int8 onnx"]

    assert exports() == []
    for _ in range(2):
        record_export(study, study / "model", out)
    assert exports() == [str(out)]
    record_export(study, study / "model", study / "model" / "onnx")  # beside its model it is found anyway
    assert len(json.loads((study / "exports.json").read_text(encoding="utf-8"))["exports"]) == 1
    (study / "model" / "model.safetensors").write_bytes(b"others")
    assert exports() == []
    (study / "model" / "model.safetensors").write_bytes(b"weights")
    (study / "exports.json").write_text("[]", encoding="utf-8")
    assert exports() == []
