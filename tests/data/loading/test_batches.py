"""Batches of decoded rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.data.loading.augment import Augment
from automl.data.loading.batches import Batches
from tests.data.conftest import MakeRows


def _batches(
    make_rows: MakeRows,
    *,
    batch_size: int = 4,
    shuffle: bool = False,
    augment: Augment | None = None,
    seed: int = 0,
    device: str = "cpu",
    drop_last: bool = False,
) -> Batches:
    rows, info = make_rows()
    return Batches(
        rows,
        batch_size=batch_size,
        info=info,
        augment=augment,
        shuffle=shuffle,
        seed=seed,
        device=device,
        drop_last=drop_last,
    )


def test_epoch_yields_normalised_rows_in_order(make_rows: MakeRows) -> None:
    batches = _batches(make_rows)
    images, targets = (torch.cat(parts) for parts in zip(*batches.epoch(0), strict=True))
    index = np.load(batches.rows.index)
    pixels = np.load(batches.rows.images)[index].transpose(0, 3, 1, 2) / 255
    mean, std = (np.reshape(values, (1, 3, 1, 1)) for values in (batches.info.mean, batches.info.std))
    assert np.allclose(images.numpy(), (pixels - mean) / std, atol=1e-5)
    assert targets.tolist() == np.load(batches.rows.targets)[index].tolist()
    assert targets.dtype == torch.int64


@pytest.mark.parametrize("augment", [None, Augment(0.5, hflip=True)])
def test_images_are_float_and_channels_last(make_rows: MakeRows, augment: Augment | None) -> None:
    images, _ = next(_batches(make_rows, augment=augment).epoch(0))
    assert images.dtype == torch.float32
    assert images.shape == (4, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_last_batch_is_kept_or_dropped(make_rows: MakeRows) -> None:
    kept, dropped = _batches(make_rows), _batches(make_rows, drop_last=True)
    assert [len(targets) for _, targets in kept.epoch(0)] == [4, 4, 2]
    assert [len(targets) for _, targets in dropped.epoch(0)] == [4, 4]
    assert (len(kept), len(dropped)) == (3, 2)


def test_shuffled_epoch_repeats_by_seed_and_number(make_rows: MakeRows) -> None:
    def first(seed: int, epoch: int) -> torch.Tensor:
        return next(_batches(make_rows, shuffle=True, seed=seed, augment=Augment(0.5)).epoch(epoch))[0]

    assert torch.equal(first(0, 1), first(0, 1))
    assert not torch.equal(first(0, 1), first(0, 2))
    assert not torch.equal(first(0, 1), first(1, 1))


@pytest.mark.parametrize("magnitude", [0.0, 0.5])
def test_epoch_from_the_middle_gives_the_batches_that_are_left(make_rows: MakeRows, magnitude: float) -> None:
    rows, info = make_rows(20)
    batches = Batches(
        rows,
        batch_size=3,
        info=info,
        augment=Augment(0.5, True, magnitude),
        shuffle=True,
        seed=1,
        device="cpu",
    )
    whole, rest = list(batches.epoch(2)), list(batches.epoch(2, skip=4))
    assert len(rest) == len(whole) - 4
    for (images, targets), (wanted, of) in zip(rest, whole[4:], strict=True):
        assert torch.equal(images, wanted) and torch.equal(targets, of)


def test_shuffled_epoch_holds_every_row_once(make_rows: MakeRows) -> None:
    plain = torch.cat([images for images, _ in _batches(make_rows).epoch(0)])
    mixed = torch.cat([images for images, _ in _batches(make_rows, shuffle=True).epoch(0)])
    assert not torch.equal(plain, mixed)
    assert torch.equal(plain.sum((1, 2, 3)).sort().values, mixed.sum((1, 2, 3)).sort().values)


def test_batch_size_below_one_is_refused(make_rows: MakeRows) -> None:
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        _batches(make_rows, batch_size=0)


def test_part_that_gives_no_batch_is_refused(make_rows: MakeRows) -> None:
    with pytest.raises(ValueError, match="batches of 64 need more than 10 rows"):
        _batches(make_rows, batch_size=64, drop_last=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_holds_the_images_and_gives_the_same_batches(make_rows: MakeRows) -> None:
    for (on_gpu, _), (on_cpu, _) in zip(
        _batches(make_rows, device="cuda").epoch(0), _batches(make_rows).epoch(0), strict=True
    ):
        assert on_gpu.device.type == "cuda"
        assert torch.allclose(on_gpu.cpu(), on_cpu, atol=1e-5)
