"""Features of a frozen network: threads and precisions agree, the faster one is taken, the network stays as it is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from automl.torch_setup import import_timm
from automl.training.heads.frozen_network import FrozenNetwork
from automl.training.models.finetune import Classifier
from automl.training.plan import Precision


def network(threads: int = 2, name: str = "test_resnet") -> FrozenNetwork:
    torch.manual_seed(0)
    model = import_timm().create_model(name, num_classes=3)
    classifier = Classifier.of(model)
    assert classifier is not None
    return FrozenNetwork(model, classifier, size=32, device="cpu", threads=threads)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext", "mobilenetv4_conv_small"]
)
def test_features_are_the_inputs_of_the_classifier(name: str) -> None:
    images = torch.randn(4, 3, 160, 160)
    model: Any = import_timm().create_model(name, num_classes=3).eval()
    classifier = Classifier.of(model)
    assert classifier is not None
    with FrozenNetwork(model, classifier, size=160, device="cpu", threads=1) as frozen, torch.no_grad():
        assert frozen.ends_in_classifier(images)
        found = frozen(images, mirrored=True)
        assert found.shape == (4, frozen.width)
    with torch.no_grad():
        expected = model(images.flip(3))
        scores = torch.from_numpy(found) @ classifier.weight.T + classifier.bias
        assert torch.allclose(scores, expected, rtol=1e-3, atol=1e-3)


# Two layers on tokens of their own, two behind norms, branches of two widths, a convolution, and one beside another
# layer that adds to the scores.
SEVERAL: dict[str, tuple[int, dict[str, Any]]] = {
    "deit_tiny_distilled_patch16_224": (64, {"img_size": 64}),
    "levit_128s": (224, {}),
    "crossvit_tiny_240": (240, {}),
    "dla46_c": (64, {}),
    "repvit_m0_9": (64, {}),
    "volo_d1_224": (64, {"img_size": 64}),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_scores_of_any_classifier_are_linear_in_the_features(name: str) -> None:
    size, arguments = SEVERAL[name]
    torch.manual_seed(0)
    images = torch.randn(2, 3, size, size)
    model: Any = import_timm().create_model(name, num_classes=3, **arguments).eval()
    classifier = Classifier.of(model)
    assert classifier is not None
    classifier.silence_others()
    weight, bias = torch.randn(3, classifier.width), torch.randn(3)
    with FrozenNetwork(model, classifier, size=size, device="cpu", threads=1) as frozen:
        assert frozen.ends_in_classifier(images)
        found = torch.from_numpy(frozen(images, mirrored=False))
    classifier.put(weight, bias)
    assert torch.allclose(classifier.weight, weight, atol=1e-6) and torch.equal(classifier.bias, bias)
    with torch.no_grad():
        assert torch.allclose(model(images), found @ weight.T + bias, rtol=1e-4, atol=1e-4)


def test_any_number_of_threads_gives_the_same_features(images: Tensor) -> None:
    found = []
    for threads in (1, 2, 3):
        with network(threads) as frozen:
            found += [frozen(images, mirrored=False) for _ in range(4)]  # both ways in turn
    assert all(np.allclose(found[0], other, rtol=1e-4, atol=1e-5) for other in found)


@pytest.mark.parametrize("slow", ["pooled", "together"])
def test_faster_way_to_use_threads_is_kept(
    slow: str, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    for way in ("pooled", "together"):
        run = getattr(FrozenNetwork, f"_{way}")

        def watched(self: FrozenNetwork, *args: Any, way: str = way, run: Any = run) -> Tensor:
            used.append(way)
            time.sleep(0.2 if way == slow else 0.0)
            found: Tensor = run(self, *args)
            return found

        monkeypatch.setattr(FrozenNetwork, f"_{way}", watched)
    with network() as frozen:
        for _ in range(7):
            frozen(images, mirrored=False)
    assert used[:2] == ["pooled", "together"]
    assert used[2:] == 5 * ["together" if slow == "pooled" else "pooled"]


@pytest.mark.parametrize(
    ("seconds", "expected"), [({"fp32": 0.2}, "bf16"), ({"fp32": 0.1, "bf16": 0.1}, "fp32")]
)
def test_bf16_is_taken_only_if_it_is_clearly_faster(
    seconds: dict[str, float], expected: Precision, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = FrozenNetwork._of

    def slowed(self: FrozenNetwork, part: Tensor, mirrored: bool) -> Tensor:
        time.sleep(seconds.get(self.precision, 0.0))
        return of(self, part, mirrored)

    monkeypatch.setattr(FrozenNetwork, "_of", slowed)
    with network() as frozen:

        def measured(n: int, **options: Any) -> Precision:
            frozen.measure(images, n, **options)
            return frozen.precision

        assert measured(1000) == expected
        assert measured(10) == "fp32"  # too little to read for a look
        assert measured(1000, precisions=("bf16",)) == "bf16"


def test_bf16_that_is_far_slower_is_tried_with_one_image_of_each_thread(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    of = FrozenNetwork._of

    def slowed(self: FrozenNetwork, part: Tensor, mirrored: bool) -> Tensor:
        if self.precision == "bf16":
            computed.append(len(part))
            time.sleep(0.3)
        return of(self, part, mirrored)

    monkeypatch.setattr(FrozenNetwork, "_of", slowed)
    with network() as frozen:
        frozen.measure(images, 100_000)
        assert frozen.precision == "fp32"
        assert set(computed) == {1} and len(computed) <= 2 * frozen._threads


def test_slow_network_gets_small_batches(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    of = FrozenNetwork._of

    def slowed(self: FrozenNetwork, part: Tensor, mirrored: bool) -> Tensor:
        time.sleep(0.25 * len(part))
        return of(self, part, mirrored)

    with network() as frozen:
        frozen.measure(images, 10)
        assert frozen.batch_size == 64
        monkeypatch.setattr(FrozenNetwork, "_of", slowed)
        frozen.measure(images, 10)
        assert frozen.batch_size in (2, 4)


def test_network_and_threads_are_left_as_they_were(images: Tensor) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with network() as frozen:
            for _ in range(4):
                frozen(images, mirrored=False)
        assert torch.get_num_threads() == 1
        assert not any(layer._forward_pre_hooks for layer in frozen.classifier.layers)
        assert all(value.is_contiguous() for value in frozen.model.state_dict().values())
    finally:
        torch.set_num_threads(before)
