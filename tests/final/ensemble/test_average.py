"""The mean of the weights of networks, and the statistics that belong to it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from automl.final.ensemble.average import average


def network(seed: int) -> nn.Sequential:
    """A small network with two batch norms; the seed decides its weights and the statistics of the second."""
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
    )
    kept, own = made[1], made[4]
    assert isinstance(kept, nn.BatchNorm2d) and isinstance(own, nn.BatchNorm2d)
    assert kept.running_mean is not None and own.running_mean is not None
    kept.running_mean.fill_(0.25)  # as that of published weights in a frozen layer
    own.running_mean.uniform_(-1.0, 1.0)
    return made.eval()


def images(seed: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(16, 3, 12, 12, generator=generator) for _ in range(2)]


def test_weights_are_the_mean_and_the_networks_stay_as_they_are() -> None:
    networks = [network(seed) for seed in range(3)]
    before = copy.deepcopy(networks)
    made = average(network(9), networks)
    for name, value in made.state_dict().items():
        if value.is_floating_point():
            expected = sum(one.state_dict()[name] for one in networks) / 3
            assert torch.allclose(value, torch.as_tensor(expected), atol=1e-6), name
    for one, was in zip(networks, before, strict=True):
        assert all(torch.equal(value, was.state_dict()[name]) for name, value in one.state_dict().items())
    assert not any(module.training for module in made.modules())


def test_only_statistics_that_differ_are_computed_again_and_from_the_images() -> None:
    networks = [network(seed) for seed in range(2)]
    made = average(network(9), networks, images())
    kept, new = (made.get_submodule(place) for place in ("1", "4"))
    assert torch.equal(torch.as_tensor(kept.running_mean), torch.full((4,), 0.25))
    with torch.no_grad():
        inner = [nn.Sequential(*list(made.children())[:4])(batch) for batch in images()]
    expected = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in inner]).mean(dim=0)
    assert torch.allclose(torch.as_tensor(new.running_mean), expected, atol=1e-5)
    mean = (networks[0].get_buffer("4.running_mean") + networks[1].get_buffer("4.running_mean")) / 2
    assert not torch.allclose(torch.as_tensor(new.running_mean), mean, atol=1e-2)


def test_one_network_is_its_own_mean_with_its_own_statistics() -> None:
    one = network(1)
    made = average(network(9), [one], images())
    assert all(torch.equal(value, one.state_dict()[name]) for name, value in made.state_dict().items())


def test_other_architecture_is_refused() -> None:
    with pytest.raises(ValueError, match="only weights of networks of one architecture"):
        average(network(0), [network(1), nn.Sequential(nn.Conv2d(3, 4, 3))])
