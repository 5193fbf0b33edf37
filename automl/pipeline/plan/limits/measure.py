"""Find out which networks keep the limits: count all, and measure as many as decide about the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from automl.final.cost.latency import measure_latency
from automl.final.cost.network import Network
from automl.machine import Moment
from automl.pipeline.plan.limits.asked import Asked

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Cost:
    """A network's parameters, the bytes of its file, its latency in ms if it was measured, and whether it `fits`.

    Without a latency, a larger network that fits decides, or a smaller one that does not.
    """

    network: Network
    params: int
    size: int
    latency: float | None = None
    fits: bool = False

    @staticmethod
    def of(network: Network) -> Cost:
        """Return the cost of a network that is not measured."""
        counts = network.counted()
        return Cost(network, counts.params, counts.size)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "model": self.network.model,
            "keywords": self.network.keywords,
            "side": self.network.side,
            "params": self.params,
            "size": self.size,
            "latency_ms": self.latency,
            "fits": self.fits,
        }

    @staticmethod
    def from_dict(row: Mapping[str, Any]) -> Cost:
        """Return what `to_dict` described."""
        network = Network(str(row["model"]), str(row["keywords"]), int(row["side"]))
        return Cost(network, int(row["params"]), int(row["size"]), row["latency_ms"], bool(row["fits"]))

    def covers(self, other: Cost) -> bool:
        """Return whether the other one is the same kind of network, and no larger in any way."""
        return (
            self._kind == other._kind
            and self.network.side >= other.network.side
            and self.params >= other.params
        )

    @property
    def _kind(self) -> tuple[str, Any]:
        # Patches that shrink with the image change the number of tokens, so others tell nothing.
        return self.network.model, self.network.arguments.get("patch_size")


@dataclass(frozen=True)
class Bench:
    """Where networks are measured: the device, its threads, and until when."""

    device: str
    threads: int
    channels: int
    until: Moment


def costs_of(networks: Iterable[Network], asked: Asked, bench: Bench) -> tuple[Cost, ...]:
    """Return the costs of networks, of which those that were not measured in time do not fit.

    They are measured in the given order of their models. Of a model, the largest network that keeps the other limits
    comes first, then the smallest: often the two decide about all.
    """
    counted = [Cost.of(network) for network in networks]
    small = [cost for cost in counted if not asked.exceeded_by(cost.params, cost.size)]
    if asked.latency == float("inf"):
        return tuple(replace(cost, fits=cost in small) for cost in counted)
    known: dict[str, Cost] = {}
    build = _LastBuilt()
    for _, models in groupby(sorted(small, key=_place_of(small)), key=lambda cost: cost._kind):
        _decide(sorted(models, key=lambda cost: (cost.network.side, cost.params)), asked, bench, build, known)
    return tuple(known.get(cost.network.key, cost) for cost in counted)


def _place_of(costs: Sequence[Cost]) -> Callable[[Cost], int]:
    """Return a key that keeps kinds of networks together, in the order in which they come first."""
    places: dict[Any, int] = {}
    for cost in costs:
        places.setdefault(cost._kind, len(places))
    return lambda cost: places[cost._kind]


def _decide(costs: list[Cost], asked: Asked, bench: Bench, build: _LastBuilt, known: dict[str, Cost]) -> None:
    """Measure networks of one kind, from small to large, until all are decided or the time is over."""
    left, turn = list(costs), 0
    while left and not bench.until.passed():
        chosen = left[-1] if turn == 0 else left[0] if turn == 1 else left[len(left) // 2]
        turn += 1
        found = measured(chosen, asked, bench, build)
        known[found.network.key] = found
        decided = [one for one in left if (found.covers(one) if found.fits else one.covers(found))]
        for one in decided:
            known.setdefault(one.network.key, replace(one, fits=found.fits))
        left = [one for one in left if one.network.key not in known]


def measured(cost: Cost, asked: Asked, bench: Bench, build: _LastBuilt | None = None) -> Cost:
    """Return a cost with the latency of its network."""
    network = (build or _LastBuilt())(cost.network)
    latency = measure_latency(
        network,
        channels=bench.channels,
        side=cost.network.side,
        threads=bench.threads,
        device=bench.device,
        limit=asked.latency,
    ).p50
    return replace(cost, latency=round(latency, 3), fits=latency <= asked.latency)


class _LastBuilt:
    """Builds networks, and keeps the last one: a convolutional network is the same for images of any size."""

    def __init__(self) -> None:
        self._of: tuple[str, str] | None = None
        self._network: nn.Module | None = None

    def __call__(self, network: Network) -> nn.Module:
        wanted = network.model, network.keywords
        if self._network is None or wanted != self._of:
            self._network = None  # freed first
            self._network, self._of = network.build(), wanted
        return self._network
