"""The average of the weights against its closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from automl.training.steps.ema import Average, decay_at


def test_decay_warms_up_and_stays_at_its_height() -> None:
    assert decay_at(0, 0.99) == 0.0
    assert decay_at(7, 0.99) == pytest.approx(1 - 8 ** (-2 / 3)) == pytest.approx(0.75)
    assert decay_at(10**6, 0.99) == 0.99


def test_average_is_the_weighted_sum_of_all_weights_so_far() -> None:
    model = nn.BatchNorm1d(1)
    average = Average(model, 0.5)
    expected = 1.0
    for step in range(5):
        with torch.no_grad():
            model.weight.fill_(float(step + 2))
        model.state_dict()["num_batches_tracked"].add_(1)
        average.update(step)
        kept = min(0.5, 1 - (1 + step) ** (-2 / 3))
        expected = kept * expected + (1 - kept) * (step + 2)
    assert float(average.module.state_dict()["weight"]) == pytest.approx(expected)
    assert int(average.module.state_dict()["num_batches_tracked"]) == 5 and not average.module.training


def test_steps_from_128_on_are_followed_in_fours_as_far_as_one_by_one() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = Average(model, 0.9)
    with torch.no_grad():
        average.module.state_dict()["weight"].fill_(0.0)
        model.weight.fill_(1.0)
    followed = []
    for step in range(126, 136):
        average.update(step)
        followed.append(float(average.module.state_dict()["weight"]))
    steps = [1, 2, 2, 2, 2, 6, 6, 6, 6, 10]
    assert followed == pytest.approx([1 - 0.9**count for count in steps])


def test_average_follows_a_model_that_was_loaded() -> None:
    model = nn.Linear(2, 2)
    average = Average(model, 0.9)
    model.load_state_dict({name: tensor + 1.0 for name, tensor in model.state_dict().items()})
    average.update(0)
    assert torch.equal(average.module.state_dict()["weight"], model.weight)
