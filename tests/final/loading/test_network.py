"""Networks of model folders from strangers: nothing is built that the weights do not fill."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from automl.errors import ModelError
from automl.final.loading.sized_network import build_with_weights, shapes_in
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.training.models.build import build_model, input_size
from automl.training.models.hyperparameters import Recipe
from tests.final.loading.test_preprocess import INFO

VIT, RESNET = "test_vit", "test_resnet"


def _folder(path: Path, model: str) -> Path:
    config = {"model": model, "opt": "sgd", "lr": 0.1, "batch_size": 2}
    recipe = Recipe.from_config(config)
    write_model_folder(path, build_model(recipe, INFO), config, INFO, size=input_size(recipe, INFO))
    return path


def _change(folder: Path, **changes: Any) -> None:
    said = json.loads((folder / "config.json").read_text())
    arguments = {**said["model_args"], **changes.pop("model_args", {})}
    (folder / "config.json").write_text(json.dumps({**said, "model_args": arguments, **changes}))


@pytest.mark.parametrize("model", [VIT, RESNET, LINEAR_ON_PIXELS])
def test_folder_is_loaded_with_its_weights(tmp_path: Path, model: str) -> None:
    folder = _folder(tmp_path / "m", model)
    network = Predictor.load(folder).model
    stored = load_file(folder / "model.safetensors")
    assert all(torch.equal(value, stored[name]) for name, value in network.state_dict().items())


ABSURD: list[tuple[str, dict[str, Any], str]] = [
    (VIT, {"num_classes": 10**9}, "one output for each class"),
    (VIT, {"num_classes": True}, "one output for each class"),
    (VIT, {"model_args": {"img_size": 90_000}}, "larger than its weights|sizes in config.json"),
    (VIT, {"model_args": {"embed_dim": 96_000}}, "larger than its weights"),
    (VIT, {"model_args": {"depth": 100_000}}, "larger than its weights"),
    (VIT, {"model_args": {"depth": 7}}, "do not belong to the architecture"),
    (VIT, {"model_args": {"in_chans": 99_999}}, "must have the channels of the images"),
    (RESNET, {"model_args": {"layers": [99_999] * 4}}, "larger than its weights"),
    (RESNET, {"model_args": {"channels": [99_999] * 4}}, "larger than its weights"),
    (RESNET, {"model_args": {"stem_width": 99_999}}, "larger than its weights"),
    (RESNET, {"architecture": "vit_huge_patch14_224"}, "larger than its weights"),
    (LINEAR_ON_PIXELS, {"model_args": {"num_classes": 10**5}}, "one output for each class"),
    (LINEAR_ON_PIXELS, {"model_args": {"in_chans": 10**5}}, "larger than its weights"),
    (LINEAR_ON_PIXELS, {"model_args": {"x": 1}}, "unexpected keyword"),
    (LINEAR_ON_PIXELS, {"model_args": {"in_chans": 1}}, "sizes in config.json"),
]


@pytest.mark.parametrize(("model", "changes", "reason"), ABSURD)
def test_sizes_that_the_weights_do_not_have_are_refused_before_they_take_memory(
    tmp_path: Path, model: str, changes: dict[str, Any], reason: str
) -> None:
    folder = _folder(tmp_path / "m", model)
    Predictor.load(folder)
    _change(folder, **changes)
    before, begun = psutil.Process().memory_info().rss, time.process_time()
    with pytest.raises(ModelError, match=reason):
        Predictor.load(folder)
    assert psutil.Process().memory_info().rss - before < 200 * 2**20
    assert time.process_time() - begun < 8


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"model_args": {"qkv_bias": "no"}}, "the type bool as qkv_bias in model_args, not 'no'"),
    (
        {"model_args": {"drop_path_rate": "high"}},
        "a number from 0 to 1 as drop_path_rate in model_args, not 'high'",
    ),
    ({"model_args": {"drop_rate": -5}}, "a number from 0 to 1 as drop_rate"),
    ({"pretrained_cfg": "x"}, "an object as pretrained_cfg, not 'x'"),
    ({"pretrained_cfg": {"input_size": "huge"}}, "height and width as input_size, not 'huge'"),
    ({"pretrained_cfg": {"input_size": [3, 10**9, 1]}}, "as input_size"),
    ({"pretrained_cfg": {"mean": [9, 9, 9]}}, "the mean of preprocess.json"),
    ({"pretrained_cfg": {"std": [0, 0, 0]}}, "the std of preprocess.json"),
    ({"pretrained_cfg": {"std": "x"}}, "the std of preprocess.json"),
    ({"pretrained_cfg": {"crop_mode": "sideways"}}, "as crop_mode, not 'sideways'"),
    ({"pretrained_cfg": {"interpolation": 5}}, "as interpolation, not 5"),
    ({"pretrained_cfg": {"crop_pct": -1}}, "a number above 0 as crop_pct"),
    ({"pretrained_cfg": {"num_classes": 7}}, "2 as num_classes, not 7"),
    ({"label_names": ["b", "a"]}, "the classes of preprocess.json as label_names"),
    ({"num_features": "many"}, "a count as num_features"),
]


@pytest.mark.parametrize(("changes", "reason"), NONSENSE)
def test_nonsense_in_the_config_is_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    folder = _folder(tmp_path / "m", VIT)
    _change(folder, **changes)
    with pytest.raises(ModelError, match=reason):
        Predictor.load(folder)


@pytest.mark.parametrize("given", [[], "", 5])
def test_arguments_that_are_no_object_are_refused(tmp_path: Path, given: Any) -> None:
    folder = _folder(tmp_path / "m", VIT)
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, "model_args": given}))
    with pytest.raises(ModelError, match="an object as model_args"):
        Predictor.load(folder)


def test_channels_of_the_images_are_those_of_the_weights(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", RESNET)
    said = json.loads((folder / "preprocess.json").read_text())
    grey = {**said, "in_chans": 1, "mean": [0.5], "std": [0.5]}
    (folder / "preprocess.json").write_text(json.dumps(grey))
    with pytest.raises(ModelError, match="must have the channels of the images"):
        Predictor.load(folder)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", RESNET)
    stored = load_file(folder / "model.safetensors")
    stored["fc.bias"][0] = float("nan")
    save_file(stored, folder / "model.safetensors")
    with pytest.raises(ModelError, match="the weights of 'fc.bias' are not finite numbers"):
        Predictor.load(folder)


def test_header_of_sparse_gigabytes_is_compared_and_nothing_is_read(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", LINEAR_ON_PIXELS)
    size = 4 * 10**9
    header = {name: {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]} for name in ("a",)}
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)
    assert shapes_in(folder / "model.safetensors") == {"a": (size // 4,)}
    with pytest.raises(ModelError, match="do not belong to the architecture"):
        Predictor.load(folder)


def test_input_that_the_network_does_not_take_is_a_sentence(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", VIT)
    said = json.loads((folder / "preprocess.json").read_text())
    (folder / "preprocess.json").write_text(json.dumps({**said, "input_size": said["input_size"] + 1}))
    predictor = Predictor.load(folder)
    with pytest.raises(ModelError, match="the network cannot score these images"):
        predictor.predict(torch.zeros(2, 3, 32, 32))


def test_other_threads_build_what_they_like_meanwhile(tmp_path: Path) -> None:
    import threading

    folder = _folder(tmp_path / "m", LINEAR_ON_PIXELS)
    made: list[torch.nn.Module] = []

    def make() -> torch.nn.Module:
        thread = threading.Thread(target=lambda: made.append(torch.nn.Linear(3000, 3000)))
        thread.start()
        thread.join()
        import automl.training.models.linear_head as head

        return head.linear_on_pixels(2)

    build_with_weights(make, folder / "model.safetensors")
    assert len(made) == 2


def test_folder_with_a_pipe_instead_of_weights_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", LINEAR_ON_PIXELS)
    for name in ("model.safetensors", "config.json", "preprocess.json"):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        os.mkfifo(folder / name)
        with pytest.raises(ModelError, match=f"has no {name}"):
            Predictor.load(folder)
        (folder / name).unlink()
        (folder / name).write_bytes(content)


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", RESNET)
    stored = load_file(folder / "model.safetensors")
    save_file({**stored, "fc.bias": stored["fc.bias"].to(torch.int8)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="the weights of 'fc.bias' are int8 numbers"):
        Predictor.load(folder)


def test_weights_whose_answers_are_no_numbers_are_told(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "m", RESNET)
    stored = load_file(folder / "model.safetensors")
    large = {
        name: torch.full_like(value, 3e38) if value.is_floating_point() else value
        for name, value in stored.items()
    }
    save_file(large, folder / "model.safetensors")
    predictor = Predictor.load(folder)
    images = torch.rand(2, 3, 32, 32)
    for ask in (predictor.predict, predictor.predict_proba):
        with pytest.raises(ModelError, match="answers to these images are no numbers"):
            ask(images)
    below = next(name for name in stored if name.endswith("running_var"))
    save_file({**stored, below: -stored[below]}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="are variances below 0"):
        Predictor.load(folder)
