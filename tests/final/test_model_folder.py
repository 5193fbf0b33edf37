"""What is handed over loads in timm and predicts the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from automl.data.holdout import Holdout
from automl.errors import ConfigError, DataError, HoldoutError, ModelError
from automl.final.holdout import score_holdout
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.final.retrain import Retrain, join_rows
from automl.records import Config, SearchSplits, Silent
from automl.torch_setup import import_timm
from automl.training.models.pretrained_weights import describe_weights
from automl.training.plan import TrainPlan
from tests.training.conftest import config, plan, splits

__all__ = ["config", "plan", "splits"]  # fixtures


@pytest.fixture
def folder(config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path) -> Path:
    """A model folder of a network that was trained for a moment."""
    final = Retrain({**config, "lr": 5e-3}, splits, plan, work_dir=tmp_path).train(Silent())
    write_model_folder(tmp_path / "model", final.model, config, splits.info, size=final.size)
    return tmp_path / "model"


def test_model_folder_has_timms_layout(folder: Path, splits: SearchSplits) -> None:
    content = json.loads((folder / "config.json").read_text())
    assert content["architecture"] == "test_resnet"
    assert content["label_names"] == list(splits.info.classes)
    assert (folder / "labels.txt").read_text().split() == list(splits.info.classes)
    assert not list(folder.glob("*.bin")) and not list(folder.glob("*.pt"))


def test_class_name_with_a_line_end_has_one_line_in_the_labels(
    folder: Path, config: Config, splits: SearchSplits, tmp_path: Path
) -> None:
    names = ("two\nlines", "\x1b[31mred", "plain")
    model = import_timm().create_model("test_resnet", num_classes=3)
    write_model_folder(tmp_path / "odd", model, config, replace(splits.info, classes=names), size=32)
    assert (tmp_path / "odd" / "labels.txt").read_text() == "two\\nlines\n\\x1b[31mred\nplain\n"
    assert Predictor.load(tmp_path / "odd").classes == names


def test_tag_and_licence_in_the_config_are_those_of_the_weights_that_it_started_from(
    folder: Path, config: Config, splits: SearchSplits, tmp_path: Path
) -> None:
    about = {"tag", "license", "origin_url", "paper_ids"}
    scratch = json.loads((folder / "config.json").read_text())
    assert not about & set(scratch["pretrained_cfg"])
    file = tmp_path / "test_resnet.r160_in1k.safetensors"
    (folder / "model.safetensors").rename(file)
    weights = replace(describe_weights("test_resnet.r160_in1k", file, "cache"), mean=(0.1, 0.2, 0.3))
    tuned = {**config, "pretrained": True}
    model = import_timm().create_model("test_resnet", num_classes=3)
    write_model_folder(tmp_path / "tuned", model, tuned, splits.info, size=32, weights=weights)
    said = json.loads((tmp_path / "tuned" / "config.json").read_text())["pretrained_cfg"]
    assert (said["tag"], said["license"]) == ("r160_in1k", "apache-2.0")
    assert said["origin_url"] == "https://huggingface.co/timm/test_resnet.r160_in1k"


def test_timm_alone_predicts_the_same_as_the_predictor(folder: Path, splits: SearchSplits) -> None:
    pixels = np.load(splits.val.images)[np.load(splits.val.index)]
    ours = Predictor.load(folder).predict_proba(pixels)
    model = import_timm().create_model(f"local-dir:{folder}", pretrained=True).eval()
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (splits.info.mean, splits.info.std))
    with torch.inference_mode():
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std
        theirs = model(images).softmax(dim=1).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_network_that_was_trained_on_mirror_images_is_asked_about_both(
    config: Config, splits: SearchSplits, plan: TrainPlan, tmp_path: Path
) -> None:
    trained = {**config, "lr": 5e-3, "hflip": True}
    final = Retrain(trained, splits, plan, work_dir=tmp_path).train(Silent())
    write_model_folder(tmp_path / "model", final.model, trained, splits.info, size=final.size)
    pixels = np.load(splits.val.images)[np.load(splits.val.index)]
    predictor = Predictor.load(tmp_path / "model")
    both = predictor.predict_proba(pixels)
    np.testing.assert_allclose(both, predictor.predict_proba(pixels[:, :, ::-1].copy()), atol=1e-6)
    predictor.mirrored = False
    one, other = (predictor.predict_proba(np.ascontiguousarray(p)) for p in (pixels, pixels[:, :, ::-1]))
    assert np.abs(one - other).max() > 1e-4
    np.testing.assert_allclose(both, (one + other) / 2, atol=1e-6)


def test_a_folder_from_before_mirror_images_is_read_without_them(folder: Path) -> None:
    said = json.loads((folder / "preprocess.json").read_text())
    del said["mirrored"]
    (folder / "preprocess.json").write_text(json.dumps(said))
    assert not Predictor.load(folder).mirrored
    (folder / "preprocess.json").write_text(json.dumps({**said, "mirrored": "yes"}))
    with pytest.raises(ModelError, match="true or false for mirrored"):
        Predictor.load(folder)


def test_a_folder_from_before_squeezed_images_cuts_them(folder: Path) -> None:
    said = json.loads((folder / "preprocess.json").read_text())
    assert said.pop("resize") == "crop"
    (folder / "preprocess.json").write_text(json.dumps(said))
    assert Predictor.load(folder).info.resize == "crop"
    (folder / "preprocess.json").write_text(json.dumps({**said, "resize": "stretch"}))
    with pytest.raises(ModelError, match="crop or squeeze for resize"):
        Predictor.load(folder)


def test_predictor_takes_paths_images_and_arrays_alike(
    folder: Path, splits: SearchSplits, tmp_path: Path
) -> None:
    pixels = np.load(splits.val.images)[np.load(splits.val.index)[:4]]
    paths = []
    for i, array in enumerate(pixels):
        Image.fromarray(array).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    predictor = Predictor.load(folder)
    by_path = predictor.predict_proba(paths)
    np.testing.assert_array_equal(by_path, predictor.predict_proba(pixels))
    np.testing.assert_array_equal(by_path, predictor.predict_proba([Image.open(p) for p in paths]))
    assert predictor.predict(paths[0]) == predictor.predict(paths)[:1]


def test_batch_that_does_not_fit_into_memory_is_scored_in_parts(folder: Path, splits: SearchSplits) -> None:
    pixels = np.load(splits.val.images)[:30]
    predictor = Predictor.load(folder)
    whole, network = predictor.predict_pixels(pixels), predictor.model
    seen: list[int] = []

    class Narrow(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if len(images) > 8:
                raise MemoryError
            seen.append(len(images))
            found: torch.Tensor = network(images)
            return found

    predictor.model = Narrow()
    np.testing.assert_allclose(predictor.predict_pixels(pixels), whole, atol=1e-5)
    assert set(seen) == {7, 8}


def test_device_that_there_is_not_is_named(folder: Path) -> None:
    for device in ("cuda:99", "quantum"):
        with pytest.raises(ConfigError, match=f"device must be available to torch, got '{device}': "):
            Predictor.load(folder, device=device)


def test_predictor_of_no_images_is_empty(folder: Path) -> None:
    assert Predictor.load(folder).predict_proba([]).shape == (0, 3)


def test_predictor_names_an_image_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DataError, match="broken.jpg"):
        Predictor.load(folder).predict([tmp_path / "broken.jpg"])


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"must be a finished study or a model folder, but has no config.json"
    ):
        Predictor.load(tmp_path)


def test_damaged_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x00" * 32)
    with pytest.raises(ModelError, match="cannot be loaded"):
        Predictor.load(folder)


def test_holdout_is_opened_once_and_scored_with_intervals(folder: Path, splits: SearchSplits) -> None:
    holdout = Holdout(splits.val)
    predictor = Predictor.load(folder)
    given = np.load(splits.train.targets)[np.load(splits.train.index)]
    found = score_holdout(predictor, holdout, "balanced_accuracy", train_targets=given, seed=0)
    held = found.scores
    assert holdout.reads == 1 and list(found.trivial) == list(held)
    assert found.trivial["balanced_accuracy"].words == "chance"
    assert next(iter(held)) == "balanced_accuracy" and {"accuracy", "f1", "log_loss"} < set(held)
    pixels, truth = np.load(splits.val.images), np.load(splits.val.targets)
    index = np.load(splits.val.index)
    right = np.mean(
        [
            splits.info.classes[t] == p
            for t, p in zip(truth[index], predictor.predict(pixels[index]), strict=True)
        ]
    )
    assert held["accuracy"].value == pytest.approx(right)
    with pytest.raises(HoldoutError, match="opened once"):
        score_holdout(predictor, holdout, "accuracy", train_targets=given, seed=0)


def test_retrain_uses_train_and_validation_rows(splits: SearchSplits, tmp_path: Path) -> None:
    rows = join_rows(splits.train, splits.val, tmp_path / "joined.npy")
    assert len(rows) == len(splits.train) + len(splits.val)
    assert np.array_equal(np.load(rows.index), np.arange(192))
