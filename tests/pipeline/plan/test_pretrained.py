"""Studies with pretrained weights: which are used, what is reported and recorded, and that nothing is mixed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits

from automl import config as configuration
from automl import pipeline
from automl.cli import main
from automl.config import StudyConfig
from automl.errors import ConfigError, ModelError, StudyError
from automl.final.predictor import Predictor
from automl.pipeline.plan.pretrained import Conditions, _keep, restore_pretrained
from automl.records import Rows, SearchSplits, Silent
from automl.result import FitResult
from automl.spaces import SearchSpace
from automl.torch_setup import import_timm
from automl.training.models.linear_probe import ProbeScore
from automl.training.models.pretrained_weights import Weights
from tests.pipeline.plan.test_epoch_cost import INFO
from tests.pipeline.test_fit import trainings

pytestmark = pytest.mark.study


class Notes(Silent):
    """Keeps the notes that the user reads."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        """Kept."""
        self.said.append(text)


def config_for(directory: Path, **options: Any) -> StudyConfig:
    """A study of seconds on three digits, without Ray."""
    data = load_digits()
    chosen = np.flatnonzero(data.target < 3)[:240]
    digits = (data.images[chosen] * 15.9).astype(np.uint8), data.target[chosen]
    quick = {"study": "tiny", "space": "smoke", "n_trials": 3, "epochs": 1, "engine": "local", "parallel": 1}
    return configuration.load(digits, directory=directory, **{**quick, **options})


@pytest.fixture(scope="module")
def related(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    """A study from scratch of the other digits."""
    data = load_digits()
    chosen = np.flatnonzero(data.target >= 3)[:400]
    images = (data.images[chosen] * 15.9).astype(np.uint8)
    space = {
        "families": {"resnet": ["test_resnet"]},
        "parameters": {"lr": {"type": "float", "low": 4e-3, "high": 5e-3}},
    }
    return pipeline.fit(
        config_for(tmp_path_factory.mktemp("related"), space=space, n_trials=1, epochs=6).changed(
            data=(images, data.target[chosen])
        )
    )


@pytest.fixture(scope="module")
def folder(related: FitResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model of the related study, and weights of another network that were never trained."""
    root = tmp_path_factory.mktemp("weights")
    (root / "mine").symlink_to(related.model_dir)
    torch.manual_seed(0)
    save_file(import_timm().create_model("test_vit").state_dict(), root / "test_vit.safetensors")
    return root


@pytest.fixture(scope="module")
def tuned(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FitResult, list[str]]:
    """A study that starts from these weights, and its notes."""
    notes = Notes()
    config = config_for(tmp_path_factory.mktemp("tuned"), pretrained=folder, n_trials=4)
    return pipeline.fit(config, observer=notes), notes.said


def test_families_without_weights_are_left_out_and_it_is_said(tuned: tuple[FitResult, list[str]]) -> None:
    result, said = tuned
    record = result.to_json()["pretrained"]
    assert record["used"] is True and record["models"] == ["test_resnet", "test_vit"]
    assert record["weights"]["test_vit"]["licence"] == "of your file"
    assert record["missing"] == ["test_efficientnet", "test_vit2"]
    (line,) = [text for text in said if text.startswith("Pretrained weights: ")]
    assert "found for 2 of 4 architectures (folder); the others are left out" in line


def test_search_begins_with_what_the_probe_ranks_first(tuned: tuple[FitResult, list[str]]) -> None:
    result, said = tuned
    probe = result.to_json()["pretrained"]["probe"]
    best, second = probe
    assert best["score"] >= second["score"] and best["kept"] and second["kept"]
    assert f"{best['model']} {best['score']:.3f}" in " ".join(said)
    board = trainings(result)
    assert list(board["pretrained"]) == [False, True, True, True]  # the preset has one recipe from scratch
    assert list(board["model"])[1:] == [best["model"], second["model"], best["model"]]


@pytest.mark.parametrize(
    ("images", "remaining", "first"),
    [
        # Its 30 s hold all images, those of the other one 3,200.
        (5_000, 170.0, "tf_efficientnet_lite0"),
        # All images of both: of fewer, or in 80 s.
        (300, 170.0, "tf_efficientnet_lite1"),
        (5_000, 1_000.0, "tf_efficientnet_lite1"),
        (5_000, None, "tf_efficientnet_lite1"),
    ],
)
def test_of_networks_that_tell_nearly_the_same_the_faster_one_comes_first_where_time_is_short(
    images: int, remaining: float | None, first: str, tmp_path: Path
) -> None:
    rows = Rows(tmp_path, tmp_path, tmp_path, images)
    many = SearchSplits(replace(INFO, n_train=images, n_val=images // 5), rows, rows)
    conditions = Conditions(many, "cpu", 2, tmp_path, remaining)
    ranking = [  # an epoch of both fits the time
        ProbeScore("tf_efficientnet_lite1", 0.58, 64, 1_500.0),
        ProbeScore("tf_efficientnet_lite0", 0.56, 64, 3_000.0),
    ]
    assert _keep(ranking, conditions)[0] == first


def test_trials_from_weights_have_the_parameters_of_fine_tuning(tuned: tuple[FitResult, list[str]]) -> None:
    for trial in trainings(tuned[0]).to_dict("records"):
        assert (trial["freeze"] is not None and trial["freeze"] == trial["freeze"]) == trial["pretrained"]


def test_delivered_model_is_normalised_as_its_weights_were(
    tuned: tuple[FitResult, list[str]], related: FitResult
) -> None:
    result = tuned[0]
    own = json.loads((result.model_dir / "preprocess.json").read_text())
    theirs = json.loads((related.model_dir / "preprocess.json").read_text())
    delivered = result.to_json()["retrain"].get("config", result.best_config)
    assert delivered["pretrained"] is True  # with a few steps, nothing from scratch comes near
    expected = theirs["mean"] if delivered["model"] == "test_resnet" else [0.5]
    assert own["mean"] == pytest.approx(expected)
    said = json.loads((result.model_dir / "config.json").read_text())
    assert said["pretrained_cfg"]["mean"] == pytest.approx(expected)
    assert "file" not in said["pretrained_cfg"]


def test_delivered_model_predicts_as_timm_alone(tuned: tuple[FitResult, list[str]]) -> None:
    result = tuned[0]
    predictor = Predictor.load(result.model_dir)
    pixels = (load_digits().images[:8] * 15.9).astype(np.uint8)
    assert predictor.predict_proba(pixels).shape == (8, 3)
    assert predictor.info.mean == pytest.approx(
        json.loads((result.model_dir / "config.json").read_text())["pretrained_cfg"]["mean"]
    )
    assert result.holdout["accuracy"].value > 0.5


def test_resumed_study_keeps_the_same_weights(folder: Path, tmp_path: Path) -> None:
    first = pipeline.fit(config_for(tmp_path, pretrained=folder, n_trials=1))
    again = pipeline.fit(config_for(tmp_path, pretrained=folder, n_trials=2))
    assert again.trials["total"] == 2
    assert again.trials["heads"] == first.trials["heads"] >= 1  # they are found again, and not added
    with pytest.raises(StudyError, match="with another --pretrained .*never now"):
        pipeline.fit(config_for(tmp_path, pretrained="never", n_trials=2))
    with pytest.raises(StudyError, match=r"with another --weights-licence \(permissive there, any now\)"):
        pipeline.fit(config_for(tmp_path, pretrained=folder, n_trials=2, weights_licence="any"))


def test_continued_study_whose_weights_are_gone_says_which(tmp_path: Path) -> None:
    weights = tmp_path / "weights" / "test_resnet.safetensors"
    weights.parent.mkdir()
    save_file(import_timm().create_model("test_resnet").state_dict(), weights)
    pipeline.fit(config_for(tmp_path / "s", pretrained=weights.parent, n_trials=1))
    weights.rename(weights.with_name("test_vit.safetensors"))
    with pytest.raises(StudyError, match=r"weights '.*test_resnet.safetensors', which are gone"):
        pipeline.fit(config_for(tmp_path / "s", pretrained=weights.parent, n_trials=2))


def test_damaged_weights_stop_the_study_and_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "test_resnet.safetensors").write_bytes(b"\x00" * 99)
    with pytest.raises(ModelError, match="test_resnet.safetensors' cannot be used for 'test_resnet'"):
        pipeline.fit(config_for(tmp_path / "s", pretrained=tmp_path / "w"))
    assert not (tmp_path / "s" / "tiny").exists()


def test_study_goes_on_with_the_weights_that_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    save_file(
        import_timm().create_model("test_resnet").state_dict(), tmp_path / "w" / "test_resnet.safetensors"
    )
    (tmp_path / "w" / "test_vit.safetensors").write_bytes(b"\x00" * 99)
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path / "s", pretrained=tmp_path / "w", n_trials=2), observer=notes)
    (left_out,) = [text for text in notes.said if text.startswith("Weights left out: ")]
    assert "test_vit.safetensors' cannot be used for 'test_vit'" in left_out
    record = result.to_json()["pretrained"]
    assert record["models"] == ["test_resnet"] and "test_vit" in record["missing"]
    assert any("found for 1 of 4 architectures" in text for text in notes.said)
    heads = result.leaderboard().query("kind == 'head on features'")
    assert (
        heads["model"].to_list() == ["test_resnet"] * 2
    )  # on its last features, and on those from all depths


def test_folder_for_other_networks_names_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "resnet18.safetensors").write_bytes(b"")
    with pytest.raises(
        ConfigError, match=r"at least one architecture .*test_resnet, .*holds those of resnet18"
    ):
        pipeline.fit(config_for(tmp_path / "s", pretrained=tmp_path))


def test_always_without_weights_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none are cached and the hub cannot be reached; give a folder"):
        pipeline.fit(config_for(tmp_path, pretrained="always"))


def strokes(seed: int, n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal and vertical strokes anywhere in images of noise: single pixels do not tell them apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.integers(0, 80, (n, 32, 32, 3))
    for image, label, (x, y) in zip(images, labels, rng.integers(0, 20, (n, 2)), strict=True):
        image[slice(x, x + 12) if label else x, y if label else slice(y, y + 12)] += 150
    return images.astype(np.uint8), labels


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of test_resnet's weights in a cache of the hub that is otherwise empty."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k"
    for folder in ("refs", "snapshots/abc"):
        (repository / folder).mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    return repository / "snapshots" / "abc" / "model.safetensors"


def test_auto_uses_cached_weights_and_trains_from_scratch_beside_them(
    cache: Path, tmp_path: Path, related: FitResult, capsys: pytest.CaptureFixture[str]
) -> None:
    space = {
        "families": {"resnet": ["test_resnet"]},
        "parameters": {"lr": {"type": "float", "low": 4e-3, "high": 5e-3}},
    }
    first = config_for(tmp_path, study="first", space=space, n_trials=1, epochs=8, pretrained="never")
    teacher = pipeline.fit(first.changed(data=strokes(0, 320)))
    save_file(load_file(teacher.model_dir / "model.safetensors"), cache)
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, n_trials=2).changed(data=strokes(1)), observer=notes)
    record = result.to_json()["pretrained"]
    assert record["used"] is True and record["both"] is True and record["models"] == ["test_resnet"]
    assert any("found for 1 of 4 architectures (cache)" in text for text in notes.said)
    assert list(trainings(result)["pretrained"]) == [False, True]
    features, _ = (
        result.leaderboard().query("kind == 'head on features'").sort_values("trial").to_dict("records")
    )
    assert (features["trial"], features["model"], features["estimator"]) == (
        0,
        "test_resnet",
        "logistic regression",
    )
    assert result.best_config["pretrained"] is True
    head, _ = [text for text in notes.said if text.startswith("A linear head on features of test_resnet")]
    assert float(head.split("accuracy ")[1].split()[0]) > 0.7
    check_where_tag_and_licence_stand(result, capsys)


def check_where_tag_and_licence_stand(result: FitResult, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, licence and source of the weights are in the plan, the result, the model's files and the leaderboard."""
    tag, origin = "test_resnet.r160_in1k", "https://huggingface.co/timm/test_resnet.r160_in1k"
    about = {"weights": tag, "licence": "apache-2.0", "source": "cache", "origin": origin}
    assert result.to_json()["weights"] == about == result.to_json()["pretrained"]["weights"]["test_resnet"]
    plan = json.loads((result.model_dir.parent / "plan.json").read_text())
    (planned,) = plan["begun_with"]["weights"].values()
    assert (planned["model"], planned["licence"], planned["origin"]) == (tag, "apache-2.0", origin)
    said = json.loads((result.model_dir / "config.json").read_text())["pretrained_cfg"]
    assert (said["tag"], said["license"], said["origin_url"]) == ("r160_in1k", "apache-2.0", origin)
    card = (result.model_dir / "README.md").read_text()
    assert f"# tiny: {tag}\n" in card and f"`{tag}` (licence: apache-2.0; from {origin})" in card
    board = result.leaderboard().sort_values("trial")
    # Two heads on features, from scratch, fine-tuned.
    assert board["weights"].fillna("").to_list() == [tag, tag, "", tag]
    study = str(result.model_dir.parent)
    assert main(["leaderboard", study]) == 0
    text = capsys.readouterr().out
    assert f"{tag}, pretrained" in text and f"weights {tag}: licence apache-2.0, from {origin}" in text
    assert main(["show", study]) == 0
    assert f"{tag}, licence: apache-2.0, from {origin}" in capsys.readouterr().out


def test_weights_that_tell_nothing_do_no_harm(cache: Path, tmp_path: Path) -> None:
    values = import_timm().create_model("test_resnet").state_dict()
    save_file({name: torch.full_like(value, 0.01) for name, value in values.items()}, cache)
    result = pipeline.fit(config_for(tmp_path, n_trials=2, epochs=4))
    record = result.to_json()["pretrained"]
    assert record["used"] is True and record["missing"] == ["test_efficientnet", "test_vit", "test_vit2"]
    assert result.best_config["pretrained"] is False
    assert result.holdout["accuracy"].value > 0.5
    again = pipeline.fit(config_for(tmp_path, n_trials=2, epochs=4))
    assert again.to_json()["pretrained"] == record


def test_damaged_weights_in_the_cache_are_told_and_the_study_trains_from_scratch(
    cache: Path, tmp_path: Path
) -> None:
    cache.write_bytes(b"\x00" * 99)
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, n_trials=1), observer=notes)
    assert any("Weights left out: the weights" in text and str(cache) in text for text in notes.said)
    record = result.to_json()["pretrained"]
    assert (record["used"], record["why"]) == (False, "no file with weights can be used")
    assert "test_resnet" in record["missing"] and "pretrained" not in result.best_config
    with pytest.raises(ModelError, match="cannot be used for 'test_resnet'"):
        pipeline.fit(config_for(tmp_path, study="always", pretrained="always"))


def test_auto_without_weights_starts_from_scratch_and_says_why(tmp_path: Path) -> None:
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, n_trials=1), observer=notes)
    record = result.to_json()["pretrained"]
    assert (record["asked"], record["used"]) == ("auto", False)
    assert len(record["missing"]) == 4
    assert any(
        "train from scratch: no weights of its 4 architectures are cached, and the hub cannot be reached"
        in text
        for text in notes.said
    )
    assert "pretrained" not in result.best_config


def test_ranges_of_a_study_of_an_earlier_version_stay(tmp_path: Path) -> None:
    file = tmp_path / "resmlp_12_224.safetensors"
    file.touch()
    weights = Weights("resmlp_12_224", file, "folder", (0.5,), (0.5,)).to_dict()
    record = {"used": True, "both": True, "true_sizes": True, "weights": {"resmlp_12_224": weights}}
    space = SearchSpace.load("default")
    own, usual = restore_pretrained(space, record).space.parameters["size"]
    assert own.to_dict()["choices"] == [224] and usual == space.parameters["size"][0]
    del record["true_sizes"]
    assert restore_pretrained(space, record).space.parameters["size"] == (usual,)
