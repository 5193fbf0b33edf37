"""Statistics of batch norm that belong to the weights that are scored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# Rows for new statistics: so many of a round's rows, within these numbers. 128 rows already score as 1,024 do
# (docs/benchmarks/history.md, "Statistics of batch norm"), and 15 % of the rows are 5 % of a round's work.
SHARE, FEWEST, MOST = 0.15, 128, 512


_KEPT = "keeps_statistics"


def keep_statistics(norm: nn.Module) -> None:
    """Mark a batch norm that keeps its statistics although its weights may learn."""
    setattr(norm, _KEPT, True)


def learning_norms(trained: nn.Module, scored: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of `scored` whose counterparts in `trained` learn; frozen ones keep their statistics.

    Both have the same layers; `scored` may be an average of the weights, or `trained` itself.
    """
    found = []
    for one, other in zip(trained.modules(), scored.modules(), strict=True):
        if isinstance(one, _BatchNorm) and isinstance(other, _BatchNorm) and other.track_running_stats:
            own = list(one.parameters(recurse=False))
            if getattr(one, _KEPT, False):
                continue
            if not own or any(parameter.requires_grad for parameter in own):
                found.append(other)
    return found


def rows_wanted(round_rows: int) -> int:
    """Return how many rows to compute statistics on after a round that trained on `round_rows`.

    >>> rows_wanted(500), rows_wanted(2000), rows_wanted(50_000)
    (128, 300, 512)
    """
    return max(FEWEST, min(MOST, int(SHARE * round_rows)))


def recompute(norms: Iterable[_BatchNorm], model: nn.Module, images: Iterable[Tensor]) -> int:
    """Replace the statistics of `norms` by means over batches of `images` (B, C, H, W); return the rows used.

    The running statistics of a training lag behind its weights: after 24 steps 8 % of them are still those that the
    network was built with, and their moving average lags further. An average of weights never had statistics of its
    own at all (Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization", section
    3.2). Batches of one row are left out; without any other the statistics stay as they are.
    """
    batches = (batch for batch in images if len(batch) > 1)
    first = next(batches, None)
    norms = list(norms)
    if first is None or not norms:
        return 0
    rows = 0
    with torch.no_grad(), _averaging(norms, model):
        for batch in _chain(first, batches):
            model(batch)
            rows += len(batch)
    return rows


@contextmanager
def _averaging(norms: list[_BatchNorm], model: nn.Module) -> Iterator[None]:
    """In the block, `norms` collect the mean of all batches, and the rest of the model is in evaluation mode."""
    training = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, was in training:
            module.training = was


def _chain(first: Tensor, rest: Iterator[Tensor]) -> Iterator[Tensor]:
    yield first
    yield from rest
