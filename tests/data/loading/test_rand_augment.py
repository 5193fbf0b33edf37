"""Operations drawn for each image."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from automl.data.loading.augment import Augment
from automl.data.loading.rand_augment import OPERATIONS, affine, levels, rand_augment

_ZERO = torch.zeros(1)
_ONE = torch.ones(1)


def _smooth(n: int = 4, size: int = 32, channels: int = 3) -> Tensor:
    rough = torch.rand((n, channels, 6, 6), generator=torch.Generator().manual_seed(0)) * 255
    return torch.nn.functional.interpolate(rough, size=(size, size), mode="bilinear")


def _only(name: str, level: float, n: int = 4) -> Tensor:
    found = torch.zeros((n, len(OPERATIONS)))
    found[:, OPERATIONS.index(name)] = level
    return found


def test_levels_follow_the_magnitude_and_name_at_most_two_operations() -> None:
    draw = torch.rand((2000, 4), generator=torch.Generator().manual_seed(0))
    found = levels(draw, 0.4)
    assert found.shape == (2000, len(OPERATIONS))
    assert 0.39 < float(found.abs().max()) < 0.4001
    assert int((found != 0).sum(1).max()) == 2
    share = (found != 0).float().mean(0)
    assert bool(((share > 0.1) & (share < 0.2)).all()), (
        "each is drawn as often as the others: 1 - (12 / 13)^2"
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_levels_of_zero_change_nothing(channels: int) -> None:
    images = _smooth(channels=channels)
    result = rand_augment(images, torch.zeros((4, len(OPERATIONS))))
    assert torch.allclose(result, images, atol=1e-3)
    assert result is not images


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "identity"])
@pytest.mark.parametrize("level", [-0.8, 0.8])
def test_every_operation_changes_only_the_images_that_drew_it(name: str, level: float) -> None:
    images = _smooth()
    chosen = _only(name, level)
    chosen[1] = 0
    before = images.clone()
    result = rand_augment(images, chosen)
    assert torch.equal(images, before), "the input is not written to"
    changed = (result - images).abs().amax(dim=(1, 2, 3)) > 1
    assert changed.tolist() == [True, False, True, True]
    assert float(result.min()) >= 0 and float(result.max()) <= 255


def test_quarter_turn_is_exact() -> None:
    images = _smooth(1)
    turned = affine(images, _ONE * math.pi / 2, _ZERO, _ZERO, _ZERO, _ZERO, _ONE)
    assert torch.allclose(turned, torch.rot90(images, 1, (2, 3)), atol=1e-2)


def test_shift_moves_right_and_down_by_a_share_of_the_side() -> None:
    images = _smooth(1)
    moved = affine(images, _ZERO, _ZERO, _ZERO, _ONE / 4, _ONE / 8, _ONE)
    assert torch.allclose(moved[:, :, 4:, 8:], images[:, :, :-4, :-8], atol=1e-2)


def test_zoom_enlarges_the_middle_of_images_that_are_not_square() -> None:
    images = torch.linspace(0, 255, 48).repeat(1, 1, 32, 1)
    zoomed = affine(images, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ONE * 2)
    assert float(zoomed[..., 0].mean()) == pytest.approx(255 / 4, abs=3)
    assert float(zoomed[..., -1].mean()) == pytest.approx(255 * 3 / 4, abs=3)


def test_turn_keeps_circles_round_in_images_that_are_not_square() -> None:
    rows, columns = torch.meshgrid(torch.arange(32.0) - 15.5, torch.arange(48.0) - 23.5, indexing="ij")
    circle = (255 * torch.sigmoid(8 - (rows**2 + columns**2).sqrt()))[None, None]
    turned = affine(circle, _ONE * 0.7, _ZERO, _ZERO, _ZERO, _ZERO, _ONE)
    assert float((turned - circle)[..., 5:27, 13:35].abs().max()) < 12  # the corners show mirrored parts


@pytest.mark.parametrize(("level", "step"), [(0.1, 1), (0.25, 2), (1.0, 16)])
def test_posterize_leaves_multiples_of_a_power_of_two(level: float, step: int) -> None:
    images = _smooth().round()
    result = rand_augment(images, _only("posterize", level))
    assert torch.allclose(result, (images / step).floor() * step, atol=1e-2)


def test_solarize_inverts_what_is_bright() -> None:
    images = _smooth()
    result = rand_augment(images, _only("solarize", 0.5))
    assert torch.allclose(result, torch.where(images >= 128, 255 - images, images), atol=1e-2)


def test_saturation_of_a_gray_image_stays() -> None:
    gray = _smooth(channels=1)
    assert torch.allclose(rand_augment(gray, _only("saturation", 1.0)), gray, atol=1e-3)
    colour = rand_augment(_smooth(), _only("saturation", -1 / 0.9))
    assert float(colour.std(dim=1).max()) < 1e-2


def test_augment_with_a_magnitude_of_zero_draws_as_without() -> None:
    images = _smooth()
    first, second = (
        Augment(0.5, hflip=True, rand_augment=magnitude)(images, torch.Generator().manual_seed(1))
        for magnitude in (0.0, 0.6)
    )
    assert torch.equal(first, Augment(0.5, hflip=True)(images, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, second)
    again = Augment(0.5, hflip=True, rand_augment=0.6)(images, torch.Generator().manual_seed(1))
    assert torch.equal(second, again)


def test_magnitude_outside_of_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"magnitude of rand_augment must lie in 0..1, not 1.5"):
        Augment(rand_augment=1.5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_and_cpu_apply_the_same_operations() -> None:
    images = _smooth(64)
    augment = Augment(0.5, hflip=True, rand_augment=0.8)
    on_gpu = augment(images.cuda(), torch.Generator().manual_seed(0)).cpu()
    on_cpu = augment(images, torch.Generator().manual_seed(0))
    # A value on the edge of two levels may be rounded to either by posterize and solarize.
    assert float(((on_gpu - on_cpu).abs() < 0.1).float().mean()) > 0.999
