"""Make the plan: measure how fast this machine trains, divide the time, and choose size limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from automl.config import StudyConfig
from automl.config.durations import format_duration
from automl.config.metrics import MetricSpec
from automl.data.balance import Balance
from automl.data.folds import RowFolds
from automl.errors import StudyError
from automl.final.evidence.delivery import Delivery
from automl.machine import Moment, slowdown
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.plan.budget import (
    Budget,
    Work,
    beside_delivered,
    make_budget,
    part_of_rows,
    reporting_seconds,
    shortest_limit,
)
from automl.pipeline.plan.constants import AGAIN_SHARE, SCORED_ROUND, SPEED_SECONDS, SPEED_SHARE
from automl.pipeline.plan.epoch_cost import (
    epoch_work,
    expected_seconds,
    in_rounds,
    largest_fitting_first,
    part_scored,
    prices,
    scoring_times,
    spread,
)
from automl.pipeline.plan.hardware import Device, idle_gpus, pack_gpus, within_memory
from automl.pipeline.plan.limits.fitting import Fitting
from automl.pipeline.plan.plan_text import cv_in_words, epochs_in_words, plan_in_words, share_in_words
from automl.pipeline.plan.pretrained import Pretrained
from automl.pipeline.plan.size_limits import SizeLimits
from automl.records import Config, DatasetInfo, Observer, SearchSplits
from automl.search.round_time import Expect
from automl.spaces import SearchSpace, capabilities
from automl.spaces.draw import at_random, walk
from automl.torch_setup import import_seconds
from automl.training.cross_validation import states_in_memory
from automl.training.models.hyperparameters import Recipe
from automl.training.plan import Precision, TrainPlan
from automl.training.rounds import STEP_COST
from automl.training.speed_probe import Probe, probe

MAX_DRAWS = 1000  # to find a configuration within the constraints
WORKER_START = 2.0  # times the import of timm: from a worker's start to the first step of its trial


@dataclass(frozen=True)
class Planned:
    """The measurements and the plan. `portfolio` is the part of the space's that fits the time."""

    device: Device
    budget: Budget
    plan: TrainPlan
    probe: Probe
    expect: Expect
    limits: SizeLimits
    portfolio: tuple[Config, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan for plan.json."""
        return {
            "suits": self.limits.to_dict(),
            "share": self.plan.share,
            "score_pretrained": self.plan.score_pretrained,
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
    """What a plan is based on.

    `earlier` is the plan.json of a resumed study, `row_seconds` what scoring a row takes with the slowest known model.
    `folds` are those that heads are cross-validated on, None if the validation rows are enough. `fitting` tells which
    networks keep the limits of the model, None without any.
    """

    splits: SearchSplits
    pretrained: Pretrained
    device: Device
    metric: MetricSpec
    balance: Balance
    earlier: dict[str, Any] | None = None
    row_seconds: float = 0.0
    folds: RowFolds | None = None
    fitting: Fitting | None = None


def make_plan(context: Context, basis: Basis) -> Planned:
    """Measure, divide the time, and show the plan. No time is too short: less is measured, and trials are cut."""
    config, clock, observer = context.config, context.clock, context.observer
    splits, pretrained, device, earlier = basis.splits, basis.pretrained, basis.device, basis.earlier
    space, info = pretrained.space, splits.info
    scratch = not pretrained.weights or bool(pretrained.record.get("both"))
    plan = _untimed(config, basis)
    observer.stage("plan", "measuring how fast this machine trains")
    of = prices(device.kind)
    limits = SizeLimits.from_dict(
        info, {} if earlier is None else earlier.get("suits", {}), of, basis.fitting
    )
    first = first_config(
        replace(space, portfolio=_scratch_first(limits.filter(space.portfolio))), config.seed, limits.allows
    )
    precision = _precision(config, earlier)
    pace = _Pace.of(clock)
    measured = pace.probe(first, splits, plan, precision)
    measured = replace(measured, memory=_memory(measured, first, info))
    device = _packed(config, device, measured, observer)
    plan = replace(plan, threads=device.threads)
    work = _work(config, basis, measured, device, scratch=scratch, slower=pace.slower)
    _tell_too_short(context, work)
    if earlier is None:
        limits = _size_limits(context, basis, work, first)
    portfolio = _scratch_first(limits.filter(space.portfolio))
    if portfolio and portfolio[0] != first:  # the plan is made for the first trial
        before, first = first, portfolio[0]
        if pace.has_time_again:
            measured = pace.probe(first, splits, plan, measured.precision)
        else:  # from the work of both
            faster = epoch_work(before, info, of) / epoch_work(first, info, of)
            measured = replace(measured, images_per_second=measured.images_per_second * faster)
        work = _work(config, basis, measured, device, scratch=scratch, slower=pace.slower)
    round_s = 0.0 if earlier is None else float(earlier.get("round_s") or work.epoch_seconds)
    remaining = clock.remaining()
    budget = make_budget(work, remaining=remaining, epochs=config.epochs, round_s=round_s)
    expect = expected_seconds(space, info, first, work.epoch_seconds, of)
    scored, hopeless = 1.0, False
    if budget.retrain_s is not None:
        portfolio = largest_fitting_first(portfolio, partial(_passes, expect, budget.retrain_s, work))
        tuned = next((config for config in portfolio if Recipe.from_config(config).pretrained), None)
        if tuned is not None and budget.round_s is not None:
            scored = 1.0 if info.folds else part_scored(first, tuned, info, of)
            least = scored * _scoring_round(scoring_times(first, tuned, info, of), work)
            budget = make_budget(work, remaining=remaining, epochs=None, round_s=round_s, least_round=least)
    if earlier is not None:  # all trials of a study need the same full length
        budget = replace(budget, epochs=int(earlier["epochs"]), round_s=earlier.get("round_s"))
        planned = budget
        budget = beside_delivered(budget, work, _delivered_images(context))
        hopeless = budget != planned
        scored = float(earlier.get("score_pretrained", scored))  # and the same validation rows
    observer.note(
        f"{plan_in_words(budget, measured, device, folds=info.folds, hopeless=hopeless)}; "
        f"{epochs_in_words(spread(space, expect, config.seed), work)}"
    )
    for why in filter(None, (limits.sentence(space, config.seed), _cv_sentence(basis, budget, work))):
        observer.note(why)
    if budget.round_s is not None:
        expect = in_rounds(expect, info, budget.round_s, scored=scored)
    share = _share(work, budget, scratch=scratch) if earlier is None else float(earlier.get("share", 1.0))
    if share < 1.0:
        observer.note(share_in_words(share))
    plan = replace(_timed(plan, budget, work, measured), share=share, score_pretrained=scored)
    return Planned(device, budget, plan, measured, expect, limits, portfolio)


def _cv_sentence(basis: Basis, budget: Budget, work: Work) -> str:
    """Return a suggestion of cross-validation, where a new study has few validation images and the time for it."""
    few = basis.folds is not None and not basis.splits.info.folds
    return cv_in_words(budget, work) if few and basis.earlier is None else ""


def _scoring_round(times: float, work: Work) -> float:
    """Return the seconds of a round that holds the scoring of all validation rows, if that takes `times` as long."""
    return SCORED_ROUND * times * work.n_val / (STEP_COST * work.images_per_second)


def _passes(expect: Expect, seconds: float, work: Work, config: Config) -> float:
    """Return how many epochs a retrain of `seconds` makes: all cores train, on the validation rows as well."""
    rows = (work.n_train + work.n_val) / (work.n_train + work.n_val / STEP_COST)
    return seconds * work.retrain_speedup / max(1e-9, expect(config).seconds * rows)


def _delivered_images(context: Context) -> int:
    """Return on how many images the delivered model was retrained; 0 if it is no full retrain, or there is none."""
    retrain = (context.workspace.read_result() or {}).get("retrain", {})
    full = retrain.get("made", retrain.get("how", Delivery.RETRAINED)) == Delivery.RETRAINED
    return int(retrain.get("images") or 0) if full else 0


def _precision(config: StudyConfig, earlier: dict[str, Any] | None) -> Precision | Literal["auto"]:
    """Return the precision of the study: that of its plan.json, or else the one in the options.

    Raises StudyError if the options name another one than the study has.
    """
    if earlier is None:
        return config.precision
    kept: Precision = earlier["precision"]
    if config.precision not in ("auto", kept):
        raise StudyError(
            f"the study {config.study!r} trains in {kept}, got --precision {config.precision}: its trials would not "
            "be comparable; choose another --study name, or replace it with --overwrite"
        )
    return kept


def _scratch_first(portfolio: tuple[Config, ...]) -> tuple[Config, ...]:
    """Return the portfolio with its first configuration from scratch in front, if it has both kinds.

    The plan is made for it, and it runs to full length, since fine-tuning ranks above it at every rung.
    """
    place = next((k for k, config in enumerate(portfolio) if not config.get("pretrained")), 0)
    return (*portfolio[place : place + 1], *portfolio[:place], *portfolio[place + 1 :])


def first_config(
    space: SearchSpace, seed: int, fits: Callable[[Config], bool] = lambda config: True
) -> Config:
    """Return the configuration that the probe trains: the portfolio's first, or a random one that `fits`."""
    if space.portfolio:
        return dict(space.portfolio[0])
    rng = np.random.default_rng(seed)
    config: Config = {}
    for _ in range(MAX_DRAWS):
        config = walk(space.suggest, at_random(rng)).config
        if space.allows(config) and fits(config):
            break
    return config


def _untimed(config: StudyConfig, basis: Basis) -> TrainPlan:
    """Return the training plan of trials without their length."""
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
        weights=basis.pretrained.weights,
    )


def _timed(plan: TrainPlan, budget: Budget, work: Work, measured: Probe) -> TrainPlan:
    """Return the plan with its length, precision and deadline, counted from now."""
    plan = replace(plan, epochs=budget.epochs, round_seconds=budget.round_s, precision=measured.precision)
    if budget.search_s is None:
        return plan
    reporting = reporting_seconds(work, budget.search_s)
    return replace(plan, deadline=Moment.now().later(budget.search_s), reporting=reporting)


def _share(work: Work, budget: Budget, *, scratch: bool) -> float:
    """Return the share of the training rows for trials from scratch; fine-tuning makes few epochs and uses all."""
    return part_of_rows(work, budget) if scratch else 1.0


def _size_limits(context: Context, basis: Basis, work: Work, first: Config) -> SizeLimits:
    """Return the size limits; there are none without a time limit or with the user's own limit in epochs."""
    config, remaining, info = context.config, context.clock.remaining(), basis.splits.info
    limits = SizeLimits(info, prices=prices(basis.device.kind), fits=basis.fitting)
    if remaining is None or config.epochs is not None:
        return limits
    unit = work.epoch_seconds / epoch_work(first, info, limits.prices)
    return limits.fitted(basis.pretrained.space, work, remaining=remaining, unit=unit, seed=config.seed)


def _work(
    config: StudyConfig,
    basis: Basis,
    measured: Probe,
    device: Device,
    *,
    scratch: bool,
    slower: float,
) -> Work:
    ray, info = config.engine == "ray", basis.splits.info
    trainings = max(1, info.folds)
    return Work(
        info.n_train,
        info.n_val,
        info.n_holdout,
        measured.images_per_second / device.slowdown / trainings,
        device.parallel if ray else 1,  # the local engine runs one trial at a time
        retrain_speedup=device.speedup * trainings,  # it is one network
        trainings=trainings,
        # A worker's start is mostly the import of torch, timm and automl.
        startup=WORKER_START * import_seconds() if ray else 0.0,
        scratch=scratch,
        slowdown=slower,
        row_seconds=basis.row_seconds,
    )


def _tell_too_short(context: Context, work: Work) -> None:
    """Say so if the time left is too short for a whole trial, a retrain and the rest."""
    remaining = context.clock.remaining()
    if remaining is None or remaining >= shortest_limit(work, timed=context.config.epochs is None):
        return
    epoch = "an epoch" if work.trainings == 1 else f"an epoch of the {work.trainings} networks of --val cv"
    context.shorten(
        f"The {format_duration(round(remaining))} left are too short for a whole trial and a retrain ({epoch} takes "
        f"{work.epoch_seconds * work.slowdown:.1f} s here): one configuration trains as long as the time allows, and "
        "the best model by then is delivered."
    )


@dataclass
class _Pace:
    """How much time measuring may take: with little left, one precision and fewer steps are measured, and once."""

    clock: Clock
    seconds: float
    slower: float
    took: float = 0.0

    @staticmethod
    def of(clock: Clock) -> _Pace:
        remaining, slower = clock.remaining(), slowdown()
        seconds = SPEED_SECONDS if remaining is None else min(SPEED_SECONDS, SPEED_SHARE * remaining)
        return _Pace(clock, seconds, slower)

    def probe(
        self, config: Config, splits: SearchSplits, plan: TrainPlan, precision: Precision | Literal["auto"]
    ) -> Probe:
        begun, remaining = self.clock.elapsed(), self.clock.remaining()
        until = None if remaining is None else Moment.now().later(AGAIN_SHARE * remaining)
        found = probe(config, splits, plan, seconds=self.seconds, precision=precision, until=until)
        self.took = self.clock.elapsed() - begun
        return found

    @property
    def has_time_again(self) -> bool:
        """Whether another measurement that takes as long as the last one has time."""
        remaining = self.clock.remaining()
        return remaining is None or self.took <= AGAIN_SHARE * remaining


def _memory(measured: Probe, config: Config, info: DatasetInfo) -> int:
    """Return the memory of a trial: under cross-validation, also that of the states of its folds."""
    if not measured.memory or not info.folds:
        return measured.memory
    return measured.memory + states_in_memory(info.folds, 1e6 * capabilities(str(config["model"])).params)


def _packed(config: StudyConfig, device: Device, measured: Probe, observer: Observer) -> Device:
    """Return the device with as many parallel trials as the measured memory of one allows."""
    if config.gpus_per_trial == "auto" and device.gpus and config.parallel is None:
        import torch

        total = torch.cuda.get_device_properties(0).total_memory
        device = pack_gpus(device, measured.gpu_memory, total)
    if config.engine == "ray" and config.address is None:  # on other machines, Ray itself controls the memory
        chosen = config.parallel is not None
        device, note = within_memory(device, measured.memory, limit=config.memory_limit, chosen=chosen)
        if note:
            observer.note(note)
    if idle := idle_gpus(device):
        observer.note(idle)
    return device
