"""A network is shown the images of another one as if they were its own."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from automl.records import SearchSplits
from automl.training.distillation.shown import Shown, as_stored


class Identity(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images


def pixels(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_images_are_normalised_as_the_network_knows_them(splits: SearchSplits) -> None:
    given = replace(splits.info, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2))
    own = replace(splits.info, mean=(0.4, 0.5, 0.6), std=(0.3, 0.2, 0.1))
    plain = pixels(32)

    def normalised(info: object) -> Tensor:
        mean, std = (torch.tensor(getattr(info, name)).view(1, 3, 1, 1) for name in ("mean", "std"))
        return (plain - mean) / std

    torch.testing.assert_close(Shown(Identity(), own, 32, given)(normalised(given)), normalised(own))


def test_images_are_made_as_small_as_they_are_stored_and_then_as_the_network_takes_them(
    splits: SearchSplits,
) -> None:
    large = replace(splits.info, img_size=64)
    shown = Shown(Identity(), splits.info, 48, large)(pixels(64))
    wanted = nn.functional.interpolate(
        nn.functional.interpolate(pixels(64), size=(32, 32), mode="bilinear", antialias=True),
        size=(48, 48),
        mode="bilinear",
    )
    torch.testing.assert_close(shown, wanted)


def test_small_images_stay_as_they_are() -> None:
    assert as_stored(pixels(32), 64).shape[-1] == 32


def test_fine_patterns_do_not_become_coarse_ones() -> None:
    """A chequerboard of single pixels is grey from afar; without antialiasing it would be black or white."""
    board = (torch.arange(64).view(-1, 1) + torch.arange(64)).remainder(2).float().expand(1, 3, 64, 64)
    torch.testing.assert_close(
        as_stored(board, 21)[:, :, 2:-2, 2:-2].mean(), torch.tensor(0.5), atol=0.02, rtol=0
    )
    assert float(as_stored(board, 21).std()) < 0.1
