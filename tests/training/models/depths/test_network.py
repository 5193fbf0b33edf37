"""Networks with features of all depths: their logits, threads, copies, files and what files may not say."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from automl.errors import ModelError
from automl.final.ensemble.network import Member
from automl.final.use.embed import pooled_features
from automl.spaces.architectures.factories import ALL_DEPTHS, FOUND_DEPTHS, create, is_built_in
from automl.torch_setup import import_timm
from automl.training.models.depths.network import AllDepths, all_depths, with_all_depths
from automl.training.models.depths.taps import Tap, layer_names
from automl.training.models.finetune import Classifier

ARGUMENTS = {"num_classes": 3, "in_chans": 3}


def made(name: str = "test_resnet", side: int = 64, **keywords: Any) -> AllDepths:
    torch.manual_seed(0)
    network = import_timm().create_model(name, **ARGUMENTS).eval()
    found = with_all_depths(network, name, ARGUMENTS, side=side, **keywords)
    assert found is not None
    nn.init.normal_(found.side.weight)
    return found.eval()


def by_hand(model: AllDepths, images: Tensor) -> Tensor:
    """Mean and deviation of the maps of each tap, read from the network by itself."""
    maps: list[Tensor] = []
    inner = dict(model.network.named_modules())
    handles = [
        inner[tap.name].register_forward_hook(lambda _, __, output: maps.append(output)) for tap in model.taps
    ]
    with torch.no_grad():
        model.network(images)
    for handle in handles:
        handle.remove()
    flat = [each.flatten(2) for each in maps]
    return torch.cat(
        [part for each in flat for part in (each.mean(2), (each.var(2, correction=0) + 1e-6).sqrt())], dim=1
    )


def test_logits_are_those_of_the_classifier_and_of_the_layer_on_pooled_maps() -> None:
    model, images = made(), torch.rand(4, 3, 64, 64)
    assert [tap.name for tap in model.taps] == ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]
    with torch.no_grad():
        expected = model.network(images) + by_hand(model, images) @ model.side.weight.T
        assert torch.allclose(model(images), expected, atol=1e-3, rtol=1e-3)


def test_threads_that_share_a_network_do_not_mix_their_images() -> None:
    model, images = made(), torch.rand(40, 1, 3, 64, 64)
    with torch.inference_mode():
        expected = [model(each) for each in images]
    with ThreadPoolExecutor(4) as pool, torch.inference_mode():
        found = list(pool.map(model, images))
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(found, expected, strict=True))


def test_a_copy_reads_its_own_layers_and_the_released_network_none() -> None:
    model, images = made(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected, alone = model(images), model.network(images)
        copied = copy.deepcopy(model)
        released = model.released()
        assert torch.allclose(copied(images), expected, atol=1e-5)
        assert torch.equal(released(images), alone)
    assert not any(module._forward_hooks for module in released.modules())


def test_network_of_tokens_has_features_of_them() -> None:
    model = made("test_vit2", side=64)
    assert all(tap.last for tap in model.taps) and model.side.in_features == 2 * 64 * len(model.taps)
    with torch.no_grad():
        assert model(torch.rand(2, 3, 64, 64)).shape == (2, 3)


@pytest.mark.parametrize(("most", "every"), [(10_000, 1), (2 * (48 + 96), 2)])
def test_features_are_at_most_so_many(most: int, every: int) -> None:
    model = made(most=most)
    assert model.every == every and model.side.in_features <= most
    assert model.taps[-1].name == "layer4.0"


def test_network_that_does_not_describe_its_layers_has_none() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert with_all_depths(network, "own", ARGUMENTS, side=32) is None


def test_classifier_has_the_features_of_all_depths_first() -> None:
    model, images = made(), torch.rand(2, 3, 64, 64)
    classifier = Classifier.of(model)
    assert classifier is not None
    wide, last = model.side.in_features, model.get_classifier().in_features
    assert (classifier.side_width, classifier.last_width, classifier.width) == (wide, last, wide + last)
    weight, bias = torch.randn(3, wide + last), torch.randn(3)
    classifier.put(weight, bias)
    assert torch.equal(classifier.weight, weight) and torch.equal(classifier.bias, bias)
    with torch.no_grad():
        features = torch.cat([by_hand(model, images), pooled_features(model, images)], dim=1)
        assert torch.allclose(model(images), features @ weight.T + bias, atol=1e-3, rtol=1e-3)


def test_what_a_folder_says_builds_it_again() -> None:
    model, images = made(), torch.rand(2, 3, 64, 64)
    assert is_built_in(ALL_DEPTHS) and not is_built_in(FOUND_DEPTHS)  # it would run the network of a stranger
    found = {"network": "test_resnet", "taps_every": 1, "input_side": 64, **ARGUMENTS}
    for name, arguments in ((ALL_DEPTHS, model.folder_arguments), (FOUND_DEPTHS, found)):
        built = create(name, **arguments).eval()
        built.load_state_dict(model.state_dict())
        with torch.no_grad():
            assert torch.equal(built(images), model(images))


def test_keywords_of_the_network_do_not_mix_with_those_of_the_taps() -> None:
    arguments = {**ARGUMENTS, "layers": [1, 1, 1, 1]}
    network = import_timm().create_model("resnet18", **arguments)
    model = with_all_depths(network, "resnet18", arguments, side=64)
    assert model is not None and len(model.taps) == 4
    assert all_depths(**model.folder_arguments).state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": "os.system"}, "no architecture"),
        ({"network": 3}, "no architecture"),
        ({"taps_every": 0}, "count"),
        ({"taps_every": True}, "count"),
        ({"taps": [0, 1]}, "one length"),
        ({"taps": "abcd"}, "one length"),
        ({"taps": None}, "one length"),
        ({"taps": [0, 1, 2, 99]}, "places among"),
        ({"taps": [0, 1, 2, -1]}, "places among"),
        ({"taps": [0, 1, 2, 2]}, "must differ"),
        ({"taps_widths": [1, 2, 3, -4]}, "counts"),
        ({"taps_widths": [1, 2, 3, 1.5]}, "counts"),
        ({"taps_last": [0, 0, 0, 0]}, "true or false"),
        ({"checkpoint_path": "weights"}, "plain words"),
    ],
)
def test_what_is_no_such_network_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        all_depths(**{**made().folder_arguments, **change})


def test_layers_that_put_out_something_else_are_named() -> None:
    model = made()
    broken = AllDepths(model.released(), "test_resnet", ARGUMENTS, [Tap("fc", 1, False)], 1)
    with pytest.raises(ModelError, match="'fc' has no maps"):
        broken(torch.rand(2, 3, 64, 64))
    unused = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    unused.add_module("never", nn.Identity())
    unused.forward = lambda images: unused[1](unused[0](images))  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="not all layers"):
        AllDepths(unused, "own", ARGUMENTS, [Tap("never", 3, False)], 1)(torch.rand(2, 3, 2, 2))


def test_module_around_others_is_no_layer_of_its_own() -> None:
    network = import_timm().create_model("test_convnext")
    names = layer_names(network)
    assert not any(other.startswith(f"{name}.") for name in names for other in names)


def test_embedding_is_that_of_the_network() -> None:
    model, images = made(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(pooled_features(model, images), pooled_features(model.network, images))
    with pytest.raises(ModelError):
        pooled_features(nn.Linear(3, 3), images)


def test_it_can_be_exported() -> None:
    model, images = made(), torch.rand(2, 3, 64, 64)
    program = torch.export.export(model, (images,), strict=False)
    with torch.no_grad():
        assert torch.allclose(program.module()(images), model(images), atol=1e-4)


def test_it_may_be_a_member_of_an_ensemble() -> None:
    model = made()
    row = {"architecture": ALL_DEPTHS, "arguments": model.folder_arguments, "side": 64, "stored": 64}
    member = Member.read({**row, "mean": [0.5] * 3, "std": [0.5] * 3, "weight": 1.0})
    assert member.build().state_dict().keys() == model.state_dict().keys()
