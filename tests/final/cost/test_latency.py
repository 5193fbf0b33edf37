"""Measured latencies."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor, nn

from automl.final.cost.latency import FEWEST, measure_latency


class Slow(nn.Module):
    """A network that takes so many milliseconds, and counts its calls."""

    def __init__(self, milliseconds: float) -> None:
        super().__init__()
        self.seconds, self.shapes = milliseconds / 1e3, list[tuple[int, ...]]()

    def forward(self, images: Tensor) -> Tensor:
        self.shapes.append(tuple(images.shape))
        time.sleep(self.seconds)
        return images.mean(dim=(2, 3))


def test_latency_is_the_median_of_single_images() -> None:
    network, threads = Slow(8.0), torch.get_num_threads()
    found = measure_latency(network, channels=1, side=12, threads=1)
    assert 8.0 <= found.p50 < 30.0
    assert set(network.shapes) == {(1, 1, 12, 12)} and len(network.shapes) > found.passes >= FEWEST
    assert (found.threads, found.device, torch.get_num_threads()) == (1, "cpu", threads)


@pytest.mark.parametrize(("limit", "few"), [(1000.0, True), (0.5, True), (5.5, False)])
def test_few_passes_decide_what_is_clear(limit: float, few: bool) -> None:
    found = measure_latency(Slow(25.0 if limit < 1 else 5.0), channels=3, side=8, threads=1, limit=limit)
    assert (found.passes == FEWEST) is few


class Held(Slow):
    """A network of 4 ms for whose cores other programs fight: two of three passes take 40 ms."""

    def forward(self, images: Tensor) -> Tensor:
        self.seconds = 0.004 if len(self.shapes) % 3 == 0 else 0.04
        return super().forward(images)


def test_passes_that_waited_for_other_programs_do_not_count() -> None:
    assert measure_latency(Held(4.0), channels=1, side=8, threads=1).p50 < 30.0
