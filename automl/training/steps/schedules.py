"""Learning-rate schedules: pure functions from progress (0 at the first step, 1 at the end) to a factor of `lr`.

Progress is a share of the planned training, in steps or in time, so a schedule fits both a number of epochs
and a time limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from automl.training.models.hyperparameters import Recipe

FLOOR = 0.01  # the factor at the start of warm-up and the end of annealing; an lr of 0 would waste steps

Schedule = Callable[[float, float], float]


# The default, of trials and of the retrain: trials are compared before they end, so their learning rate should stay
# constant for long, and the finished model is better for it, too. Measured in docs/benchmarks/history.md, "Values at
# rungs" and "Fine-tuning from a head".
DEFAULT = ("wsd", 0.1)


def schedule_of(recipe: Recipe) -> tuple[Schedule, float]:
    """Return the schedule and the warm-up of a recipe (`sched`, `warmup`), or the default ones.

    A given schedule has no warm-up unless that is given too.
    """
    if recipe.sched is not None:
        name, warmup = recipe.sched, 0.0
    else:
        name, warmup = DEFAULT
    return SCHEDULES[name], warmup if recipe.warmup is None else recipe.warmup


def constant(progress: float, warmup: float) -> float:
    """Return the factor of linear warm-up over the share `warmup`, then the full rate to the end."""
    return _ramp(progress, warmup) if progress < warmup else 1.0


def cosine(progress: float, warmup: float) -> float:
    """Return the factor of linear warm-up, then half a cosine down to the floor (Loshchilov & Hutter 2017)."""
    if progress < warmup:
        return _ramp(progress, warmup)
    return _anneal((progress - warmup) / max(1e-9, 1.0 - warmup))


def onecycle(progress: float, warmup: float) -> float:
    """Return the factor of half a cosine up over the share `warmup`, then half a cosine down (Smith & Topin 2018)."""
    if progress < warmup:
        return FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 - math.cos(math.pi * progress / warmup))
    return cosine(progress, warmup)


def wsd(progress: float, warmup: float) -> float:
    """Return the factor of linear warm-up, the full rate, and a linear decay over the last third."""
    decay_from = max(warmup, 2.0 / 3.0)
    if progress < decay_from:
        return constant(progress, warmup)
    return max(FLOOR, 1.0 - (1.0 - FLOOR) * (progress - decay_from) / max(1e-9, 1.0 - decay_from))


def step(progress: float, warmup: float) -> float:
    """Return the factor of linear warm-up, then 0.1 after half and 0.01 after three quarters of the training."""
    if progress < warmup:
        return _ramp(progress, warmup)
    return 1.0 if progress < 0.5 else (0.1 if progress < 0.75 else FLOOR)


SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "onecycle": onecycle,
    "step": step,
    "wsd": wsd,
}


def _ramp(progress: float, warmup: float) -> float:
    return FLOOR + (1.0 - FLOOR) * progress / warmup


def _anneal(share: float) -> float:
    return FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
