"""Mixing of images within a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from automl.data.loading.mixup_cutmix import cutmix, mix, mixup

_IMAGES = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
_TARGETS = torch.tensor([0, 2])


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_targets_follow_the_share_of_each_image(
    mix: Callable[..., tuple[torch.Tensor, torch.Tensor]],
) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        images, targets = mix(_IMAGES, _TARGETS, alpha=0.5, n_outputs=3, rng=rng)
        assert images.shape == _IMAGES.shape
        assert torch.allclose(targets.sum(dim=1), torch.ones(2))
        # The images are 0 and 1 throughout, so the mean is the share of the second one.
        assert torch.allclose(images.mean(dim=(1, 2, 3)), targets[:, 2], atol=1e-5)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_alpha_zero_keeps_the_images(mix: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> None:
    images, targets = mix(_IMAGES, _TARGETS, alpha=0.0, n_outputs=3, rng=np.random.default_rng(0))
    assert torch.equal(images, _IMAGES)
    assert targets.tolist() == [[1, 0, 0], [0, 0, 1]]


def test_soft_targets_are_mixed_again() -> None:
    soft = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
    _, targets = mixup(_IMAGES, soft, alpha=1.0, n_outputs=2, rng=np.random.default_rng(0))
    assert torch.allclose(targets.sum(dim=0), soft.sum(dim=0))


def test_negative_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha must be at least 0, not -1"):
        mixup(_IMAGES, _TARGETS, alpha=-1, n_outputs=3, rng=np.random.default_rng(0))


def _mixed(alphas: tuple[float, float], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    return mix(_IMAGES, _TARGETS, alphas=alphas, n_outputs=3, rng=np.random.default_rng(seed))


def test_either_mix_is_used_where_both_are_on() -> None:
    whole = [
        float(images.std(dim=(2, 3)).max()) < 1e-5 for images, _ in (_mixed((1, 1), s) for s in range(40))
    ]
    assert 10 < sum(whole) < 30, "a blend of plain images is plain, a cut is not"


def test_one_mix_alone_is_used_always() -> None:
    for seed in range(5):
        for alphas, alone in (((0.5, 0.0), mixup), ((0.0, 0.5), cutmix)):
            wanted = alone(_IMAGES, _TARGETS, alpha=0.5, n_outputs=3, rng=np.random.default_rng(seed))
            found = _mixed(alphas, seed)
            assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
