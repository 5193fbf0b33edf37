"""Optuna's samplers by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from automl.errors import ConfigError
from automl.search.policy.rungs import rung_rounds
from automl.search.sampling.feasibility import constraints_of

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.samplers import BaseSampler

    from automl.records import Config
    from automl.search.settings import SearchSettings
    from automl.search.space import Space
    from automl.spaces.priors import Prior

# Configurations that are drawn by the priors before a sampler that does not support them takes over.
START = 10


@dataclass(frozen=True)
class SamplerContext:
    """What a sampler may know of its search.

    `suggest` draws a configuration through an Optuna trial. `max_rounds` is the full length of a trial. `priors` are by
    Optuna's names of parameters. `allows` returns whether a configuration may be suggested; None: all may.
    """

    seed: int
    suggest: Callable[[Trial], Config]
    max_rounds: int
    priors: Mapping[str, Prior] = field(default_factory=dict)
    allows: Callable[[Config], bool] | None = None


def _curve_gp(context: SamplerContext) -> BaseSampler:
    from automl.search.sampling.curve_gp import CurveGPSampler

    return CurveGPSampler(
        context.suggest,
        levels=rung_rounds(context.max_rounds),
        seed=context.seed,
        priors=context.priors,
        allows=context.allows,
    )


def _tpe(context: SamplerContext) -> BaseSampler:
    from optuna.samplers import TPESampler

    # Grouping gives each branch of a conditional space its own joint model; without it, parameters that only some
    # families have are drawn independently. The liar keeps parallel workers from drawing the same point.
    return TPESampler(seed=context.seed, multivariate=True, group=True, constant_liar=True)


def _random(context: SamplerContext) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=context.seed)


def _gp(context: SamplerContext) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=context.seed)


def _cmaes(context: SamplerContext) -> BaseSampler:
    from optuna.samplers import CmaEsSampler

    import_module("cmaes")  # otherwise Optuna fails only when it samples
    return CmaEsSampler(seed=context.seed, warn_independent_sampling=False)


def _qmc(context: SamplerContext) -> BaseSampler:
    from optuna.samplers import QMCSampler

    return QMCSampler(
        seed=context.seed, scramble=True, warn_independent_sampling=False, warn_asynchronous_seeding=False
    )


def _nsga2(context: SamplerContext) -> BaseSampler:
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(seed=context.seed)


@dataclass(frozen=True)
class SamplerRow:
    """A sampler: its name, how to make it, and a one-line description.

    `by_priors` is how many configurations are drawn by the priors before it takes over; None: all. `guided`: it
    supports priors and constraints itself.
    """

    name: str
    make: Callable[[SamplerContext], BaseSampler]
    description: str
    by_priors: int | None = START
    guided: bool = False


SAMPLERS = {
    row.name: row
    for row in (
        SamplerRow("auto", _curve_gp, "the recommended sampler: curve-gp", guided=True),
        SamplerRow(
            "curve-gp",
            _curve_gp,
            "Gaussian process over all partial curves, with expected improvement at the end",
            guided=True,
        ),
        SamplerRow(
            "tpe", _tpe, "tree-structured Parzen estimator, joint and aware of branches and parallel trials"
        ),
        SamplerRow("random", _random, "independent draws: uniform, or by priors and weights", None),
        SamplerRow("gp", _gp, "Gaussian process with expected improvement; complete trials only"),
        SamplerRow("cmaes", _cmaes, "CMA-ES; categorical and conditional parameters are drawn at random"),
        SamplerRow("qmc", _qmc, "scrambled Sobol sequence: evenly spread, learns nothing"),
        SamplerRow("nsga2", _nsga2, "genetic algorithm over complete trials"),
    )
}


def context_of(space: Space, settings: SearchSettings, *, seed: int) -> SamplerContext:
    """Return the context of a search over `space`."""
    priors, allows, limits = getattr(space, "priors", {}), constraints_of(space), settings.size_limits
    both = partial(_both, allows, limits) if allows and limits else allows or limits
    return SamplerContext(seed, space.suggest, settings.max_rounds, priors=priors, allows=both)


def _both(one: Callable[[Config], bool], other: Callable[[Config], bool], config: Config) -> bool:
    return one(config) and other(config)


def make_sampler(name: str, context: SamplerContext) -> BaseSampler:
    """Return a sampler by a name in SAMPLERS. Raises ConfigError if its package is missing."""
    with warnings.catch_warnings():
        # Optuna warns that interfaces are experimental; its version is pinned.
        warnings.simplefilter("ignore")
        try:
            row = SAMPLERS[name]
            made = row.make(context)
        except ImportError as error:
            raise ConfigError(
                f"the sampler {name!r} needs the package {error.name!r}: run `pip install {error.name}`"
            ) from error
    if row.guided:
        return made
    if context.priors:
        from automl.search.sampling.prior import PriorSampler

        made = PriorSampler(made, context.priors, seed=context.seed, trials=row.by_priors)
    return within_constraints(made, context)


def within_constraints(sampler: BaseSampler, context: SamplerContext) -> BaseSampler:
    """Return the sampler, or one around it where the space has constraints."""
    if context.allows is None:
        return sampler
    from automl.search.sampling.constrained import ConstrainedSampler

    return ConstrainedSampler(sampler, context.suggest, context.allows, seed=context.seed)
