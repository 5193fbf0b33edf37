"""Licences of published weights: which are allowed, and which those of the presets have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from automl.spaces import SearchSpace, capabilities, presets
from automl.torch_setup import import_timm
from automl.training.models.pretrained_weights import licence_of
from automl.training.models.weight_sources import in_folder, published
from automl.training.published.licences import is_allowed
from tests.training.models.test_pretrained_weights import save_weights

_MODELS = sorted({m for p in presets() for ms in SearchSpace.load(p).families.values() for m in ms})
# Networks of the presets whose weights the default leaves out.
_RESTRICTED = {
    "cc-by-nc-4.0": {"convnextv2_atto", "convnextv2_nano", "convnextv2_tiny"},
    "dinov3-license": {
        "convnext_tiny.dinov3_lvd1689m",
        "vit_small_patch16_dinov3",
        "vit_small_plus_patch16_dinov3",
    },
    "cvnets-license": {"mobilevit_xxs", "mobilevit_xs", "mobilevitv2_050", "mobilevitv2_100"},
}


@pytest.mark.parametrize(
    ("licence", "asked", "allowed"),
    [
        ("apache-2.0", "permissive", True),
        ("bsd-3-clause", "permissive", True),
        ("cc-by-4.0", "permissive", True),
        ("cc-by-nc-4.0", "permissive", False),
        ("unknown", "permissive", False),
        ("dinov3-license", "any", True),
        ("dinov3-license", "permissive,dinov3-license", True),
        ("apache-2.0", "mit", False),
        ("MIT", "mit", True),
        ("", "mit", True),  # a user's own file
    ],
)
def test_licence_is_allowed_by_its_name_or_its_kind(licence: str, asked: str, allowed: bool) -> None:
    assert is_allowed(licence, asked) is allowed


@pytest.mark.parametrize("model", _MODELS)
def test_table_has_the_licence_that_timm_tells(model: str) -> None:
    told = [licence_of(cfg) for cfg in published(model).values()]
    assert capabilities(model).licence == (told[0] if told else "")


def test_weights_of_the_presets_are_permissive_but_for_known_ones() -> None:
    restricted: dict[str, set[str]] = {}
    for model in _MODELS:
        licence = capabilities(model).licence
        if not is_allowed(licence, "permissive"):
            restricted.setdefault(licence, set()).add(model)
    assert restricted == _RESTRICTED


def test_every_tag_in_a_preset_is_one_that_timm_has() -> None:
    known = set(import_timm().list_pretrained())
    assert {model for model in _MODELS if "." in model} <= known


def test_own_file_with_a_tag_has_the_licence_of_these_published_weights(tmp_path: Path) -> None:
    tags = "convnextv2_atto.fcmae_ft_in1k", "resnet18.mine", "vit_small_patch16_dinov3.lvd1689m"
    for tag in tags:
        (tmp_path / f"{tag}.safetensors").write_bytes(b"")
    found = in_folder(tmp_path)
    assert [found[tag].licence for tag in tags] == ["cc-by-nc-4.0", "", "dinov3-license"]
    assert found[tags[0]].origin == f"https://huggingface.co/timm/{tags[0]}" and found[tags[1]].origin == ""


def test_own_file_has_the_licence_that_its_config_states_or_none(tmp_path: Path) -> None:
    save_weights(tmp_path / "test_vit.safetensors", "test_vit")
    save_weights(tmp_path / "mine" / "model.safetensors", "test_resnet")
    told = {"tag": "r160_in1k", "license": "cc-by-nc-4.0", "origin_url": "https://example.org/mine"}
    said = {"architecture": "test_resnet", "pretrained_cfg": told}
    (tmp_path / "mine" / "config.json").write_text(json.dumps(said))
    found = in_folder(tmp_path)
    assert found["test_vit"].about() == {
        "weights": "test_vit",
        "licence": "of your file",
        "source": "folder",
        "origin": "",
    }
    assert found["test_resnet.r160_in1k"].about() == {
        "weights": "test_resnet.r160_in1k",
        "licence": "cc-by-nc-4.0",
        "source": "folder",
        "origin": "https://example.org/mine",
    }
