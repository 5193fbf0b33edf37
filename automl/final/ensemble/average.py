"""Networks of one architecture as one network: the mean of their weights.

Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without increasing
inference time" (arXiv 2203.05482). It holds for trainings that began with the same weights and stayed near each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from automl.training.steps.batch_norm import recompute


@torch.no_grad()
def average(into: nn.Module, networks: Sequence[nn.Module], images: Iterable[Tensor] = ()) -> nn.Module:
    """Give `into`, a new network, the mean of the weights of one or more networks like it, and return it.

    Batch norms whose statistics differ between the networks get those of `images` (B, C, H, W), which are normalised
    and of the size of the network's input: a mean of statistics belongs to no weights. Where all have the same ones,
    as in frozen layers, the networks were trained with these, and they stay. Counters are those of the first network.
    Raises ValueError if a network has other weights than `into`.
    """
    shapes = _shapes(into)
    if any(_shapes(network) != shapes for network in networks):
        raise ValueError("only weights of networks of one architecture can be averaged")
    states = [network.state_dict() for network in networks]
    for name, value in into.state_dict().items():
        if value.is_floating_point():
            total = torch.zeros_like(value, dtype=torch.float64)
            for state in states:
                total += state[name].to(total)
            value.copy_(total / len(states))
        else:
            value.copy_(states[0][name])
    into.eval()
    if norms := _unsettled(into, networks):
        recompute(norms, into, images)
    return into


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


def _unsettled(mean: nn.Module, networks: Sequence[nn.Module]) -> list[_BatchNorm]:
    """Return the batch norms of a mean whose statistics differ between the networks."""
    found = []
    for name, module in mean.named_modules():
        if isinstance(module, _BatchNorm) and module.track_running_stats:
            own = [network.get_submodule(name) for network in networks]
            if any(not _same_statistics(one, own[0]) for one in own[1:]):
                found.append(module)
    return found


def _same_statistics(one: nn.Module, other: nn.Module) -> bool:
    names = ("running_mean", "running_var")
    return all(torch.equal(getattr(one, name).cpu(), getattr(other, name).cpu()) for name in names)
