"""Which networks fit the time limit, of those that train from scratch.

A trial is much shorter than the retrain, so trials prefer networks that learn fast. Such a network wins a ten-minute
search by what it learns in a minute, and the retrain then runs hundreds of epochs without further gain. In a given time
a network gets best with about 20 to 100 epochs (docs/benchmarks/history.md, "Width and time"). So networks that would
make many more epochs, or hardly any, are left out if the space has enough others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.config.durations import significant
from automl.pipeline.plan.budget import Work, retrain_at_most
from automl.pipeline.plan.constants import (
    ENOUGH_IMAGES,
    FEW_IMAGES,
    LEFT,
    LEFT_IN_ALL,
    MANY_ROWS,
    MIN_OF_MANY,
    TOO_FEW_EPOCHS,
    TOO_MANY_EPOCHS,
)
from automl.pipeline.plan.epoch_cost import ON_CPU, Prices, drawn, epoch_work
from automl.records import Config, DatasetInfo
from automl.spaces import SearchSpace
from automl.training.models.hyperparameters import Recipe
from automl.training.rounds import STEP_COST


@dataclass(frozen=True)
class SizeLimits:
    """Tells whether a configuration fits the time: the work of its epoch (`epoch_work`) is from `least` to `most`.

    Configurations with pretrained weights always fit the time: they need few epochs, and larger ones are better.
    `fits` are the limits of the model that the user set, which nothing may exceed.
    """

    info: DatasetInfo
    least: float = 0.0
    most: float = math.inf
    prices: Prices = ON_CPU
    fits: Callable[[Config], bool] | None = None

    def __call__(self, config: Config) -> bool:
        return self.allows(config) and self._in_time(config)

    def allows(self, config: Config) -> bool:
        """Return whether a configuration keeps the limits of the model, whatever the time."""
        return self.fits is None or self.fits(config)

    def _in_time(self, config: Config) -> bool:
        if Recipe.from_config(config).pretrained or (self.least, self.most) == (0.0, math.inf):
            return True
        return self.least <= epoch_work(config, self.info, self.prices) <= self.most

    def fitted(
        self, space: SearchSpace, work: Work, *, remaining: float, unit: float, seed: int
    ) -> SizeLimits:
        """Return the limits for `remaining` seconds; a unit of `epoch_work` takes `unit` seconds in a trial."""
        seconds = retrain_at_most(work, remaining) * work.retrain_speedup
        n_train, rows = self.info.n_train, self.info.n_train + self.info.n_val
        training = (
            n_train + self.info.n_val / STEP_COST
        ) / rows  # of an epoch: the retrain does not validate
        one_epoch = seconds * training / unit
        least, most = one_epoch / max_epochs(rows), one_epoch / min_epochs(rows)
        allowed = filter(self.allows, drawn(space, seed))
        scratch = [config for config in allowed if not Recipe.from_config(config).pretrained]
        works = [epoch_work(config, self.info, self.prices) for config in scratch]
        if not works:
            return self
        least = least if np.quantile(works, 1.0 - LEFT) >= least else 0.0
        most = most if np.quantile(works, LEFT) <= most else math.inf
        left = sum(least <= each <= most for each in works) / len(works)
        return replace(self, least=least, most=most) if left >= LEFT_IN_ALL else self

    def sentence(self, space: SearchSpace, seed: int) -> str:
        """Return a sentence on what is left out of the space; "" for nothing."""
        kept = [self(config) for config in drawn(space, seed) if self.allows(config)]
        if all(kept):
            return ""
        share = 1.0 - sum(kept) / len(kept)
        gone = len(space.portfolio) - len(self.filter(space.portfolio))
        first = f", with {gone} of its {len(space.portfolio)} first configurations" if gone else ""
        rows = self.info.n_train + self.info.n_val
        fewest = significant(min_epochs(rows))
        return (
            f"About {share:.0%} of the search space is left out{first}, because these networks do not fit the time: "
            f"the retrain would run more than {max_epochs(rows):.0f} epochs or fewer than {fewest}."
        )

    def filter(self, portfolio: Sequence[Config]) -> tuple[Config, ...]:
        """Return the configurations of a portfolio that fit the time, or all if none does."""
        return tuple(config for config in portfolio if self(config)) or tuple(portfolio)

    def to_dict(self) -> dict[str, float | None]:
        """Return the limits for JSON; `most` is None without an upper limit."""
        return {"least": self.least, "most": None if math.isinf(self.most) else self.most}

    @staticmethod
    def from_dict(
        info: DatasetInfo,
        found: dict[str, float | None],
        prices: Prices = ON_CPU,
        fits: Callable[[Config], bool] | None = None,
    ) -> SizeLimits:
        """Return the limits that `to_dict` described, or none for an empty dict."""
        most = found.get("most")
        return SizeLimits(info, found.get("least") or 0.0, math.inf if most is None else most, prices, fits)


def max_epochs(rows: int) -> float:
    """Return the most epochs of a planned retrain on `rows` images.

    >>> [round(max_epochs(rows)) for rows in (100, 4000, 16_000, 10**6)]
    [800, 110, 55, 20]
    """
    of_many = max(MIN_OF_MANY, TOO_MANY_EPOCHS * math.sqrt(MANY_ROWS / max(rows, MANY_ROWS)))
    return max(of_many, ENOUGH_IMAGES / rows)


def min_epochs(rows: int) -> float:
    """Return the fewest epochs of a planned retrain on `rows` images."""
    return min(TOO_FEW_EPOCHS, FEW_IMAGES / rows)
