"""Studies that deliver the mean of the weights of fine-tunings.

What averages gain is chance in a study of seconds. So weights are moved apart on purpose: those of the model that would
be delivered one way, and those of its trials the other way, so that the mean is better than each by construction.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import automl
from automl import pipeline
from automl.cli import main
from automl.data.holdout import Holdout
from automl.errors import ConfigError, StudyError
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.earlier import Earlier
from automl.final.evidence.verdict import Final
from automl.final.evidence.words import made
from automl.final.model_folder import weights_sha256
from automl.final.predictor import Predictor
from automl.final.retrain import Retrained
from automl.pipeline import run, setup
from automl.pipeline.plan.heads import Heads
from automl.pipeline.retrain.described import described
from automl.pipeline.retrain.final_model import final_model as final_model_of_run
from automl.pipeline.retrain.pool import Pool
from automl.result import FitResult
from automl.review.describe import delivered_kind
from automl.review.front.kept import delivered_trial
from automl.review.report.verdict import model_words
from automl.torch_setup import import_timm
from automl.training import checkpoint
from automl.training.models.finetune import linear_classifiers
from tests.pipeline.retrain.test_combine import Log
from tests.pipeline.test_fit import config_for, digits

pytestmark = pytest.mark.study

APART = 8.0  # logits by which the first class is preferred, or avoided


@pytest.fixture(scope="module", autouse=True)
def _no_heads() -> Iterator[None]:
    """Leave out linear heads: the studies deliver a training, then, whatever networks of nothing learn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "fit_heads", lambda context, basis: Heads())
        yield


SPACE: dict[str, Any] = {
    "families": {"resnet": ["test_resnet"]},
    "parameters": {
        "pretrained": {"type": "categorical", "choices": [True]},
        "size": {"type": "categorical", "choices": [32], "when": {"pretrained": True}},
        "lr": {"type": "float", "low": 1e-3, "high": 2e-3},
    },
}


def write_weights(folder: Path) -> str:
    """Write weights of a network that has learnt nothing, and return their folder."""
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    save_file(import_timm().create_model("test_resnet").state_dict(), folder / "test_resnet.safetensors")
    return str(folder)


def options(directory: Path, **changes: Any) -> dict[str, Any]:
    return {
        "data": digits(),
        "space": SPACE,
        "pretrained": write_weights(directory / "weights"),
        "val": 0.5,
        "n_trials": 2,
        "epochs": 2,
        "deliver": "soup",
        **changes,
    }


def moved(monkeypatch: pytest.MonkeyPatch, *, by: float, others_by: float) -> None:
    """Move what the single model answers by so many logits, and make the trials copies of it that are moved, too."""
    plain = final_model_of_run

    def final_model(setup: Any, found: Any, earlier: Any = None, **keywords: Any) -> Any:
        final = plain(setup, found, earlier, **keywords)
        network = final.model.trained.model
        tensors = {name: value.detach().clone() for name, value in network.state_dict().items()}
        bias = next(
            name for name, value in network.named_parameters() if value is linear_classifiers(network)[0].bias
        )
        for place in (setup.workspace.root / "trials").glob("*/checkpoint"):
            write_moved(place, tensors, bias, others_by)
        (layer,) = linear_classifiers(network)
        assert isinstance(layer, nn.Linear)
        shift(layer, by)
        return final

    monkeypatch.setattr(run, "final_model", final_model)


def shift(layer: nn.Linear, by: float) -> None:
    with torch.no_grad():
        layer.bias[0] += by


def write_moved(place: Path, tensors: dict[str, Tensor], bias: str, by: float) -> None:
    """Give a checkpoint these weights, with another bias of the first class."""
    saved, state = checkpoint.read(place)
    for key in saved:
        value = tensors[key.partition(".")[2]].clone()
        if key.partition(".")[2] == bias:
            value[0] += by
        saved[key] = value
    checkpoint.write(place, saved, state)


Study = tuple[FitResult, list[str]]


def fitted(directory: Path, patch: pytest.MonkeyPatch, **changes: Any) -> Study:
    log, opened = Log(), Holdout.open

    def recorded(self: Holdout, *, again: bool = False) -> Any:
        log.lines.append("the holdout is opened")
        return opened(self, again=again)

    patch.setattr(Holdout, "open", recorded)
    result = pipeline.fit(config_for(directory, **options(directory, **changes)), observer=log)
    return result, log.lines


@pytest.fixture(scope="module")
def soup(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that delivers a soup; the log says when its holdout was opened."""
    with pytest.MonkeyPatch.context() as patch:
        moved(patch, by=APART, others_by=-APART)
        return fitted(tmp_path_factory.mktemp("soup"), patch)


def test_soup_is_one_network_that_is_better_than_the_single_model(soup: Study) -> None:
    result, lines = soup
    document = result.to_json()
    retrain = document["retrain"]
    assert retrain["how"] == "soup" and document["deliver"] == "soup"
    about = retrain["evidence"]["soup"]
    assert len(retrain["members"]) == len(about["losses"]) >= 2
    assert about["losses"] == sorted(about["losses"], reverse=True)
    assert about["losses"][-1] < about["losses"][0] - 0.5 and about["value"] >= about["single_value"]
    shares = [row["weight"] for row in retrain["members"]]
    assert shares == [pytest.approx(1 / len(shares), abs=1e-4)] * len(shares)
    said = json.loads((result.model_dir / "config.json").read_text(encoding="utf-8"))
    assert said["architecture"] == "test_resnet"  # timm alone loads it
    assert isinstance(linear_classifiers(result.predictor.model)[0], nn.Linear)
    assert lines.count("the holdout is opened") == 1
    assert lines.index("[combine]") < lines.index("[holdout]") < lines.index("the holdout is opened")
    assert document["holdout_reads"] == 1


def test_soup_is_called_one_wherever_the_model_is_shown(
    soup: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    result = soup[0]
    document = result.to_json()
    members = [row["words"] for row in document["retrain"]["members"]]
    assert delivered_kind(document) == "soup" and made(document).startswith(
        "a soup, the mean of the weights of "
    )
    assert all(words in made(document) and words in document["retrain"]["why"] for words in members)
    assert model_words(document) == f"a soup of {len(members)} test_resnet"
    assert document["verdict"][0].startswith("A soup of ")
    assert "with the soup" in document["gap"]["explained"]
    assert document["weights"]["weights"] == "test_resnet"
    card = (result.model_dir / "README.md").read_text(encoding="utf-8")
    assert "A soup, the mean of the weights of " in card and "test_resnet" in card
    place = ["--directory", str(result.directory.parent)]
    assert main(["show", "tiny", *place]) == 0
    assert "a soup, the mean of the weights of" in " ".join(capsys.readouterr().out.split())
    assert main(["list", *place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["studies"][0]["delivered"] == "soup"


def test_delivered_soup_predicts_as_the_holdout_says(soup: Study) -> None:
    result = soup[0]
    table = pd.read_csv(result.directory / "holdout_predictions.csv", dtype=str)
    right = float(np.mean(table["label"] == table["predicted"]))
    assert right == pytest.approx(result.holdout["accuracy"].value, abs=1e-6)


def test_the_same_command_again_keeps_the_soup(soup: Study) -> None:
    first = soup[0]
    directory = first.directory.parent
    again = pipeline.fit(config_for(directory, **options(directory)))
    assert again.unchanged_after is not None
    assert json.loads(json.dumps(again.to_json())) == json.loads(json.dumps(first.to_json()))


def test_front_has_the_soup_with_the_score_of_its_first_trial_and_its_gain(
    soup: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    result = soup[0]
    place = ["--directory", str(result.directory.parent)]
    assert main(["leaderboard", "tiny", *place, "--pareto", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    row = next(row for row in rows if row["kind"] == "soup")
    about = result.to_json()["retrain"]["evidence"]["soup"]
    values = result.leaderboard().set_index("trial")["val_accuracy"]
    expected = values[about["trial"]] + about["value"] - about["single_value"]
    assert row["val_accuracy"] == pytest.approx(expected) and row["weights"] == "model"
    assert row["trial"] is None and len(row["members"]) == len(about["losses"])
    assert main(["leaderboard", "tiny", *place, "--pareto"]) == 0
    assert "soup of the" in " ".join(capsys.readouterr().out.split())


def test_soup_is_replaced_by_a_trial_and_made_the_model_again(soup: Study, tmp_path: Path) -> None:
    directory = soup[0].directory.parent
    shutil.copytree(directory / "tiny", tmp_path / "tiny")
    images = digits()[0][:30]
    before, old = soup[0].to_json(), Predictor.load(tmp_path / "tiny").predict_proba(images)
    trial = next(int(path.parent.name[1:]) for path in (tmp_path / "tiny" / "trials").glob("*/checkpoint"))
    replaced = automl.deliver("tiny", trial=trial, directory=tmp_path, data=digits())
    assert replaced.to_json()["retrain"]["how"] == "own weights"
    assert replaced.to_json()["holdout_reads"] == 2
    with pytest.raises(StudyError, match="unknown former model 'sop'.*'soup'"):
        automl.deliver("tiny", former="sop", directory=tmp_path, data=digits())
    with pytest.raises(ConfigError, match="give either --trial N, --former NAME or limits"):
        automl.deliver("tiny", former="soup", trial=trial, directory=tmp_path, data=digits())
    again = automl.deliver("tiny", former="soup", directory=tmp_path, data=digits()).to_json()
    assert json.loads(json.dumps(again["retrain"])) == json.loads(json.dumps(before["retrain"]))
    assert again["holdout"] == before["holdout"] and again["holdout_reads"] == 2
    assert np.array_equal(Predictor.load(tmp_path / "tiny").predict_proba(images), old)
    log = Log()
    automl.deliver("tiny", former="soup", directory=tmp_path, data=digits(), observer=log)
    assert "The former model 'soup' is the model of the study already." in log.lines


def test_mean_that_is_worse_is_not_delivered_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(monkeypatch, by=0.0, others_by=200.0)
    result, lines = fitted(tmp_path, monkeypatch)
    assert result.to_json()["retrain"]["how"] != "soup"
    assert any(line.startswith("No soup: no mean with the weights of") for line in lines)


def test_auto_prefers_a_soup_to_an_ensemble_that_is_not_clearly_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(monkeypatch, by=APART, others_by=-APART)
    result, lines = fitted(tmp_path, monkeypatch, deliver="auto")
    assert result.to_json()["retrain"]["how"] == "soup"
    assert any(line.startswith("No ensemble: ") for line in lines)


@pytest.mark.parametrize("deliver", ["soup", "ensemble"])
def test_everything_is_chosen_before_the_holdout_could_be_read(
    deliver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved(monkeypatch, by=APART, others_by=-APART)
    what = {"soup": "a soup", "ensemble": "an ensemble"}[deliver]
    log = Log()

    def sealed(*_: object, **__: object) -> Any:
        raise RuntimeError("the holdout was opened")

    monkeypatch.setattr(Holdout, "open", sealed)
    with pytest.raises(RuntimeError, match="the holdout was opened"):
        pipeline.fit(config_for(tmp_path, **options(tmp_path, deliver=deliver)), observer=log)
    assert log.lines.index("[combine]") < log.lines.index("[holdout]")
    assert any(f"that of {what}" in line for line in log.lines)
    assert (tmp_path / "tiny" / "model" / "model.safetensors").is_file()


def test_models_from_scratch_have_no_soup_and_it_is_said_before_anything_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(*_: object, **__: object) -> None:
        raise AssertionError("a model was scored although there is no other for a soup")

    monkeypatch.setattr(Pool, "scored", scored)
    log = Log()
    given = {"data": digits(), "val": 0.5, "n_trials": 2, "epochs": 2, "deliver": "soup"}
    result = pipeline.fit(config_for(tmp_path, **given), observer=log)
    assert result.to_json()["retrain"]["how"] != "soup"
    said = [line for line in log.lines if line.startswith("No soup: ")]
    assert said == [
        "No soup: only fine-tunings of the same published weights can be averaged, and the model was trained from "
        "scratch."
    ]


def test_another_deliver_on_a_finished_study_combines_its_trials_without_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pipeline.fit(config_for(tmp_path, **options(tmp_path, deliver="single"))).to_json()
    assert first["deliver"] == "single"
    moved(monkeypatch, by=APART, others_by=-APART)
    result, lines = fitted(tmp_path, monkeypatch)
    second = result.to_json()
    assert second["retrain"]["how"] == "soup" and second["trials"] == first["trials"]
    assert second["work"]["rounds"] == first["work"]["rounds"]  # no search
    assert (second["holdout_reads"], lines.count("the holdout is opened")) == (2, 1)
    kept = [path.name for path in (tmp_path / "tiny" / "models").iterdir()]
    again = f"`automl deliver tiny --former {kept[0]} --directory {tmp_path}` makes it the model again"
    assert len(kept) == 1 and any(again in line for line in lines)
    # and a single one again: a sentence says how
    log = Log()
    third = pipeline.fit(config_for(tmp_path, **options(tmp_path, deliver="single")), observer=log)
    assert third.to_json()["retrain"] == second["retrain"] and third.to_json()["holdout_reads"] == 2
    assert any(
        "The model stays the soup of the earlier run; `automl deliver tiny --trial" in line
        for line in log.lines
    )


def test_another_deliver_that_finds_nothing_better_keeps_model_and_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pipeline.fit(config_for(tmp_path, **options(tmp_path, deliver="single"))).to_json()
    weights = (tmp_path / "tiny" / "model" / "model.safetensors").read_bytes()
    moved(monkeypatch, by=0.0, others_by=200.0)
    result, lines = fitted(tmp_path, monkeypatch)
    second = result.to_json()
    assert second["holdout"] == first["holdout"] and second["holdout_reads"] == 1
    assert (tmp_path / "tiny" / "model" / "model.safetensors").read_bytes() == weights
    assert "the holdout is opened" not in lines
    assert "Nothing better was found, so the model and its holdout score are kept." in lines
    again = pipeline.fit(config_for(tmp_path, **options(tmp_path)))  # it is not tried again and again
    assert again.unchanged_after is not None and second["deliver"] == "soup"


def test_model_that_left_images_out_is_combined_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        moved(patch, by=0.0, others_by=200.0)  # nothing is worth combining, but images were kept out for it
        first = pipeline.fit(config_for(tmp_path, **options(tmp_path, deliver="auto"))).to_json()
    assert first["retrain"]["how"] == "retrained" and first["retrain"]["evidence"]["kept_out"] >= 30
    file = tmp_path / "tiny" / "model" / "model.safetensors"
    tensors = load_file(file)
    (bias,) = (name for name in tensors if name.endswith("fc.bias"))
    for place in (tmp_path / "tiny" / "trials").glob("*/checkpoint"):
        write_moved(place, tensors, bias, -APART)
    tensors[bias][0] += APART
    save_file(tensors, file)
    place = tmp_path / "tiny" / "result.json"
    document = json.loads(place.read_text(encoding="utf-8"))
    document["model_sha256"] = weights_sha256(file.parent)  # as if the study had made it so
    place.write_text(json.dumps(document), encoding="utf-8")
    result, lines = fitted(tmp_path, monkeypatch)
    retrain = result.to_json()["retrain"]
    assert retrain["how"] == "soup" and "[retrain]" not in lines
    assert retrain["members"][0]["words"] == f"the earlier model of trial {first['best']['trial']}"
    assert "the loss of the earlier model is" in retrain["why"]
    assert retrain["evidence"]["kept_out"] == first["retrain"]["evidence"]["kept_out"]


def test_members_of_an_earlier_soup_stay_known_where_it_is_kept(soup: Study) -> None:
    document = soup[0].to_json()
    predictor, retrain = soup[0].predictor, document["retrain"]
    trained = Retrained(
        predictor.model,
        predictor.size,
        epochs=retrain["epochs"],
        seconds=retrain["seconds"],
        n_train=retrain["n_train"],
        images_trained=retrain["images"],
        info=predictor.info,
    )
    model = Alternative(Delivery.EARLIER, retrain["config"], trained)
    earlier = Earlier(model, Delivery.SOUP, document["best"]["trial"], np.arange(0), document)
    found: Any = None  # only heads are looked up in it
    entry = described(Final(model, earlier=earlier), found)
    kept = {**document, "retrain": entry}
    assert made(kept) == f"kept from an earlier run: {made(document)}"
    assert delivered_kind(kept) == "soup" and delivered_trial(kept) is None
