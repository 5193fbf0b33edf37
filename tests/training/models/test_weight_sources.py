"""Files with weights are found by the names that people have for them, and what is left out is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automl import config
from automl.errors import ModelError
from automl.training.models.weight_sources import in_folder


def put(place: Path) -> Path:
    """A file that is not read here."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"")
    return place


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("resnet18.ckpt", "resnet18"),
        ("resnet18.a1_in1k.pth.tar", "resnet18.a1_in1k"),
        ("resnet50_a1_0-14fe96d1.pth", "resnet50.a1_in1k"),  # as timm published them
        ("resnet18-5c106cde.pth", "resnet18.tv_in1k"),  # and torchvision
        ("resnet18.a1_in1k/epoch=7.ckpt", "resnet18.a1_in1k"),  # the only file in the folder
        ("resnet18/pytorch_model.bin", "resnet18"),
    ],
)
def test_file_is_found_by_the_names_that_it_has_elsewhere(file: str, model: str, tmp_path: Path) -> None:
    place = put(tmp_path / file)
    for given in (tmp_path, place):
        (found,) = in_folder(given).values()
        assert (found.model, found.file) == (model, place)
        assert config.load("digits", pretrained=given).pretrained == str(given)


def test_one_file_may_have_a_config_beside_it(tmp_path: Path) -> None:
    place = put(tmp_path / "mine" / "model.safetensors")
    (place.parent / "config.json").write_text(json.dumps({"architecture": "resnet18"}))
    assert in_folder(place)["resnet18"].file == in_folder(tmp_path)["resnet18"].file == place


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("resnet26.safetensors.part", "resnet26.safetensors.part' is an unfinished download; fetch it again"),
        ("resnet26.pth.crdownload", "resnet26.pth.crdownload' is an unfinished download"),
        ("resnet26.bt_in1k/model.safetensors.part", "resnet26.bt_in1k' is an unfinished download"),
        ("epoch=7.ckpt", "epoch=7.ckpt' is not named after a timm model, as resnet18.safetensors is"),
        (
            "run3/model.safetensors",
            "has no config.json beside it, and its folder is not named after a timm model",
        ),
    ],
)
def test_what_is_left_out_is_told(file: str, problem: str, tmp_path: Path) -> None:
    put(tmp_path / file)
    with pytest.raises(ModelError, match=problem):
        in_folder(tmp_path, [])
    put(tmp_path / "resnet18.pth")
    problems: list[str] = []
    assert list(in_folder(tmp_path, problems)) == ["resnet18"]
    assert len(problems) == 1 and problem in problems[0]


def test_unfinished_download_in_the_hubs_cache_is_told(tmp_path: Path) -> None:
    repository = tmp_path / "models--timm--resnet18.a1_in1k"
    (repository / "snapshots" / "abc").mkdir(parents=True)
    put(repository / "blobs" / "0123.incomplete")
    with pytest.raises(ModelError, match="is an unfinished download"):
        in_folder(tmp_path)


def test_several_files_in_the_folder_of_a_model_are_refused(tmp_path: Path) -> None:
    for name in ("one.pth", "two.pth"):
        put(tmp_path / "resnet18" / name)
    with pytest.raises(
        ModelError, match="must hold one file with weights, but holds 'one.pth' and 'two.pth'; keep one"
    ):
        in_folder(tmp_path)


def test_other_files_are_ignored(tmp_path: Path) -> None:
    for name in ("resnet18.pth", "README.md", "logs/train.txt", "checkpoints/a.pth", "checkpoints/b.pth"):
        put(tmp_path / name)
    problems: list[str] = []
    assert list(in_folder(tmp_path, problems)) == ["resnet18"] and problems == []
