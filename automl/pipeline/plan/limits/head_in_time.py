"""The size of the images of a linear head: it keeps the limits of the model, and its test fits into the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from automl.pipeline.plan.constants import FEATURES_LEAST, TESTED_SHARE
from automl.pipeline.plan.limits.apply import head_sizes
from automl.pipeline.plan.limits.fitting import Fitting
from automl.records import Config


@dataclass(frozen=True)
class TimedNetwork:
    """The network of a head, and what scoring a row with it takes in seconds.

    `network` is None if no size fits; the others are then those of the last size that was measured.
    """

    config: Config
    network: nn.Module | None
    row_seconds: float


@dataclass(frozen=True)
class Rows:
    """How many rows the features of a head are of, and how many its test has."""

    read: int
    scored: int

    def fit(self, row_seconds: float, *, remaining: float, closing: float, smaller: bool) -> bool:
        """Return whether the time holds a head: what `closing` takes, its test included, leaves half of it.

        Images `smaller` than the weights want are worth it if features of all rows and the test take half of the time
        at most: training from scratch does better with the rest.
        """
        if remaining - closing < max(FEATURES_LEAST, (1.0 - TESTED_SHARE) * remaining):
            return False
        return not smaller or (self.read + self.scored) * row_seconds <= TESTED_SHARE * remaining


def head_configs(config: Config, fitting: Fitting | None) -> list[Config]:
    """Return the configurations of a head at its own size and at smaller ones, from the first that keeps the limits.

    A network whose weights fit one size has no smaller ones, and patches divide the side.
    """
    sizes = (config["size"], *(size for size in head_sizes(config["model"]) if size < config["size"]))
    found = [{**config, "size": size} for size in sizes]
    first = next((place for place, one in enumerate(found) if fitting is None or fitting(one)), len(found))
    return found[first:]


def largest_in_time(
    configs: Sequence[Config],
    *,
    load: Callable[[Config], nn.Module],
    row_seconds: Callable[[nn.Module, Config], float],
    fits: Callable[[Config, float], bool],
) -> TimedNetwork:
    """Return the first of `configs`, of one network and falling sizes, that `fits` by its seconds for a row.

    A size that would not fit by the pixels of the one that was measured before is passed over.
    """
    found: TimedNetwork | None = None
    for config in configs:
        if found is not None:
            pixels = (config["size"] / found.config["size"]) ** 2
            if not fits(config, pixels * found.row_seconds):
                continue
        network = load(config)
        seconds = row_seconds(network, config)
        if fits(config, seconds):
            return TimedNetwork(config, network, seconds)
        found = TimedNetwork(config, None, seconds)
    assert found is not None  # the first one is always measured
    return found


def size_in_words(wanted: Config, timed: TimedNetwork, network: str, n_holdout: int) -> str:
    """Return why a head is missing or has smaller images than its weights want; "" if neither is so."""
    if timed.network is None:
        return (
            f"No linear head on features of {network}: scoring the holdout with it would take "
            f"{n_holdout * timed.row_seconds:.0f} s at {timed.config['size']} px, too much of the time left."
        )
    if timed.config["size"] == wanted["size"]:
        return ""
    return (
        f"The linear head on features of {network} gets images of {timed.config['size']} px, as scoring the holdout "
        f"at {wanted['size']} px would take too long."
    )
