"""Weights in folders and caches: found, loaded into other networks than they come from, and refused when wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from automl.errors import ModelError
from automl.records import SearchSplits
from automl.torch_setup import import_timm
from automl.training.models.build import build_model, model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, load_model, normalised, verify, weights_for
from automl.training.models.weight_sources import in_caches, in_folder


def save_weights(path: Path, model: str, **arguments: object) -> dict[str, torch.Tensor]:
    """A file with the values of a network of its own, and those values."""
    torch.manual_seed(7)
    values = import_timm().create_model(model, num_classes=5, **arguments).state_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(values, path)
    else:
        torch.save(values, path)
    return dict(values)


@pytest.mark.parametrize(
    "name",
    ["test_resnet.safetensors", "test_resnet.pth", "test_resnet.r160_in1k/model.safetensors"],
)
def test_file_and_folder_named_after_a_model_are_found_and_loaded(
    name: str, tmp_path: Path, splits: SearchSplits
) -> None:
    values = save_weights(tmp_path / name, "test_resnet")
    (weights,) = in_folder(tmp_path).values()
    assert weights.source == "folder" and weights.mean == (0.5, 0.5, 0.5)
    model = build_model(Recipe("test_resnet", lr=1.0), splits.info, weights=weights)
    assert torch.equal(model.state_dict()["layer1.0.conv1.weight"], values["layer1.0.conv1.weight"])
    assert model.state_dict()["fc.weight"].shape[0] == 3


def test_folder_in_timms_layout_brings_its_statistics_and_its_arguments(
    tmp_path: Path, splits: SearchSplits
) -> None:
    channels = [32, 64, 128, 256]
    values = save_weights(tmp_path / "mine" / "model.safetensors", "resnet10t", channels=channels)
    said = {
        "architecture": "resnet10t",
        "num_classes": 5,
        "model_args": {"channels": channels, "in_chans": 3, "img_size": 99},
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "url": "http://nowhere"},
    }
    (tmp_path / "mine" / "config.json").write_text(json.dumps(said))
    assert in_folder(tmp_path) == in_folder(tmp_path / "mine")
    weights = in_folder(tmp_path)["resnet10t"]
    assert weights == Weights.from_dict(json.loads(json.dumps(weights.to_dict())))
    assert normalised(splits.info, weights).mean == (0.1, 0.2, 0.3)
    arguments = model_arguments(Recipe("resnet10t", lr=0.1, width=0.75), splits.info, weights)
    assert arguments == {"num_classes": 3, "in_chans": 3, "channels": channels}
    verify(weights, arguments)
    loaded = load_model(weights, arguments).state_dict()
    assert torch.equal(loaded["layer4.0.conv1.weight"], values["layer4.0.conv1.weight"])


def test_gray_images_get_the_summed_first_layer_and_the_mean_statistics(
    tmp_path: Path, splits: SearchSplits
) -> None:
    values = save_weights(tmp_path / "test_resnet.safetensors", "test_resnet")
    info = replace(splits.info, in_chans=1, mean=(0.1,), std=(0.1,))
    weights = replace(in_folder(tmp_path)["test_resnet"], mean=(0.3, 0.4, 0.5))
    model = build_model(Recipe("test_resnet", lr=0.1), info, weights=weights)
    first = next(name for name, value in values.items() if value.ndim == 4)
    torch.testing.assert_close(model.state_dict()[first], values[first].sum(dim=1, keepdim=True))
    assert normalised(info, weights).mean == pytest.approx((0.4,))


def test_transformer_keeps_its_patches_and_gets_positions_for_another_size(
    tmp_path: Path, splits: SearchSplits
) -> None:
    values = save_weights(tmp_path / "test_vit.safetensors", "test_vit")
    weights = in_folder(tmp_path)["test_vit"]
    recipe = Recipe("test_vit", lr=0.1, pretrained=True, upscale=2.0)
    verify(weights, model_arguments(recipe, splits.info, weights))
    model = build_model(recipe, splits.info, weights=weights)
    assert torch.equal(model.state_dict()["patch_embed.proj.weight"], values["patch_embed.proj.weight"])
    assert model.state_dict()["pos_embed"].shape != values["pos_embed"].shape
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path, splits: SearchSplits) -> None:
    save_weights(tmp_path / "test_efficientnet.safetensors", "test_vit")
    weights = in_folder(tmp_path)["test_efficientnet"]
    with pytest.raises(
        ModelError, match=r"test_efficientnet.safetensors' cannot be used for .* not in the file"
    ):
        verify(weights, model_arguments(Recipe("test_efficientnet", lr=0.1), splits.info, weights))


def test_weights_of_other_shapes_are_refused_by_name(tmp_path: Path, splits: SearchSplits) -> None:
    save_weights(tmp_path / "resnet10t.safetensors", "resnet10t", channels=[16, 32, 64, 128])
    weights = in_folder(tmp_path)["resnet10t"]
    with pytest.raises(ModelError, match=r"resnet10t.safetensors' .*size mismatch"):
        build_model(Recipe("resnet10t", lr=0.1), splits.info, weights=weights)


def test_weights_with_half_of_the_layers_are_refused(tmp_path: Path, splits: SearchSplits) -> None:
    file = tmp_path / "test_resnet.safetensors"
    save_weights(file, "test_resnet")
    save_file({k: v for k, v in load_file(file).items() if not k.startswith("layer4")}, file)
    weights = in_folder(tmp_path)["test_resnet"]
    with pytest.raises(ModelError, match=r"\d+% of its values are not in the file"):
        verify(weights, model_arguments(Recipe("test_resnet", lr=0.1), splits.info, weights))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("test_resnet.safetensors", b"", "it is empty"),
        (
            "test_resnet.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid",
            "it is a pointer of Git LFS",
        ),
        ("test_resnet.bin", b"version https://git-lfs.github.com/spec/v1\noid", "it is a pointer of Git LFS"),
        ("test_resnet.bin", b"<!DOCTYPE html><html>404</html>", "it is a web page"),
        ("test_resnet.pth", b"no weights", "it is no file of tensors, or holds more than tensors"),
    ],
)
def test_file_that_never_held_weights_is_refused_with_what_it_is(
    name: str, content: bytes, problem: str, tmp_path: Path, splits: SearchSplits
) -> None:
    (tmp_path / name).write_bytes(content)
    weights = in_folder(tmp_path)["test_resnet"]
    with pytest.raises(ModelError, match=rf"{name}' cannot be used for 'test_resnet' \({problem}"):
        verify(weights, model_arguments(Recipe("test_resnet", lr=0.1), splits.info, weights))


@pytest.mark.parametrize(
    ("value", "problem"), [(float("nan"), "not finite numbers"), (-1.0, "variances below 0")]
)
def test_statistics_of_batch_norm_that_are_none_are_refused(
    value: float, problem: str, tmp_path: Path, splits: SearchSplits
) -> None:
    file = tmp_path / "test_resnet.safetensors"
    values = save_weights(file, "test_resnet")
    values["layer1.0.bn1.running_var"][0] = value
    save_file(values, file)
    weights = in_folder(tmp_path)["test_resnet"]
    with pytest.raises(ModelError, match=f"'layer1.0.bn1.running_var' are {problem}"):
        verify(weights, model_arguments(Recipe("test_resnet", lr=0.1), splits.info, weights))


def test_weights_of_a_quantised_network_are_refused(tmp_path: Path, splits: SearchSplits) -> None:
    file = tmp_path / "test_resnet.safetensors"
    values = save_weights(file, "test_resnet")
    save_file({name: (100 * value).to(torch.int8) for name, value in values.items()}, file)
    weights = in_folder(tmp_path)["test_resnet"]
    with pytest.raises(ModelError, match="all its values are whole numbers"):
        verify(weights, model_arguments(Recipe("test_resnet", lr=0.1), splits.info, weights))


def test_weights_that_are_not_finite_are_refused(tmp_path: Path, splits: SearchSplits) -> None:
    file = tmp_path / "test_resnet.safetensors"
    values = save_weights(file, "test_resnet")
    values["layer1.0.conv1.weight"][0] = float("nan")
    save_file(values, file)
    weights = in_folder(tmp_path)["test_resnet"]
    with pytest.raises(ModelError, match="'layer1.0.conv1.weight' are not finite numbers"):
        verify(weights, model_arguments(Recipe("test_resnet", lr=0.1), splits.info, weights))


@pytest.mark.parametrize("name", ["test_resnet.safetensors", "test_resnet.pth"])
def test_damaged_file_is_refused_by_name(name: str, tmp_path: Path, splits: SearchSplits) -> None:
    (tmp_path / name).write_bytes(b"\x00" * 64)
    weights = in_folder(tmp_path)["test_resnet"]
    with pytest.raises(ModelError, match=rf"{name}' cannot be used for 'test_resnet'"):
        build_model(Recipe("test_resnet", lr=0.1), splits.info, weights=weights)


def test_pickle_with_code_in_it_is_refused(tmp_path: Path, splits: SearchSplits) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"fc.weight": Evil()}, tmp_path / "test_resnet.pth")
    weights = in_folder(tmp_path)["test_resnet"]
    with pytest.raises(ModelError, match="test_resnet.pth"):
        build_model(Recipe("test_resnet", lr=0.1), splits.info, weights=weights)
    assert not (tmp_path / "ran").exists()


def test_folder_without_weights_says_what_it_should_hold(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none here")
    (tmp_path / "no_such_model.safetensors").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"must hold files such as resnet18.safetensors .* but holds none"):
        in_folder(tmp_path)


def test_weights_as_they_are_drawn_with_a_usual_seed_are_weights(
    tmp_path: Path, splits: SearchSplits
) -> None:
    recipe = Recipe("test_vit", lr=0.1, pretrained=True)
    (tmp_path / "test_vit.safetensors").write_bytes(b"")
    weights = in_folder(tmp_path)["test_vit"]
    arguments = model_arguments(recipe, splits.info, weights)
    torch.manual_seed(0)
    save_file(import_timm().create_model("test_vit", **arguments).state_dict(), weights.file)
    found = verify(weights, arguments).state_dict()
    assert torch.equal(found["blocks.0.attn.qkv.weight"], load_file(weights.file)["blocks.0.attn.qkv.weight"])


def test_folder_may_be_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_weights(tmp_path / "w" / "test_resnet.safetensors", "test_resnet")
    monkeypatch.chdir(tmp_path)
    assert in_folder("w")["test_resnet"].file == tmp_path / "w" / "test_resnet.safetensors"


def test_two_files_of_one_name_are_refused_and_those_of_two_tags_are_not(tmp_path: Path) -> None:
    save_weights(tmp_path / "test_resnet.safetensors", "test_resnet")
    save_weights(tmp_path / "test_resnet.r160_in1k" / "model.safetensors", "test_resnet")
    assert list(in_folder(tmp_path)) == ["test_resnet.r160_in1k", "test_resnet"]
    save_weights(tmp_path / "test_resnet.pth", "test_resnet")
    with pytest.raises(ModelError, match="one file for each name.*for 'test_resnet'; keep one"):
        in_folder(tmp_path)


def test_wrong_config_beside_other_weights_is_a_problem_and_no_end(tmp_path: Path) -> None:
    save_weights(tmp_path / "test_resnet.safetensors", "test_resnet")
    save_weights(tmp_path / "other" / "model.safetensors", "test_vit")
    (tmp_path / "other" / "config.json").write_text('{"model_type": "vit"}')
    problems: list[str] = []
    assert list(in_folder(tmp_path, problems)) == ["test_resnet"]
    assert len(problems) == 1 and "must name its timm model as `architecture`" in problems[0]
    with pytest.raises(ModelError, match="must name its timm model"):
        in_folder(tmp_path)
    with pytest.raises(ModelError, match="must name its timm model"):
        in_folder(tmp_path / "other", [])


@pytest.mark.parametrize("place", ["", "hub"])
@pytest.mark.parametrize("main", [True, False])
def test_folder_may_be_a_copy_of_the_hubs_cache(place: str, main: bool, tmp_path: Path) -> None:
    repository = tmp_path / place / "models--timm--test_resnet.r160_in1k"
    save_weights(repository / "snapshots" / "abc" / "pytorch_model.bin", "test_resnet")
    if main:
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("abc")
    for folder in (tmp_path, repository):
        (weights,) = in_folder(folder).values()
        assert weights.model == "test_resnet.r160_in1k" and weights.licence == "apache-2.0"
        assert weights.file == repository / "snapshots" / "abc" / "pytorch_model.bin"


def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must be in a folder or a file, but"):
        in_folder(tmp_path / "weights")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "must be JSON as timm writes it"),
        ("[]", "must name its timm model"),
        ('{"architecture": "resnet99"}', "names 'resnet99', which timm does not have"),
        ('{"architecture": "resnet18", "pretrained_cfg": {"mean": ["x"]}}', "must have numbers as mean"),
        (
            '{"architecture": "resnet18", "pretrained_cfg": 5}',
            "must hold an object as `pretrained_cfg`, not 5",
        ),
        ('{"architecture": "resnet18", "pretrained_cfg": "x"}', "must hold an object as `pretrained_cfg`"),
        ('{"architecture": "resnet18", "model_args": [1]}', "must hold an object as `model_args`"),
    ],
)
def test_config_beside_weights_that_cannot_be_used_is_named(
    content: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelError, match=problem):
        in_folder(tmp_path)


def test_configuration_without_its_weights_does_not_start_from_scratch(tmp_path: Path) -> None:
    assert weights_for(Recipe("test_resnet", lr=0.1), {}) is None
    with pytest.raises(ModelError, match="needs pretrained weights of 'test_resnet', but there are none"):
        weights_for(Recipe("test_resnet", lr=0.1, pretrained=True), {})


def test_weights_in_the_hubs_cache_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--timm--test_resnet.r160_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    save_weights(repository / "snapshots" / "abc" / "model.safetensors", "test_resnet")
    found = in_caches(["test_resnet", "test_vit"])
    assert list(found) == ["test_resnet"]
    assert found["test_resnet"].model == "test_resnet.r160_in1k" and found["test_resnet"].source == "cache"
    arguments = {"num_classes": 2, "in_chans": 3}
    verify(found["test_resnet"], arguments)


def test_weights_in_a_cache_of_the_hub_without_refs_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshots = tmp_path / "models--timm--test_resnet.r160_in1k" / "snapshots"
    (snapshots / "unfinished").mkdir(parents=True)
    assert not in_caches(["test_resnet"])
    save_weights(snapshots / "abc" / "model.safetensors", "test_resnet")
    assert in_caches(["test_resnet"])["test_resnet"].file == snapshots / "abc" / "model.safetensors"


def test_weights_in_torchs_cache_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    url = import_timm().models.get_pretrained_cfg("resnet18.tv_in1k").url
    save_weights(tmp_path / "checkpoints" / url.rpartition("/")[2], "resnet18")
    assert in_caches(["resnet18"])["resnet18"].model == "resnet18.tv_in1k"
