"""Make the plan: measure how fast this machine trains, divide the time, and choose size limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from automl.config import StudyConfig
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
from automl.pipeline.plan.constants import AGAIN_SHARE, SPEED_SECONDS, SPEED_SHARE
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
from automl.pipeline.plan.hardware import Device, packed
from automl.pipeline.plan.limits.fitting import Fitting
from automl.pipeline.plan.plan_text import (
    cv_in_words,
    epochs_in_words,
    plan_in_words,
    share_in_words,
    too_short_in_words,
)
from automl.pipeline.plan.pretrained import Pretrained
from automl.pipeline.plan.size_limits import SizeLimits
from automl.records import Config, DatasetInfo, SearchSplits
from automl.search.round_time import Expect
from automl.spaces import SearchSpace, capabilities
from automl.spaces.draw import at_random, walk
from automl.torch_setup import import_seconds
from automl.training.cross_validation import states_in_memory
from automl.training.models.hyperparameters import Recipe
from automl.training.plan import Precision, TrainPlan
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

    @property
    def from_scratch(self) -> bool:
        """Whether trials train from scratch, perhaps beside others."""
        return not self.pretrained.weights or bool(self.pretrained.record.get("both"))


def make_plan(context: Context, basis: Basis) -> Planned:
    """Measure, divide the time, and show the plan. No time is too short: less is measured, and trials are cut."""
    config, observer, space = context.config, context.observer, basis.pretrained.space
    info = basis.splits.info
    observer.stage("plan", "measuring how fast this machine trains")
    speed = _measure(context, basis)
    work, limits, device = speed.work, speed.limits, speed.device
    times = _divide(context, basis, speed)
    budget, expect = times.budget, times.expect
    observer.note(
        f"{plan_in_words(budget, speed.probe, device, folds=info.folds, hopeless=times.hopeless)}; "
        f"{epochs_in_words(spread(space, expect, config.seed), work)}"
    )
    for why in filter(None, (limits.sentence(space, config.seed), _cv_sentence(basis, budget, work))):
        observer.note(why)
    if budget.round_s is not None:
        expect = in_rounds(expect, info, budget.round_s, scored=times.scored)
    share = _share(basis, budget, work)
    if share < 1.0:
        observer.note(share_in_words(share))
    plan = _timed(_untimed(config, basis, device), budget, work, speed.probe)
    plan = replace(plan, share=share, score_pretrained=times.scored)
    return Planned(device, budget, plan, speed.probe, expect, limits, times.portfolio)


@dataclass(frozen=True)
class _Speed:
    """How fast this machine trains the configuration `first`, and what follows from that.

    `portfolio` is the part of the space's within the size limits.
    """

    first: Config
    probe: Probe
    device: Device
    work: Work
    limits: SizeLimits
    portfolio: tuple[Config, ...]


def _measure(context: Context, basis: Basis) -> _Speed:
    """Measure the first configuration, choose size limits by it, and measure again if another one is first then."""
    config, splits, earlier, space = context.config, basis.splits, basis.earlier, basis.pretrained.space
    info, of = splits.info, prices(basis.device.kind)
    kept = {} if earlier is None else earlier.get("suits", {})
    limits = SizeLimits.from_dict(info, kept, of, basis.fitting)
    allowed = replace(space, portfolio=_scratch_first(limits.filter(space.portfolio)))
    first = first_config(allowed, config.seed, limits.allows)
    pace = _Pace.of(context.clock)
    plan = _untimed(config, basis, basis.device)
    measured = pace.probe(first, splits, plan, _precision(config, earlier))
    measured = replace(measured, memory=_memory(measured, first, info))
    device = packed(config, basis.device, measured, context.observer)
    work = _work(config, basis, measured, device, slower=pace.slower)
    _tell_too_short(context, work)
    if earlier is None:
        limits = _size_limits(context, basis, work, first)
    portfolio = _scratch_first(limits.filter(space.portfolio))
    if portfolio and portfolio[0] != first:  # the plan is made for the first trial
        before, first = first, portfolio[0]
        if pace.has_time_again:
            measured = pace.probe(first, splits, replace(plan, threads=device.threads), measured.precision)
        else:  # from the work of both
            faster = epoch_work(before, info, of) / epoch_work(first, info, of)
            measured = replace(measured, images_per_second=measured.images_per_second * faster)
        work = _work(config, basis, measured, device, slower=pace.slower)
    return _Speed(first, measured, device, work, limits, portfolio)


@dataclass(frozen=True)
class _Times:
    """How the time is divided. `portfolio` has first what the retrain has time for.

    `scored` is the share of the validation rows on which fine-tuned trials are scored. `hopeless` says that the time
    left of a resumed study is too short for a better model than the delivered one.
    """

    budget: Budget
    expect: Expect
    portfolio: tuple[Config, ...]
    scored: float
    hopeless: bool = False


def _divide(context: Context, basis: Basis, speed: _Speed) -> _Times:
    """Divide the time left. A resumed study keeps the length of its trials and their validation rows."""
    info, earlier, work, first = basis.splits.info, basis.earlier, speed.work, speed.first
    of, remaining = prices(basis.device.kind), context.clock.remaining()
    round_s = 0.0 if earlier is None else float(earlier.get("round_s") or work.epoch_seconds)
    budget = make_budget(work, remaining=remaining, epochs=context.config.epochs, round_s=round_s)
    expect = expected_seconds(basis.pretrained.space, info, first, work.epoch_seconds, of)
    portfolio, scored = speed.portfolio, 1.0
    if (retrain_s := budget.retrain_s) is not None:
        portfolio = largest_fitting_first(
            portfolio, lambda config: work.retrain_passes(retrain_s, expect(config).seconds)
        )
        tuned = next((config for config in portfolio if Recipe.from_config(config).pretrained), None)
        if tuned is not None and budget.round_s is not None:
            scored = 1.0 if info.folds else part_scored(first, tuned, info, of)
            least = scored * work.scored_round(scoring_times(first, tuned, info, of))
            budget = make_budget(work, remaining=remaining, epochs=None, round_s=round_s, least_round=least)
    if earlier is None:
        return _Times(budget, expect, portfolio, scored)
    planned = replace(budget, epochs=int(earlier["epochs"]), round_s=earlier.get("round_s"))
    budget = beside_delivered(planned, work, _delivered_images(context))
    scored = float(earlier.get("score_pretrained", scored))
    return _Times(budget, expect, portfolio, scored, hopeless=budget != planned)


def _cv_sentence(basis: Basis, budget: Budget, work: Work) -> str:
    """Return a suggestion of cross-validation, where a new study has few validation images and the time for it."""
    few = basis.folds is not None and not basis.splits.info.folds
    return cv_in_words(budget, work) if few and basis.earlier is None else ""


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


def _untimed(config: StudyConfig, basis: Basis, device: Device) -> TrainPlan:
    """Return the training plan of trials without their length."""
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


def _share(basis: Basis, budget: Budget, work: Work) -> float:
    """Return the share of the training rows for trials from scratch; fine-tuning makes few epochs and uses all."""
    if basis.earlier is not None:
        return float(basis.earlier.get("share", 1.0))
    return part_of_rows(work, budget) if basis.from_scratch else 1.0


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
        scratch=basis.from_scratch,
        slowdown=slower,
        row_seconds=basis.row_seconds,
    )


def _tell_too_short(context: Context, work: Work) -> None:
    """Say so if the time left is too short for a whole trial, a retrain and the rest."""
    remaining = context.clock.remaining()
    if remaining is None or remaining >= shortest_limit(work, timed=context.config.epochs is None):
        return
    context.shorten(too_short_in_words(remaining, work))


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
