"""Part of the training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from automl.data.loading.batches import Batches, subset
from automl.records import Task
from tests.data.conftest import MakeRows

TARGETS = np.repeat([0, 1, 2, 3], [100, 41, 20, 5])


def test_each_class_keeps_its_share_and_rare_ones_all_rows() -> None:
    chosen = subset(TARGETS, "classification", 0.25, seed=1)
    # Of a rare class at least 8 rows, if it has them.
    assert np.bincount(TARGETS[chosen]).tolist() == [25, 11, 8, 5]
    assert (np.diff(chosen) > 0).all()


def test_rows_depend_on_the_seed_alone() -> None:
    first, again, other = (subset(TARGETS, "classification", 0.25, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_rows_without_classes_are_drawn_from_all(task: Task) -> None:
    chosen = subset(np.zeros((10, 2)), task, 0.25, seed=0)
    assert len(chosen) == len(set(chosen.tolist())) == 3


def test_batches_go_through_the_part_alone_in_every_epoch(make_rows: MakeRows) -> None:
    rows, info = make_rows(n=60)
    whole = Batches(rows, batch_size=4, info=info, shuffle=True, seed=3, device="cpu")
    batches = Batches(rows, batch_size=4, info=info, shuffle=True, seed=3, device="cpu", share=0.5)
    everything = _images(whole, 0)
    first, second = _images(batches, 0), _images(batches, 1)
    assert first == second < everything
    assert batches.n == len(first) < len(everything) == whole.n == 60
    assert len(list(batches.epoch(0))) == len(batches) == -(-batches.n // 4)


def test_part_is_the_same_for_a_batch_size_of_its_own(make_rows: MakeRows) -> None:
    rows, info = make_rows(n=60)
    parts = [
        Batches(rows, batch_size=size, info=info, shuffle=True, seed=3, device="cpu", share=0.5)
        for size in (4, 16)
    ]
    assert _images(parts[0], 0) == _images(parts[1], 0)
    assert _images(parts[0], 0) != _images(replace(parts[0], seed=4), 0)


def _images(batches: Batches, epoch: int) -> set[bytes]:
    """The images of an epoch, none twice."""
    images = torch.cat([images for images, _ in batches.epoch(epoch)])
    found = [image.numpy().tobytes() for image in images]
    assert len(set(found)) == len(found)
    return set(found)
