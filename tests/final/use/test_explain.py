"""Where a network looks."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from automl.errors import DataError, ModelError
from automl.final.predictor import Predictor
from automl.final.use.explain import _layer, heat_map, on_image
from automl.spaces import SearchSpace, capabilities, presets
from automl.torch_setup import import_timm
from automl.training.models.depths.network import with_all_depths
from tests.final.use.literals import INFO, Plain

SIDE = 24


def squares(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey noise (n, SIDE, SIDE), half of it with a bright square; labels; and the upper left corners."""
    rng = np.random.default_rng(seed)
    images = rng.integers(60, 120, (n, SIDE, SIDE), dtype=np.uint8)
    labels, corners = np.arange(n) % 2, rng.integers(0, SIDE - 8, (n, 2))
    for i in np.flatnonzero(labels):
        top, left = corners[i]
        images[i, top : top + 8, left : left + 8] = 250
    return images, labels, corners


@pytest.fixture(scope="module")
def taught() -> Predictor:
    """A network that has learnt that a bright square means "bright"."""
    torch.manual_seed(0)
    network = Plain()
    images, labels, _ = squares(128, seed=0)
    pixels = (torch.from_numpy(images)[:, None].float() / 255 - 0.5) / 0.25
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        loss = functional.cross_entropy(network(pixels), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    optimizer.zero_grad()
    predictor = Predictor(network, replace(INFO, img_size=SIDE), SIDE)
    scores = predictor.predict_proba(images[..., None])
    assert (scores.argmax(axis=1) == labels).mean() > 0.95
    return predictor


def test_square_that_decides_lights_up(taught: Predictor) -> None:
    images, labels, corners = squares(20, seed=1)
    for image, (top, left) in zip(images[labels == 1], corners[labels == 1], strict=True):
        heat = taught.explain(image, "bright")
        assert heat.shape == (SIDE, SIDE) and heat.dtype == np.float32
        assert heat.min() >= 0.0 and heat.max() == pytest.approx(1.0, abs=1e-5)
        inside = np.zeros_like(heat, dtype=bool)
        inside[max(0, top - 1) : top + 9, max(0, left - 1) : left + 9] = True
        assert inside.flat[heat.argmax()]
        assert heat[inside].mean() > 3 * heat[~inside].mean()


def test_map_has_the_place_and_size_of_the_image_that_was_given(taught: Predictor) -> None:
    image = np.full((60, 100), 90, dtype=np.uint8)
    image[10:30, 60:80] = 250  # within the central square
    heat = taught.explain(image, "bright")
    assert heat.shape == (60, 100)
    assert not heat[:, :20].any() and not heat[:, 80:].any()  # cut off
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 8 <= row < 32 and 58 <= column < 80
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(image).save(turned, "PNG", exif=exif)
    upright = taught.explain(turned.getvalue(), "bright")
    assert upright.shape == (100, 60)
    row, column = np.unravel_index(upright.argmax(), upright.shape)
    assert 58 <= row < 82 and 28 <= column < 52
    assert taught.explain(Image.fromarray(image), "bright").shape == (60, 100)


def test_squeezed_map_covers_the_whole_image() -> None:
    heat = torch.zeros(4, 4)
    heat[:, 3] = 1.0
    squeezed, cropped = on_image(heat, 40, 20, "squeeze"), on_image(heat, 40, 20, "crop")
    assert squeezed[:, 35:].min() > 0.9 and squeezed[:, :20].max() == 0.0
    assert cropped[:, 28:30].min() > 0.9 and not cropped[:, 30:].any()


def test_label_is_the_highest_by_default_and_checked(taught: Predictor) -> None:
    images, labels, _ = squares(8, seed=2)
    image = images[labels == 1][0]
    np.testing.assert_array_equal(taught.explain(image), taught.explain(image, "bright"))
    assert not np.array_equal(taught.explain(image, "dark"), taught.explain(image, "bright"))
    with pytest.raises(DataError, match=r"unknown label 'brigth': did you mean 'bright'\?"):
        taught.explain(image, "brigth")
    with pytest.raises(DataError, match="an explanation is of one image, got several"):
        taught.explain(images[..., None])
    with pytest.raises(DataError, match="an explanation is of one image, got none"):
        taught.explain([])


def test_weights_and_predictions_are_as_before(taught: Predictor) -> None:
    images, _, _ = squares(4, seed=3)
    before = taught.predict_proba(images[..., None])
    taught.explain(images[1])
    assert all(weight.requires_grad and weight.grad is None for weight in taught.model.parameters())
    assert not any(module._forward_hooks for module in taught.model.modules())
    np.testing.assert_array_equal(taught.predict_proba(images[..., None]), before)


def test_network_without_a_map_is_refused() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(ModelError, match="no layer of Sequential has one"):
        Predictor(flat, INFO, 8).explain(np.zeros((8, 8), dtype=np.uint8))


SMALLEST = sorted(
    {
        min(members, key=lambda model: capabilities(model).params)
        for preset in presets()
        for members in SearchSpace.load(preset).families.values()
    }
)


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALLEST)
def test_smallest_of_each_family_has_a_map(model: str) -> None:
    torch.manual_seed(0)
    side = capabilities(model).input_size
    network = import_timm().create_model(model.partition(".")[0], num_classes=3).eval()
    found = network.get_classifier()  # two layers where the network was distilled
    for layer in found if isinstance(found, tuple) else (found,):
        nn.init.normal_(next(layer.parameters()))  # some begin with zeros
    image = torch.randn(1, 3, side, side)
    heat = heat_map(network, image, lambda out: out[0, 1])
    assert heat.shape == (side, side) and bool(torch.isfinite(heat).all())
    assert heat.min() >= 0.0 and heat.max() == pytest.approx(1.0)
    assert heat.std() > 0.0  # it tells places apart


def test_transformer_with_features_from_all_depths_is_explained_by_the_same_layer() -> None:
    network = import_timm().create_model("test_vit2", num_classes=2).eval()
    images = torch.rand(1, 3, 64, 64)
    expected = _layer(network, images)
    found = with_all_depths(network, "test_vit2", {"num_classes": 2, "in_chans": 3}, side=64)
    assert found is not None and _layer(found, images) is expected
