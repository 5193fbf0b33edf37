"""What timm's models take."""

from __future__ import annotations

import pytest

from automl.errors import SpaceError
from automl.spaces.architectures.families import capabilities, expand, require_model, table
from automl.spaces.architectures.measure import measure
from automl.torch_setup import import_timm


@pytest.mark.parametrize(
    "model",
    ["resnet10t", "vit_tiny_patch16_224", "ghostnet_050", "mobilevit_xxs", "test_vit", "convnext_atto"],
)
def test_table_says_what_building_shows(model: str) -> None:
    assert table()[model] == measure(model)


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(name for name, row in table().items() if row.params < 8)[::3])
def test_every_third_small_row_of_the_table_says_what_building_shows(model: str) -> None:
    assert table()[model] == measure(model)


def test_known_differences_between_families_are_in_the_table() -> None:
    assert not capabilities("resnet18").img_size
    assert not capabilities("convnext_atto").img_size
    assert not capabilities("ghostnet_100").drop_path
    assert capabilities("vit_tiny_patch16_224").patch_size == 16
    assert capabilities("swin_tiny_patch4_window7_224").patch_size == 4
    assert capabilities("convnext_atto").patch_size == 4
    assert not capabilities("resnet18").patch_size
    assert not capabilities("ghostnet_050").weights
    assert capabilities("resnet18").weights == "a1_in1k"
    assert capabilities("resnet18").macs == pytest.approx(1.81, abs=0.01)  # as He et al. 2016 count it
    assert capabilities("resnet18").channels == (64, 128, 256, 512)


def test_networks_whose_weights_fit_one_size_are_in_the_table() -> None:
    known = {"efficientformerv2_s0", "efficientformerv2_s1", "gmlp_s16_224", "resmlp_12_224"}
    assert {name for name, row in table().items() if row.one_size} == known
    assert measure("efficientformerv2_s0") == table()["efficientformerv2_s0"]


def test_transformers_that_pool_in_two_ways_are_in_the_table() -> None:
    assert (capabilities("vit_tiny_patch16_224").pool, capabilities("eva02_tiny_patch14_224").pool) == (
        "token",
        "avg",
    )
    assert capabilities("vit_tiny_patch16_224").pool_norm == {"fc_norm": False}
    for model in ("test_vit2", "tiny_vit_5m_224", "pvt_v2_b0", "resnet18", "resmlp_12_224"):
        assert not capabilities(model).pool, model  # no class token, or none that is left out
    assert not measure("deit_tiny_distilled_patch16_224").pool  # it has two tokens with a classifier each


def test_network_whose_token_is_an_input_of_a_layer_is_measured() -> None:
    row = measure("cait_xxs24_224")
    assert row.macs == pytest.approx(2.53, abs=0.05)  # as Touvron et al. 2021 count it
    assert row.pool == "token"


@pytest.mark.parametrize("model", ["resnet18", "vit_tiny_patch16_224", "ghostnet_050"])
def test_timm_accepts_what_the_table_says_and_refuses_the_rest(model: str) -> None:
    timm, can = import_timm(), capabilities(model)
    for keyword, value, taken in (("img_size", 32, can.img_size), ("drop_path_rate", 0.1, can.drop_path)):
        if taken:
            assert timm.create_model(model, **{keyword: value}) is not None
        else:
            with pytest.raises(TypeError, match=keyword):
                timm.create_model(model, **{keyword: value})


def test_model_beyond_the_table_is_measured_once() -> None:
    first = capabilities("test_convnext")
    assert "test_convnext" not in table()
    assert first.drop_path
    assert not first.img_size
    assert capabilities("test_convnext") is first


def test_model_that_cannot_learn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.spaces.architectures.measure._SIZES", ())
    with pytest.raises(SpaceError, match="'test_resnet' must train on square RGB images"):
        measure("test_resnet")


def test_unknown_model_names_the_closest() -> None:
    with pytest.raises(SpaceError, match="unknown model 'resnt50': did you mean 'resnet50'"):
        require_model("resnt50")
    with pytest.raises(SpaceError, match="unknown model 'resnt50'"):
        capabilities("resnt50")


def test_models_and_patterns_expand_in_order_without_doubles() -> None:
    assert expand(("resnet18", "resnet1[04]t", "resnet10t")) == ("resnet18", "resnet10t", "resnet14t")
