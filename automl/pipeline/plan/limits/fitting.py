"""Which configurations build a network that keeps the limits of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from automl.errors import ConfigError
from automl.final.cost.network import Network
from automl.machine import Moment
from automl.pipeline.plan.limits.asked import Asked
from automl.pipeline.plan.limits.grid import SHAPING, variations
from automl.pipeline.plan.limits.measure import Bench, Cost, measured
from automl.records import Config, DatasetInfo
from automl.spaces import SearchSpace
from automl.spaces.space import PRETRAINED
from automl.training.models.pretrained_weights import Weights

NAMED = 4  # networks that a note names


@dataclass(frozen=True)
class Fitting:
    """Tells whether the network of a configuration keeps the limits, for the data `info`.

    `costs` are those of the networks of the space. A network that is none of them, as the space has a range of numbers,
    fits if one of them that is at least as large does. `weights` are the pretrained weights by model.
    """

    asked: Asked
    info: DatasetInfo
    costs: tuple[Cost, ...]
    threads: int
    device: str
    weights: Mapping[str, Weights] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], bool] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, config: Mapping[str, Any]) -> bool:
        key = tuple(config.get(name) for name in ("model", PRETRAINED, *SHAPING))
        if key not in self._known:  # a sampler asks for thousands of configurations
            self._known[key] = self._fits(self.network(config))
        return self._known[key]

    def measured(self, config: Mapping[str, Any]) -> bool:
        """Return whether the network of a configuration, which is none of the space's, keeps the limits: measure it."""
        cost = Cost.of(self.network(config))
        if self.asked.exceeded_by(cost.params, cost.size):
            return False
        bench = Bench(self.device, self.threads, self.info.in_chans, Moment.now())
        return self.asked.latency == float("inf") or measured(cost, self.asked, bench).fits

    def network(self, config: Mapping[str, Any]) -> Network:
        """Return the network of a configuration."""
        return Network.of(config, self.info, self.weights.get(str(config.get("model"))))

    def cost(self, config: Mapping[str, Any]) -> Cost | None:
        """Return the cost of the network of a configuration; None if it is none of the space's."""
        key = self.network(config).key
        return next((cost for cost in self.costs if cost.network.key == key), None)

    def mirrored(self, config: Mapping[str, Any]) -> bool | None:
        """Return False if an image and its mirror image together would take too long, else None: as it is trained."""
        known = self.cost(config)
        if known is None or not config.get("hflip") or self.asked.latency == float("inf"):
            return None
        bounds = [one.latency for one in self.costs if one.latency is not None and one.covers(known)]
        return None if bounds and 2.0 * min(bounds) <= self.asked.latency else False

    def adapted(self, config: Config, space: SearchSpace) -> Config | None:
        """Return the configuration, or one that builds the largest network that fits in its place; None without one."""
        if self(config):
            return config
        others = [one for one in variations(space, config) if self(one) and space.allows(one)]
        return max(others, key=self._extent, default=None)

    def portfolio(self, space: SearchSpace) -> SearchSpace:
        """Return the space with a portfolio of configurations that fit, each once."""
        found: list[Config] = []
        for config in space.portfolio:
            fitted = self.adapted(config, space)
            if fitted is not None and fitted not in found:
                found.append(fitted)
        return replace(space, portfolio=tuple(found))

    def left_out(self) -> str:
        """Return a sentence on the networks that do not fit; "" if all do."""
        gone = [cost for cost in self.costs if not cost.fits]
        if not gone:
            return ""
        sure = [cost for cost in gone if self.exceeded(cost)]
        named = "; ".join(
            f"{cost.network.words} {self.exceeded(cost)}" for cost in _largest_each(sure)[:NAMED]
        )
        rest = len(gone) - min(NAMED, len(_largest_each(sure)))
        late = len(gone) - len(sure) - self._follow(gone)
        unmeasured = f" For {late} there was no time to measure them." if late > 0 else ""
        return (
            f"Limits of the model ({self.asked.in_words()}{self.measured_on}): {len(gone)} of {len(self.costs)} "
            f"networks are left out: {named}{f'; and {rest} others' if rest > 0 else ''}.{unmeasured}"
        )

    @property
    def measured_on(self) -> str:
        """How the latency was measured, in words; "" without such a limit."""
        if self.asked.latency == float("inf"):
            return ""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f", one image in float32 on {self.device if self.device != 'cpu' else threads}"

    def exceeded(self, cost: Cost) -> str:
        """Return which limit a network exceeds, as it was measured or counted; "" if neither says so."""
        if said := self.asked.exceeded_by(cost.params, cost.size):
            return said
        if cost.latency is not None and cost.latency > self.asked.latency:
            return self.asked.beside("latency", cost.latency)
        return ""

    def require_any(self) -> None:
        """Raise ConfigError with the nearest network if none fits."""
        refuse_none(self.costs, self.asked, self.measured_on)

    def to_dict(self) -> dict[str, Any]:
        """Return what a resumed study needs, for plan.json."""
        return {
            "asked": self.asked.to_dict(),
            "threads": self.threads,
            "device": self.device,
            "networks": [cost.to_dict() for cost in self.costs],
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any], info: DatasetInfo, weights: Mapping[str, Weights]) -> Fitting:
        """Return what `to_dict` described: a resumed study decides as before."""
        return Fitting(
            Asked.from_dict(record["asked"]),
            info,
            tuple(Cost.from_dict(row) for row in record["networks"]),
            int(record["threads"]),
            str(record["device"]),
            weights,
        )

    def _fits(self, network: Network) -> bool:
        exact = next((cost for cost in self.costs if cost.network.key == network.key), None)
        if exact is not None:
            return exact.fits
        one = Cost.of(network)
        if self.asked.exceeded_by(one.params, one.size):
            return False
        return any(cost.fits and cost.covers(one) for cost in self.costs)

    def _extent(self, config: Config) -> tuple[int, int]:
        network = self.network(config)
        return network.side, network.counted().params

    def _follow(self, gone: Iterable[Cost]) -> int:
        """Return how many of the networks without a measurement are as large as one that does not fit."""
        slow = [cost for cost in self.costs if cost.latency is not None and not cost.fits]
        return sum(not self.exceeded(cost) and any(cost.covers(other) for other in slow) for cost in gone)


def refuse_none(costs: Iterable[Cost], asked: Asked, how: str) -> None:
    """Raise ConfigError with the nearest network if none of `costs` fits."""
    costs = tuple(costs)
    if any(cost.fits for cost in costs):
        return
    known = [cost for cost in costs if cost.latency is not None]
    small = [cost for cost in costs if not asked.exceeded_by(cost.params, cost.size)]
    if small and not known:
        raise ConfigError(
            f"networks must be measured before they can keep {asked.in_words()}{how}, but there was no time to measure "
            f"any of {len(small)}: raise --time-limit, or choose a --space with fewer networks"
        )
    nearest = min(known, key=lambda cost: cost.latency or 0.0, default=None)
    if nearest is not None:
        said = asked.beside("latency", nearest.latency or 0.0)
    else:
        nearest = min(costs, key=lambda cost: cost.params, default=None)
        said = "" if nearest is None else asked.exceeded_by(nearest.params, nearest.size)
    which = (
        ""
        if nearest is None
        else f": the nearest is {nearest.network.words} with {said or 'no measurement in time'}"
    )
    raise ConfigError(
        f"a network of the search space must keep {asked.in_words()}{how}, but none does{which}; raise the limit, or "
        "choose a --space with smaller networks"
    )


def _largest_each(costs: Iterable[Cost]) -> list[Cost]:
    """Return the largest network of each model."""
    found: dict[str, Cost] = {}
    for cost in costs:
        other = found.get(cost.network.model)
        if other is None or cost.network.side > other.network.side:
            found[cost.network.model] = cost
    return list(found.values())
