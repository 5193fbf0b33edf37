"""A study that is continued never delivers a worse model, and its result tells of all its runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from automl import pipeline
from automl.config.durations import format_duration
from automl.final.retrain import Retrain, Retrained
from automl.pipeline.retrain import contest, retrain_time
from automl.pipeline.run import Run
from automl.result import FitResult
from automl.review.describe import aligned, details, summary
from tests.final.evidence.gap_checker import facts_of, false_sentences
from tests.pipeline.test_best_known_weights import no_learning
from tests.pipeline.test_final_model import Notes
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study
CHOSEN: dict[str, Any] = {"n_trials": 1, "epochs": 12}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study whose retrain has seen all validation images and was delivered, made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contest, "own_model", lambda *_, **__: None)
        return pipeline.fit(config_for(tmp_path_factory.mktemp("studies"), **CHOSEN)).directory


@pytest.fixture
def changed(finished: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Copy the study, as if its best trial had taken a round more since, and its retrain were as given."""

    def change(**retrain: Any) -> dict[str, Any]:
        shutil.copytree(finished, tmp_path / "tiny")
        path = tmp_path / "tiny" / "result.json"
        document: dict[str, Any] = json.loads(path.read_text())
        document["best"]["rounds"] -= 1
        document["retrain"] |= retrain
        path.write_text(json.dumps(document))
        return document

    return change


def weights_of(result: FitResult) -> bytes:
    return (result.model_dir / "model.safetensors").read_bytes()


def told(result: FitResult) -> str:
    """What `automl show` says."""
    document = result.to_json()
    return "\n".join(aligned([*summary(document, Path("m"), ""), *details(document)]))


def test_shorter_retrain_does_not_replace_the_model_of_an_earlier_run(
    changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    before, notes = changed(images=1_000_000), Notes()
    weights = (tmp_path / "tiny" / "model" / "model.safetensors").read_bytes()
    result = pipeline.fit(config_for(tmp_path, **CHOSEN), observer=notes)
    document = result.to_json()
    found, data = document["retrain"], document["data"]
    assert weights_of(result) == weights and document["holdout"] == before["holdout"]
    assert document["holdout_reads"] == json.loads((tmp_path / "tiny" / "holdout.json").read_text())["reads"]
    assert document["holdout_reads"] == 1
    assert (found["how"], found["made"], found["trial"]) == ("earlier model", "retrained", 0)
    assert found["config"] == before["best"]["config"]
    for name in ("epochs", "n_train", "seconds"):
        assert found[name] == before["retrain"][name]
    new = found["evidence"]["retrain"]
    assert new["n_train"] == data["n_train"] + data["n_val"] - found["evidence"]["kept_out"]
    assert found["why"].startswith(
        f"the retrain trained on {new['images']:,} images and the earlier model on 1,000,000; on "
    )
    assert found["why"].endswith("the earlier model is kept")
    assert found["evidence"]["decided_by"] == "earlier model"
    assert found["evidence"]["earlier"] == {"made": "retrained", "images": 1_000_000, "kept_out": 0}
    assert any(note.endswith("the earlier model is kept.") for note in notes.notes)
    assert false_sentences(document["gap"]["explained"], facts_of(result.directory)) == []
    assert "is the retrain of trial 0 in an earlier run" in document["gap"]["explained"]
    assert "kept from an earlier run: trained for" in told(result) and found["why"] in told(result)
    assert "Kept from an earlier run: trained for" in (result.model_dir / "README.md").read_text()
    assert result.predictor.classes == ("0", "1", "2")


def test_model_that_was_kept_is_known_as_what_it_was_in_a_third_run(
    changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    changed(images=1_000_000)
    second = pipeline.fit(config_for(tmp_path, **CHOSEN)).to_json()
    path = tmp_path / "tiny" / "result.json"
    second["best"]["rounds"] -= 1
    path.write_text(json.dumps(second))
    third = pipeline.fit(config_for(tmp_path, **CHOSEN)).to_json()
    assert third["retrain"]["how"] == "earlier model" and third["retrain"]["made"] == "retrained"
    assert third["retrain"]["evidence"]["earlier"] == second["retrain"]["evidence"]["earlier"]
    assert third["holdout_reads"] == 1
    # Nothing changed, and the last retrain was whole: no other one begins.
    again = pipeline.fit(config_for(tmp_path, **CHOSEN)).to_json()
    assert again == third


def test_longer_retrain_replaces_the_earlier_model_and_the_holdout_is_read_again(
    changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    changed(images=1)
    result = pipeline.fit(config_for(tmp_path, **CHOSEN))
    document = result.to_json()
    assert document["retrain"]["how"] == "retrained" and document["holdout_reads"] == 2
    assert document["retrain"]["evidence"]["earlier"]["images"] == 1
    assert document["retrain"]["evidence"]["kept_out"] >= 10
    assert false_sentences(document["gap"]["explained"], facts_of(result.directory)) == []


def test_longer_retrain_that_is_bad_replaces_nothing(
    changed: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier retrain has seen all validation images, so that only the own weights can judge the new one."""
    before = changed(images=1)
    no_learning(monkeypatch)
    document = pipeline.fit(config_for(tmp_path, **CHOSEN)).to_json()
    found = document["retrain"]
    assert found["how"] == "earlier model" and document["holdout"] == before["holdout"]
    assert (
        "the best trial's own weights have accuracy" in found["why"] and "and the retrain 0." in found["why"]
    )
    assert found["evidence"]["decided_by"] == "comparison"


def test_bad_retrain_loses_against_an_earlier_one_that_kept_the_same_images_out(
    changed: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(images=1)
    second = pipeline.fit(config_for(tmp_path, **CHOSEN)).to_json()
    kept = second["retrain"]["evidence"]["kept_out"]
    second["best"]["rounds"] -= 1
    (tmp_path / "tiny" / "result.json").write_text(json.dumps(second))
    no_learning(monkeypatch)
    third = pipeline.fit(config_for(tmp_path, **CHOSEN)).to_json()
    comparison = next(each for each in third["retrain"]["evidence"]["comparisons"] if each["won"])
    assert (comparison["challenger"], comparison["preferred"]) == ("earlier model", "retrained")
    assert (comparison["rows"], comparison["preferred_trained_on"]) == (kept, 0)
    assert third["retrain"]["how"] == "earlier model" and third["holdout_reads"] == 2
    assert "the earlier model has accuracy" in third["retrain"]["why"]
    assert third["retrain"]["evidence"]["earlier"]["kept_out"] == kept


def test_without_time_for_a_retrain_the_earlier_model_stays(
    changed: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = changed()
    monkeypatch.setattr(retrain_time, "ROUND_IMAGES", 10**9)
    document = pipeline.fit(config_for(tmp_path, time_limit=60.0, **CHOSEN)).to_json()
    found = document["retrain"]
    assert found["how"] == "earlier model" and document["holdout"] == before["holdout"]
    assert "enough for only about" in found["why"] and found["why"].endswith("the earlier model is kept")
    assert found["evidence"]["decided_by"] == "time left" and found["evidence"]["retrain"] is None
    assert found["images"] == before["retrain"]["images"] and document["holdout_reads"] == 1


def test_retrain_that_reached_little_leaves_the_earlier_model(
    changed: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Retrain.train

    def cut(self: Any, *args: Any, **options: Any) -> Retrained:
        return replace(real(self, *args, **options), images_trained=10)

    changed()
    monkeypatch.setattr(Retrain, "train", cut)
    found = pipeline.fit(config_for(tmp_path, **CHOSEN)).to_json()["retrain"]
    assert found["how"] == "earlier model" and "had trained on 10 images" in found["why"]


def test_result_of_an_earlier_version_takes_part_as_far_as_it_is_known(
    changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    document = changed()
    document["retrain"] = {name: document["retrain"][name] for name in ("epochs", "n_train", "seconds")}
    for name in ("usable", "trivial", "trivial_words", "stopped", "work"):
        del document[name]
    document["time"] = {"used_s": 5.0}
    (tmp_path / "tiny" / "costs.json").unlink()
    (tmp_path / "tiny" / "result.json").write_text(json.dumps(document))
    notes = Notes()
    found = pipeline.fit(config_for(tmp_path, **CHOSEN), observer=notes).to_json()
    earlier = found["retrain"]["evidence"]["earlier"]
    assert earlier["images"] == int(document["retrain"]["epochs"] * document["retrain"]["n_train"])
    assert (earlier["made"], earlier["kept_out"]) == ("retrained", 0)
    assert not any("cannot be used" in note for note in notes.notes)
    assert found["time"]["all_runs_s"] == pytest.approx(found["time"]["used_s"] + 5.0, abs=0.02)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocess.json"])
def test_damaged_model_of_an_earlier_run_is_noted_and_replaced(
    name: str, changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    changed(images=1_000_000)
    (tmp_path / "tiny" / "model" / name).write_bytes(b"{")
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, **CHOSEN), observer=notes)
    assert any(
        note.startswith("The model of the earlier run cannot be used, so a new one") for note in notes.notes
    )
    document = result.to_json()
    assert document["retrain"]["how"] == "retrained" and document["holdout_reads"] == 2
    assert "earlier" not in document["retrain"]["evidence"]
    assert result.predictor.classes == ("0", "1", "2")


def test_model_whose_run_was_killed_before_its_result_is_not_taken_for_the_earlier_one(
    changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    changed(images=1_000_000)
    (tmp_path / "tiny" / "holdout.json").write_text(json.dumps({"reads": 2}))
    file = tmp_path / "tiny" / "model" / "model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(file).items()}, file)
    notes = Notes()
    document = pipeline.fit(config_for(tmp_path, **CHOSEN), observer=notes).to_json()
    assert any("a later run replaced it" in note for note in notes.notes)
    assert document["retrain"]["how"] == "retrained" and document["holdout_reads"] == 3


def test_model_stays_if_the_holdout_was_read_for_another_that_did_not_replace_it(
    changed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    changed(images=1_000_000)
    weights = (tmp_path / "tiny" / "model" / "model.safetensors").read_bytes()
    (tmp_path / "tiny" / "holdout.json").write_text(json.dumps({"reads": 2}))
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, **CHOSEN), observer=notes)
    document = result.to_json()
    assert not any("cannot be used" in note for note in notes.notes)
    assert weights_of(result) == weights and document["holdout_reads"] == 2
    assert document["retrain"]["how"] == "earlier model" and "read 2 times" in document["gap"]["explained"]


def test_work_and_time_count_all_runs_of_a_study(tmp_path: Path) -> None:
    first = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=2)).to_json()
    assert first["time"]["all_runs_s"] == first["time"]["used_s"]
    retrained = first["retrain"]["evidence"]["retrain"]["images"]
    assert first["work"]["retrain_images"] == retrained
    second = pipeline.fit(config_for(tmp_path, n_trials=3, epochs=6)).to_json()
    work, again = second["work"], second["retrain"]["evidence"]["retrain"]["images"]
    assert work["retrain_images"] == retrained + (0 if second["retrain"] == first["retrain"] else again)
    assert work["rounds"] > first["work"]["rounds"] and work["epochs"] > first["work"]["epochs"]
    trials = first["work"]["images_trained"] - retrained
    assert work["images_trained"] >= trials + work["retrain_images"]
    assert 0.0 < work["busy_fraction"] <= 1.0 and work["worker_s"] > first["work"]["worker_s"]
    total = first["time"]["used_s"] + second["time"]["used_s"]
    assert second["time"]["all_runs_s"] == pytest.approx(total, abs=0.02)
    assert second["time"]["retrain_s"] < second["time"]["used_s"] < total


def timed(finished: Path, tmp_path: Path, seconds: float) -> None:
    """Copy the study, as if time had ended its retrain after so many seconds."""
    shutil.copytree(finished, tmp_path / "tiny")
    path = tmp_path / "tiny" / "result.json"
    document: dict[str, Any] = json.loads(path.read_text())
    document["retrain"]["evidence"]["retrain"] |= {"timed": True, "seconds": seconds}
    path.write_text(json.dumps(document))


def test_retrain_that_time_ended_is_made_again_with_clearly_more_time(finished: Path, tmp_path: Path) -> None:
    timed(finished, tmp_path, 2.0)
    notes = Notes()
    document = pipeline.fit(config_for(tmp_path, **CHOSEN, time_limit=120.0), observer=notes).to_json()
    assert not any("has not changed" in note for note in notes.notes)
    assert document["retrain"]["evidence"]["retrain"]["seconds"] != 2.0
    assert document["retrain"]["how"] in ("retrained", "earlier model")
    assert document["trials"]["total"] == 1


def test_retrain_is_kept_and_said_why_without_clearly_more_time(finished: Path, tmp_path: Path) -> None:
    timed(finished, tmp_path, 80.0)
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, **CHOSEN, time_limit=120.0), observer=notes)
    assert result.to_json()["holdout_reads"] == 1
    (said,) = [note for note in notes.notes if "has not changed" in note]
    assert "left for a retrain are not clearly more than its 1m20s, so the model" in said


def test_run_that_changes_nothing_tells_its_own_time(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "tiny")
    before = (tmp_path / "tiny" / "result.json").read_bytes()
    result = pipeline.fit(config_for(tmp_path, **CHOSEN))
    assert result.unchanged_after is not None and result.unchanged_after > 0.1
    assert (tmp_path / "tiny" / "result.json").read_bytes() == before
    assert result.to_json() == json.loads(before)


def test_costs_of_a_run_that_died_count_and_the_report_tells_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: Run, *_: Any, **__: Any) -> Any:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Run, "retrain", dies)
        with pytest.raises(RuntimeError, match="killed"):
            pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1))
    (lost,) = json.loads((tmp_path / "tiny" / "costs.json").read_text())["runs"]
    assert lost["seconds"] > 0.0 and lost["core_s"] > lost["worker_s"] > 0.0
    document = pipeline.fit(config_for(tmp_path, n_trials=1, epochs=1)).to_json()
    used = document["time"]["used_s"]
    assert document["time"]["all_runs_s"] == pytest.approx(lost["seconds"] + used, abs=0.02)
    assert document["cost"]["seconds"] == document["time"]["all_runs_s"]
    assert document["work"]["worker_s"] >= lost["worker_s"] - 0.01
    assert 3600 * document["cost"]["core_hours"] > lost["core_s"]
    runs = json.loads((tmp_path / "tiny" / "costs.json").read_text())["runs"]
    assert [run["seconds"] for run in runs] == pytest.approx([lost["seconds"], used], abs=0.02)
    page = (tmp_path / "tiny" / "report.html").read_text(encoding="utf-8")
    assert format_duration(document["time"]["all_runs_s"]) in page
    assert document["cost"]["energy_kwh"] is None or document["cost"]["energy_how"].startswith("codecarbon")
