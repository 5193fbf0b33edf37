"""What priors are worth, and what a wrong one costs, on curves of a known function of six parameters.

Regret is (best - value) / (best - median) of the incumbent of the first trials at its full length, as a mean over
functions. A good prior lies a tenth of each range beside the optimum, a wrong one at the far end of each range.

Run: python benchmarks/priors.py [--functions 6]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import automl
from automl.records import Config

DIMENSIONS, EPOCHS = 6, 27
COUNTS = (5, 10, 20, 40)
Point = NDArray[np.float64]


class Function:
    """One minus a bowl with ripples around an optimum; every second parameter is logarithmic."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.best = rng.uniform(0.1, 0.9, DIMENSIONS)
        self._steepness = rng.uniform(0.3, 1.5, DIMENSIONS)
        self.median = float(np.median([self.value(point) for point in rng.uniform(size=(500, DIMENSIONS))]))

    def value(self, point: Point) -> float:
        """What a configuration reaches at its full length."""
        apart = point - self.best
        return float(1 - np.sum(self._steepness * apart**2) - 0.05 * np.sum(1 - np.cos(9 * apart)))

    def __call__(self, config: Config) -> Iterator[dict[str, float]]:
        top = self.value(point_of(config))
        for epoch in range(1, EPOCHS + 1):
            yield {"value": top - 0.6 * 0.85**epoch, "seconds": 1.0}


def point_of(config: Config) -> Point:
    """The configuration in the unit cube."""
    values = [config[f"p{i}"] for i in range(DIMENSIONS)]
    return np.array([(np.log10(value) + 4) / 4 if i % 2 else value for i, value in enumerate(values)])


def space(prior: Point | None) -> dict[str, Any]:
    """The space, believed to be good at a point of the unit cube."""
    parameters: dict[str, Any] = {}
    for i in range(DIMENSIONS):
        log = bool(i % 2)
        parameters[f"p{i}"] = {"type": "float", "low": 1e-4 if log else 0.0, "high": 1.0, "log": log}
        if prior is not None:
            parameters[f"p{i}"]["prior"] = float(10 ** (4 * prior[i] - 4) if log else prior[i])
    return {"parameters": parameters}


def main() -> None:
    """Prints a line for each sampler and prior."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--functions", type=int, default=6)
    functions = range(parser.parse_args().functions)
    print("mean regret after " + " / ".join(map(str, COUNTS)) + " trials")
    for sampler in ("auto", "random"):
        for kind in ("none", "good", "wrong"):
            means = np.mean([regrets(seed, sampler, kind) for seed in functions], axis=0)
            print(f"  {sampler:7} {kind:6} " + " / ".join(f"{mean:.3f}" for mean in means))


def regrets(seed: int, sampler: str, kind: str) -> list[float]:
    """The regret after each count of trials of one search."""
    function, rng = Function(seed), np.random.default_rng(1000 + seed)
    beside = np.clip(function.best + rng.normal(0, 0.1, DIMENSIONS), 0.01, 0.99)
    prior = {"none": None, "good": beside, "wrong": np.where(function.best > 0.5, 0.05, 0.95)}[kind]
    trials = automl.tune(
        function,
        space(prior),
        metric="value",
        max_epochs=EPOCHS,
        n_trials=max(COUNTS),
        engine="simulated",
        sampler=sampler,
        seed=seed,
    ).trials
    reached: list[float] = trials["value"].tolist()
    found = []
    for count in COUNTS:
        value = function.value(point_of(trials["params"].iloc[int(np.argmax(reached[:count]))]))
        found.append(float(np.clip((1 - value) / (1 - function.median), 0, 1.5)))
    return found


if __name__ == "__main__":
    main()
