"""Augmentation of batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from automl.data.loading.augment import Augment


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(size: int, channels: int = 3, n: int = 32) -> Tensor:
    return torch.randint(0, 256, (n, channels, size, size), generator=_generator(1), dtype=torch.uint8)


@pytest.mark.parametrize("size", [8, 32, 72])
@pytest.mark.parametrize("channels", [1, 3])
def test_strength_zero_without_flip_changes_nothing(size: int, channels: int) -> None:
    images = _images(size, channels)
    assert torch.equal(Augment(0.0)(images, _generator()), images.float())


def test_flip_alone_mirrors_about_half() -> None:
    images = _images(8, n=200).float()
    result = Augment(0.0, hflip=True)(images, _generator())
    kept = (result == images).flatten(1).all(1)
    mirrored = (result == images.flip(3)).flatten(1).all(1)
    assert bool((kept ^ mirrored).all())
    assert 70 < int(mirrored.sum()) < 130


@pytest.mark.parametrize("hflip", [False, True])
def test_turns_alone_give_each_turn_to_a_quarter_of_the_images(hflip: bool) -> None:
    images = _images(8, n=400).float()
    result = Augment(0.0, hflip=hflip, rot90=True)(images, _generator())
    kinds = [torch.rot90(images, k, (2, 3)) for k in range(4)]
    if hflip:
        kinds += [kind.flip(3) for kind in kinds]
    found = torch.stack([(result == kind).flatten(1).all(1) for kind in kinds])
    assert bool((found.sum(0) == 1).all())
    expected = 400 / len(kinds)
    assert all(0.6 * expected < int(count) < 1.4 * expected for count in found.sum(1))


@pytest.mark.parametrize("hflip", [False, True])
@pytest.mark.parametrize("size", [32, 72])
def test_turned_images_are_changed_as_images_that_came_turned(size: int, hflip: bool) -> None:
    images = _images(size, n=64)
    plain, turning = Augment(0.7, hflip=hflip), Augment(0.7, hflip=hflip, rot90=True)
    draw, _ = plain.draw(len(images), _generator())
    quarters = (draw[:, 0] * 8).long() % 4
    turned = torch.stack([image.rot90(int(k), (1, 2)) for image, k in zip(images, quarters, strict=True)])
    assert quarters.unique().tolist() == [0, 1, 2, 3]
    assert torch.allclose(turning.changed(images, draw), plain.changed(turned, draw), atol=1e-2)
    assert not torch.allclose(turning.changed(images, draw), plain.changed(images, draw), atol=1.0)


@pytest.mark.parametrize("size", [16, 72])
@pytest.mark.parametrize("channels", [1, 3])
def test_strength_changes_every_image_and_keeps_form(size: int, channels: int) -> None:
    images = _images(size, channels)
    result = Augment(0.8, hflip=True)(images, _generator())
    assert result.shape == images.shape
    assert result.dtype == torch.float32
    assert bool((result != images).flatten(1).any(1).all())
    assert bool(result.isfinite().all())


@pytest.mark.parametrize("size", [16, 72])
def test_same_generator_gives_the_same_images(size: int) -> None:
    augment = Augment(0.5, hflip=True)
    first = augment(_images(size), _generator(3))
    assert torch.equal(first, augment(_images(size), _generator(3)))
    assert not torch.equal(first, augment(_images(size), _generator(4)))


def test_more_strength_changes_more() -> None:
    images = _images(32)
    smooth = torch.nn.functional.avg_pool2d(images.float(), 5, stride=1, padding=2)
    changes = [float((Augment(s)(smooth, _generator()) - smooth).abs().mean()) for s in (0.1, 0.5, 1.0)]
    assert changes == sorted(changes)


def test_small_images_move_by_whole_pixels_with_mirrored_borders() -> None:
    ramp = torch.arange(32.0).repeat(64, 1, 32, 1)
    inner = Augment(0.5)(ramp, _generator())[:, 0, 16, 4:28]
    # Brightness and contrast are affine, so a shifted ramp stays a ramp away from the border.
    steps = inner.diff(dim=1)
    plain = steps.std(dim=1) < 1e-3 * steps.abs().mean(dim=1)
    assert float(plain.float().mean()) > 0.6  # the rest has an erased rectangle there


def test_large_images_keep_their_content_when_cropped() -> None:
    ramp = torch.linspace(0, 255, 96).repeat(16, 3, 96, 1)
    result = Augment(0.3)(ramp, _generator())
    assert bool((result[:, :, :, 80:].mean(dim=(1, 2, 3)) > result[:, :, :, :16].mean(dim=(1, 2, 3))).all())


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strength_outside_of_its_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in 0..1"):
        Augment(strength)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_and_cpu_give_the_same_images() -> None:
    images = _images(32)
    augment = Augment(0.5, hflip=True, rot90=True)
    on_gpu = augment(images.cuda(), _generator()).cpu()
    assert torch.allclose(on_gpu, augment(images, _generator()), atol=1e-2)


@pytest.mark.parametrize("size", [32, 72])
def test_a_quarter_of_the_strength_is_the_share_of_images_of_which_a_rectangle_is_erased(size: int) -> None:
    for strength, low, high in ((1.0, 0.19, 0.31), (0.2, 0.02, 0.09)):
        changed = Augment(strength)(_images(size, n=600), _generator(2))[:, 0].flatten(1)
        # Noise has no two pixels alike in the place of a rectangle that was painted with one value.
        alike = torch.stack([(image == image.mode().values).sum() for image in changed])
        share = float((alike >= size * size / 25).float().mean())
        assert low < share < high
        assert int(alike.max()) <= size * size / 4 * 1.15


@pytest.mark.parametrize("size", [32, 72])
def test_the_same_work_for_all_images_gives_the_same_as_going_through_the_chosen_ones(size: int) -> None:
    augment, images = Augment(1.0, hflip=True), _images(size, n=64)
    draw, _ = augment.draw(len(images), _generator())
    assert torch.allclose(augment.changed(images, draw), augment.changed(images, draw, draw), atol=1e-3)
    assert not torch.allclose(augment.changed(images, draw), augment.changed(images, draw.flip(0)), atol=1.0)
