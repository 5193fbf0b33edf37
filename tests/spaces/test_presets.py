"""What the presets promise."""

from __future__ import annotations

import pytest
import torch

from automl.errors import SpaceError
from automl.spaces import SearchSpace, capabilities, presets
from automl.spaces.architectures.families import table
from automl.spaces.narrow import narrowed
from automl.torch_setup import import_timm

_MODELS = sorted({(m, p) for p in presets() for ms in SearchSpace.load(p).families.values() for m in ms})


def test_presets_are_there() -> None:
    assert presets() == ["accuracy", "cpu", "default", "mobile", "small", "smoke", "transformers"]


def test_default_offers_more_than_twenty_families() -> None:
    assert len(SearchSpace.load("default").families) >= 20


def test_limits_of_the_mobile_preset_leave_out_larger_models() -> None:
    spec = SearchSpace.load("mobile").to_dict()
    assert all(capabilities(m).params <= 6 for ms in SearchSpace.load("mobile").families.values() for m in ms)
    spec["families"]["resnet"] = ["resnet10t", "resnet18"]
    with pytest.raises(SpaceError, match="no model of 'resnet10t', 'resnet18' keeps within the limits"):
        SearchSpace.from_dict(spec).check_models()


@pytest.mark.parametrize("name", presets())
def test_preset_describes_itself_and_has_something_to_begin_with(name: str) -> None:
    space = SearchSpace.load(name)
    assert space.description.endswith(".")
    assert space.portfolio
    assert set(space.families) == set(space.patterns)


@pytest.mark.parametrize("name", ["cpu", "small", "default"])
def test_preset_covers_all_kinds_of_networks(name: str) -> None:
    families = SearchSpace.load(name).families
    assert len(families) >= 8
    for kind in ({"resnet", "convnext"}, {"mobilenetv3", "mobilenetv4"}, {"vit"}, {"mobilevit", "edgenext"}):
        assert kind <= set(families)


@pytest.mark.parametrize(("model", "preset"), _MODELS)
def test_every_model_is_in_the_table_and_fits_its_preset(model: str, preset: str) -> None:
    assert model in table()
    assert capabilities(model).min_size <= (32 if preset in ("cpu", "small", "smoke") else 96)


@pytest.mark.parametrize("name", presets())
def test_drop_path_is_searched_only_where_it_is_taken(name: str) -> None:
    space = SearchSpace.load(name)
    (drop_path,) = space.parameters["drop_path"]
    (condition,) = drop_path.when
    assert condition[0] == "family"
    for family in condition[1]:
        assert all(capabilities(model).drop_path for model in space.families[str(family)])


@pytest.mark.parametrize("name", presets())
def test_pooling_is_searched_only_where_both_ways_are_taken_and_begins_with_that_of_the_weights(
    name: str,
) -> None:
    space = SearchSpace.load(name)
    for family, members in space.families.items():
        for model in members:
            config = {"family": family, "model": model, "pretrained": True}
            active = [one for one in space.parameters.get("global_pool", ()) if one.is_active(config)]
            first = [getattr(one, "choices", [""])[0] for one in active[:1]]
            assert first == [capabilities(model).pool] * bool(capabilities(model).pool)


def test_cpu_preset_has_larger_networks_with_weights_only() -> None:
    space = SearchSpace.load("cpu")
    scratch = narrowed(space, pretrained=False)
    left = {model for members in scratch.families.values() for model in members}
    larger = {model for members in space.families.values() for model in members} - left
    assert {"resnet50", "edgenext_small", "efficientvit_b1", "tf_efficientnet_lite0"} < larger
    assert all(capabilities(model).weights for model in larger)
    assert (
        max(capabilities(model).macs for model in left)
        < 2.0
        <= max(capabilities(m).macs for m in larger)
        < 4.2
    )
    assert scratch.families["resnet"] == ("resnet10t", "resnet14t", "resnet18")
    assert "global_pool" not in scratch.parameters and not {"tiny_vit", "efficientnet_lite"} & set(
        scratch.families
    )


def test_every_optimizer_exists_and_has_its_ranges() -> None:
    known = import_timm().optim.list_optimizers()
    for name in presets():
        space = SearchSpace.load(name)
        for opt in ("adamw", "sgd", "momentum", "lamb"):
            assert opt in known
            for key in ("lr", "weight_decay"):
                assert sum(variant.is_active({"opt": opt}) for variant in space.parameters[key]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", [model for model, preset in _MODELS if preset in ("cpu", "smoke")])
def test_tiny_model_learns_from_32_px(model: str) -> None:
    can = capabilities(model)
    size = {"img_size": 32} if can.img_size else {}
    patch = {"patch_size": 4} if can.patch_size > 4 else {}
    built = import_timm().create_model(model, num_classes=3, in_chans=1, **size, **patch)
    result = built(torch.zeros(2, 1, 32, 32))
    result.sum().backward()
    assert result.shape == (2, 3)
    assert bool(result.isfinite().all())
