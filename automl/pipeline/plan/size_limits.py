"""Which networks suit the time, of those that are trained from scratch.

A trial is a fraction of the retrain, so that the trials of a study favour networks that are soon as good as they will
be: such a one wins a ten-minute search by what it learns in a minute, and the retrain then takes it through the same
pictures hundreds of times for nothing. How good a network gets in a given time is best between some twenty and a
hundred passes (docs/benchmarks/history.md, "Width and time"). So what would get many more passes, or hardly any, is not
tried where the space has enough of what lies between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.pipeline.plan.budget import ENOUGH_IMAGES, Work, retrain_at_most
from automl.pipeline.plan.epoch_cost import ON_CPU, Prices, drawn, epoch_work
from automl.records import Config, DatasetInfo
from automl.spaces import SearchSpace
from automl.training.models.hyperparameters import Recipe
from automl.training.rounds import STEP_COST

# Passes through the pictures in the planned retrain. Where pictures are few, a network needs more of them to learn
# anything (`budget.ENOUGH_IMAGES`); where they are many, FEW_IMAGES of them are enough however few passes that is.
MAX_EPOCHS, MIN_EPOCHS = 110.0, 5.0
FEW_IMAGES = 60_000
# More pictures than these want a larger network rather than as many passes: the limit falls with the root of their
# number, down to the least.
MANY_ROWS, MIN_OF_MANY = 4_000, 20.0
# The share of the space that must be left on either side, and in all: where nearly all of it is too small or too large,
# the time is not what decides.
LEFT, LEFT_IN_ALL = 0.25, 0.1


@dataclass(frozen=True)
class Suited:
    """Says of a configuration whether it suits the time: an epoch of it computes from `least` to `most`
    (`cost.epoch_work`). One that begins with weights always does: it needs few passes, and gains by size.
    """

    info: DatasetInfo
    least: float = 0.0
    most: float = math.inf
    prices: Prices = ON_CPU

    def __call__(self, config: Config) -> bool:
        if Recipe.from_config(config).pretrained or (self.least, self.most) == (0.0, math.inf):
            return True
        return self.least <= epoch_work(config, self.info, self.prices) <= self.most

    def in_words(self, space: SearchSpace, seed: int) -> str:
        """A sentence where something is left out of the space; "" where nothing is."""
        left = [self(config) for config in drawn(space, seed)]
        if all(left):
            return ""
        share = 1.0 - sum(left) / len(left)
        gone = len(space.portfolio) - len(self.of(space.portfolio))
        first = f", {gone} of {len(space.portfolio)} that would be tried first among them" if gone else ""
        return (
            f"About {share:.0%} of the space does not suit the time and is left out{first}: networks so small that "
            "the retrain would go round and round with them, or so large that it would hardly begin."
        )

    def of(self, portfolio: Sequence[Config]) -> tuple[Config, ...]:
        """Those of a portfolio that suit the time; all where none does."""
        return tuple(config for config in portfolio if self(config)) or tuple(portfolio)

    def to_dict(self) -> dict[str, float | None]:
        """As JSON; `most` is None where there is no end."""
        return {"least": self.least, "most": None if math.isinf(self.most) else self.most}

    @staticmethod
    def from_dict(info: DatasetInfo, found: dict[str, float | None], of: Prices = ON_CPU) -> Suited:
        """What `to_dict` gave; a plan of before knows of no limits."""
        most = found.get("most")
        return Suited(info, found.get("least") or 0.0, math.inf if most is None else most, of)


def most_passes(rows: int) -> float:
    """Passes through `rows` pictures that a planned retrain makes at most.

    >>> [round(most_passes(rows)) for rows in (100, 4000, 16_000, 10**6)]
    [800, 110, 55, 20]
    """
    of_many = max(MIN_OF_MANY, MAX_EPOCHS * math.sqrt(MANY_ROWS / max(rows, MANY_ROWS)))
    return max(of_many, ENOUGH_IMAGES / rows)


def suited(
    space: SearchSpace,
    work: Work,
    info: DatasetInfo,
    *,
    remaining: float,
    unit: float,
    seed: int,
    of: Prices = ON_CPU,
) -> Suited:
    """What suits `remaining` seconds, where `epoch_work` takes `unit` seconds a unit on one trial's cores."""
    seconds = retrain_at_most(work, remaining) * work.retrain_speedup
    rows = info.n_train + info.n_val
    training = (info.n_train + info.n_val / STEP_COST) / rows  # of an epoch: the retrain validates nothing
    one_pass = seconds * training / unit
    least = one_pass / most_passes(rows)
    most = one_pass / min(MIN_EPOCHS, FEW_IMAGES / rows)
    scratch = [config for config in drawn(space, seed) if not Recipe.from_config(config).pretrained]
    works = [epoch_work(config, info, of) for config in scratch]
    everything = Suited(info, prices=of)
    if not works:
        return everything
    least = least if np.quantile(works, 1.0 - LEFT) >= least else 0.0
    most = most if np.quantile(works, LEFT) <= most else math.inf
    left = sum(least <= each <= most for each in works) / len(works)
    return Suited(info, least, most, of) if left >= LEFT_IN_ALL else everything
