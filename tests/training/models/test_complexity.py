"""The size of networks: parameters and multiplications."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from automl.spaces import capabilities
from automl.torch_setup import import_timm
from automl.training.models.complexity import multiplications, parameters


def test_small_network_is_counted_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 4 * 4, 5))
    assert parameters(network) == 3 * 8 * 9 + 8 + 128 * 5 + 5
    assert multiplications(network, (3, 4, 4), "cpu") == 3 * 8 * 9 * 16 + 128 * 5
    assert not network.training


def test_network_of_the_table_has_the_size_that_the_table_says() -> None:
    can = capabilities("resnet10t")
    network = import_timm().create_model("resnet10t", num_classes=10)
    assert parameters(network) == pytest.approx(can.params * 1e6, rel=1e-3)
    found = multiplications(network, (3, can.input_size, can.input_size), "cpu")
    assert found == pytest.approx(can.macs * 1e9, rel=1e-3)
    # larger images cost more: what was counted before is not taken for them
    assert multiplications(network, (3, 64, 64), "cpu") < found


def test_counting_changes_no_weights_and_draws_no_random_numbers() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    multiplications(network, (1, 8, 8), "cpu")
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


class _Picky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise ValueError("only batches of two")


def test_network_that_cannot_be_followed_has_no_number() -> None:
    assert math.isnan(multiplications(_Picky(), (3, 8, 8), "cpu"))
    assert parameters(_Picky()) == 3
