"""The plan in time: how fast this machine trains, what the limit is shared out to, and what suits it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from automl.config import StudyConfig
from automl.config.durations import format_duration
from automl.config.metrics import MetricSpec
from automl.data.balance import Balance
from automl.errors import TimeLimitError
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.plan.budget import (
    Budget,
    Work,
    make_budget,
    part_of_rows,
    reporting_seconds,
    shortest_limit,
)
from automl.pipeline.plan.epoch_cost import epoch_work, expectation, in_rounds, prices, spread
from automl.pipeline.plan.hardware import Device, idle_gpus, packed, within_memory
from automl.pipeline.plan.plan_text import epochs_in_words, plan_in_words, share_in_words
from automl.pipeline.plan.pretrained import Beginning
from automl.pipeline.plan.size_limits import Suited, suited
from automl.records import Config, DatasetInfo, Observer, SearchSplits
from automl.search.round_time import Expect
from automl.spaces import SearchSpace
from automl.spaces.draw import at_random, walk
from automl.torch_setup import import_seconds
from automl.training.plan import TrainPlan
from automl.training.speed_probe import Probe, probe

MAX_DRAWS = 1000  # for a configuration within the constraints
WORKER_START = 2.0  # times what importing timm takes: from a worker's start to the first step of its trial


@dataclass(frozen=True)
class Planned:
    """What was measured, and what follows from it. `portfolio` is what of the space's suits the time."""

    device: Device
    budget: Budget
    plan: TrainPlan
    probe: Probe
    expect: Expect
    suits: Suited
    portfolio: tuple[Config, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plan.json keeps it."""
        return {
            "suits": self.suits.to_dict(),
            "share": self.plan.share,
            "epochs": self.budget.epochs,
            "round_s": self.budget.round_s,
            "search_s": self.budget.search_s,
            "retrain_s": self.budget.retrain_s,
            "images_per_second": round(self.probe.images_per_second, 1),
            "precision": self.probe.precision,
            "device": self.device.kind,
            "parallel": self.device.parallel,
            "threads_per_trial": self.device.threads,
            "gpus_per_trial": self.device.gpus_per_trial,
            "memory_per_trial": self.probe.memory,
        }


@dataclass(frozen=True)
class Basis:
    """What a plan is made for; `earlier` is the plan.json of a study that is continued."""

    splits: SearchSplits
    beginning: Beginning
    device: Device
    metric: MetricSpec
    balance: Balance
    earlier: dict[str, Any] | None = None


def make_plan(context: Context, basis: Basis) -> Planned:
    """Measure, share the time out, and say so. Raises TimeLimitError where the time left holds no trial."""
    config, clock, observer = context.config, context.clock, context.observer
    splits, beginning, device, earlier = basis.splits, basis.beginning, basis.device, basis.earlier
    space, info, scratch = beginning.space, splits.info, not beginning.weights
    plan = _untimed(config, basis)
    observer.stage("plan", "measuring how fast this machine trains")
    of = prices(device.kind)
    suits = Suited.from_dict(info, {} if earlier is None else earlier.get("suits", {}), of)
    first = first_config(replace(space, portfolio=suits.of(space.portfolio)), config.seed)
    measured = probe(first, splits, plan)
    device = _packed(config, device, measured, observer)
    plan = replace(plan, threads=device.threads)
    work = _work(config, info, measured, device, scratch=scratch)
    _refuse_too_short(config, clock, work)
    if earlier is None:
        suits = _suited(context, basis, work, first)
    portfolio = suits.of(space.portfolio)
    if portfolio and portfolio[0] != first:  # what is tried first is what trials are planned by
        first = portfolio[0]
        measured = probe(first, splits, plan)
        work = _work(config, info, measured, device, scratch=scratch)
    budget = make_budget(work, remaining=clock.remaining(), epochs=config.epochs)
    if earlier is not None:  # trials of one study are compared, so all have the same full length
        budget = replace(budget, epochs=int(earlier["epochs"]), round_s=earlier.get("round_s"))
    expect = expectation(space, info, first, work.epoch_seconds, of)
    observer.note(
        f"{plan_in_words(budget, measured, device)}; {epochs_in_words(spread(space, expect, config.seed), work)}"
    )
    if why := suits.in_words(space, config.seed):
        observer.note(why)
    if budget.round_s is not None:
        expect = in_rounds(expect, info, budget.round_s)
    share = _share(beginning, budget, work) if earlier is None else float(earlier.get("share", 1.0))
    if share < 1.0:
        observer.note(share_in_words(share))
    plan = replace(_timed(plan, budget, work, measured), share=share)
    return Planned(device, budget, plan, measured, expect, suits, portfolio)


def first_config(space: SearchSpace, seed: int) -> Config:
    """The configuration that the probe trains: the portfolio's first, or a draw from the space."""
    if space.portfolio:
        return dict(space.portfolio[0])
    rng = np.random.default_rng(seed)
    config: Config = {}
    for _ in range(MAX_DRAWS):
        config = walk(space.suggest, at_random(rng)).config
        if space.allows(config):
            break
    return config


def _untimed(config: StudyConfig, basis: Basis) -> TrainPlan:
    """How trials are run, before it is known for how long."""
    device = basis.device
    return TrainPlan(
        epochs=1,
        metric=basis.metric.name,
        mode=basis.metric.mode,
        seed=config.seed,
        threads=device.threads,
        replicas=device.replicas,
        device=device.kind,
        balance=basis.balance,
        weights=basis.beginning.weights,
    )


def _timed(plan: TrainPlan, budget: Budget, work: Work, measured: Probe) -> TrainPlan:
    """The plan with its length, its precision and its end, counted from now."""
    plan = replace(plan, epochs=budget.epochs, round_seconds=budget.round_s, precision=measured.precision)
    if budget.search_s is None:
        return plan
    reporting = reporting_seconds(work, budget.search_s)
    return replace(plan, deadline=time.time() + budget.search_s, reporting=reporting)


def _share(beginning: Beginning, budget: Budget, work: Work) -> float:
    """What of the training rows trials learn from; fine-tuning, which takes few passes, is always from all."""
    return 1.0 if beginning.weights else part_of_rows(work, budget)


def _suited(context: Context, basis: Basis, work: Work, first: Config) -> Suited:
    """Which configurations suit the time: all of them where a person counts in epochs, or there is no limit."""
    config, remaining, info = context.config, context.clock.remaining(), basis.splits.info
    of = prices(basis.device.kind)
    if remaining is None or config.epochs is not None:
        return Suited(info, prices=of)
    unit = work.epoch_seconds / epoch_work(first, info, of)
    space = basis.beginning.space
    return suited(space, work, info, remaining=remaining, unit=unit, seed=config.seed, of=of)


def _work(config: StudyConfig, info: DatasetInfo, measured: Probe, device: Device, *, scratch: bool) -> Work:
    ray = config.engine == "ray"
    return Work(
        info.n_train,
        info.n_val,
        info.n_holdout,
        measured.images_per_second / device.slowdown,
        device.parallel if ray else 1,  # the local engine takes turns
        retrain_speedup=device.speedup,
        # A worker's start is mostly imports: torch and ours beside timm.
        startup=WORKER_START * import_seconds() if ray else 0.0,
        scratch=scratch,
    )


def _refuse_too_short(config: StudyConfig, clock: Clock, work: Work) -> None:
    """Raises TimeLimitError where the time left holds no trial, with the limit that would."""
    remaining, shortest = clock.remaining(), shortest_limit(work, timed=config.epochs is None)
    if remaining is None or remaining >= shortest:
        return
    raise TimeLimitError(
        f"--time-limit must hold one trial, and {format_duration(config.time_limit or 0)} does not: "
        f"setting up took {clock.elapsed():.0f} s and one epoch takes {work.epoch_seconds:.1f} s here; "
        f"use --time-limit {format_duration(round(clock.elapsed() + shortest + 1))} or more"
    )


def _packed(config: StudyConfig, device: Device, measured: Probe, observer: Observer) -> Device:
    """The device with as many trials at once as what was measured of one allows."""
    if config.gpus_per_trial == "auto" and device.gpus and config.parallel is None:
        import torch

        total = torch.cuda.get_device_properties(0).total_memory
        device = packed(device, measured.gpu_memory, total)
    if (
        config.engine == "ray" and config.address is None
    ):  # of other machines, Ray itself looks after the memory
        chosen = config.parallel is not None
        device, note = within_memory(device, measured.memory, limit=config.memory_limit, chosen=chosen)
        if note:
            observer.note(note)
    if idle := idle_gpus(device):
        observer.note(idle)
    return device
