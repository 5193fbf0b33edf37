"""Everything before the first trial: data, metric, space, device, and the plan in time."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from automl.config import StudyConfig
from automl.config.durations import format_duration
from automl.config.metrics import MetricSpec, resolve_metric
from automl.data import PreparedData, Source, prepare_data
from automl.data.balance import Balance, choose_balance, skew
from automl.data.cache import default_cache_dir
from automl.data.findings import SKEWED
from automl.errors import ConfigError, TimeLimitError, unknown_name
from automl.pipeline.clock import Clock
from automl.pipeline.cost import epoch_work, expectation, in_rounds, spread
from automl.pipeline.device import Device, choose_device, idle_gpus, packed, within_memory
from automl.pipeline.earlier import WarmStart, check_warm_start, traits, warm_start
from automl.pipeline.plan_words import epochs_in_words, plan_in_words
from automl.pipeline.pretrained import Beginning, Situation, begin, begin_again, check_pretrained
from automl.pipeline.resolution import largest_size
from automl.pipeline.suited import Suited, suited
from automl.pipeline.workspace import Workspace
from automl.records import Config, DatasetInfo, Observer
from automl.remote import is_remote
from automl.search.budget import Budget, Work, make_budget, reporting_seconds, shortest_limit
from automl.search.engines.room import Room
from automl.search.feasible import feasibility
from automl.search.forecast import Expect
from automl.search.policy import POLICIES
from automl.search.samplers import SAMPLERS
from automl.spaces import SearchSpace
from automl.torch_setup import import_seconds
from automl.training.plan import TrainPlan
from automl.training.probe import Probe, probe
from automl.training.vocabulary import check_space

CPU_SIZE = 96  # px; larger pictures are scaled down to this where no GPU trains
GPU_SIZE = 224
MOST_DRAWS = 1000  # for a configuration within the constraints
WORKER_START = 2.0  # times what importing timm takes: from a worker's start to the first step of its trial
SMALL = 64  # px; up to here the tiny families of the `cpu` preset fit on any device


@dataclass(frozen=True)
class Setup:
    """What the search, the retrain and the holdout start from."""

    config: StudyConfig
    workspace: Workspace
    data: PreparedData
    space: SearchSpace
    metric: MetricSpec
    device: Device
    budget: Budget
    plan: TrainPlan
    probe: Probe
    expect: Expect
    beginning: Beginning
    identity: dict[str, Any]
    suits: Suited
    portfolio: tuple[Config, ...]  # what of the space's suits the time


def check(config: StudyConfig) -> None:
    """Raise UsageError for what names and options alone show to be wrong, before anything is started or read."""
    _refuse_unsupported(config)
    _refuse_misplaced(config)
    check_pretrained(config)
    check_warm_start(config)
    for kind, name, valid in (("policy", config.policy, POLICIES), ("sampler", config.sampler, SAMPLERS)):
        if name not in valid:
            raise ConfigError(unknown_name(kind, name, valid))
    if config.space != "auto":
        space = load_space(config, choose_device(config), img_size=SMALL)
        check_space(space)
        feasibility(space)


def prepare(
    config: StudyConfig,
    source: Source,
    workspace: Workspace,
    clock: Clock,
    observer: Observer,
    *,
    room: Room | None = None,
) -> Setup:
    """Decode the data, load the space, and plan the time. `room` is the cluster, None for this machine alone.

    Raises UsageError for anything that the person has to change; nothing was searched by then.
    """
    device = choose_device(config, room)
    with closing(source):
        resolve_metric(config.metric, source.task)  # a wrong one is told before any picture is decoded
        img_size, max_size = _sizes(config, source, workspace, clock, device)
        data = prepare_data(
            source,
            img_size=img_size,
            max_size=max_size,
            val=config.val,
            holdout=config.holdout,
            seed=config.seed,
            on_bad_image=config.on_bad_image,
            max_disk=config.max_disk,
            cache_dir=default_cache_dir(),
            study_dir=workspace.root,
            observer=observer,
        )
    space = load_space(config, device, img_size=data.splits.info.img_size)
    metric, balance = _fitting(config, data, observer)
    identity = {**_identity(config, data, metric, space), "balance": balance}
    workspace.check_same(identity)
    earlier = workspace.read_plan()
    if earlier is not None:
        beginning = begin_again(space, earlier["begun_with"])
        warm = WarmStart.from_dict(earlier.get("warm_start", {}))
    else:
        place = Situation(
            data.splits, device.kind, device.all_threads, workspace.root, remaining=clock.remaining()
        )
        beginning = begin(config, space, place, observer)
        warm = warm_start(config, beginning.space, data.splits.info, observer)
    beginning = replace(beginning, space=warm.begun(beginning.space))
    identity |= {"begun_with": dict(beginning.record), "warm_start": warm.to_dict()}
    return _plan(config, workspace, clock, observer, (data, beginning, metric, device, identity))


def _sizes(
    config: StudyConfig, source: Source, workspace: Workspace, clock: Clock, device: Device
) -> tuple[int | Literal["auto"], int]:
    """The image size, and the largest that `auto` may choose: a continued study keeps its own."""
    if config.img_size != "auto":
        return config.img_size, GPU_SIZE
    earlier = workspace.read_plan()
    if earlier is not None:
        return int(earlier["img_size"]), GPU_SIZE
    if device.kind != "cpu":
        return "auto", GPU_SIZE
    space = load_space(config, device, img_size=CPU_SIZE)
    return "auto", largest_size(config, source, clock, space, cores=device.cores_together, most=CPU_SIZE)


def _fitting(config: StudyConfig, data: PreparedData, observer: Observer) -> tuple[MetricSpec, Balance]:
    """What to optimise, and what to do about rare classes, for these data."""
    info = data.splits.info
    skewed = info.task == "classification" and skew(info) >= SKEWED
    metric = resolve_metric(config.metric, info.task, skewed=skewed)
    observer.metric(metric.name, metric.mode)
    if config.metric == "auto" and skewed:
        observer.note(f"Metric: {metric.name}, as the classes are skewed ({skew(info):.0f}:1).")
    balance, why = choose_balance(config.balance, info, metric.name)
    if why:
        observer.note(why)
    return metric, balance


def _refuse_unsupported(config: StudyConfig) -> None:
    """An option that would be ignored is worse than one that is refused."""
    if config.memory_limit is not None and (config.engine != "ray" or config.address is not None):
        raise ConfigError(
            "--memory-limit is for trials in processes on this machine, got another --engine or an --address: "
            "leave it out"
        )


def _refuse_misplaced(config: StudyConfig) -> None:
    if config.retrain_workers > 1 and config.engine != "ray":
        raise ConfigError(
            f"--retrain-workers needs --engine ray, got {config.retrain_workers} with {config.engine!r}: leave one out"
        )
    if is_remote(config.directory) and config.address is not None:
        raise ConfigError(
            f"--directory must be a folder that all nodes mount where --address joins a cluster, got "
            f"{config.directory!r}: trials hand their checkpoints on through it"
        )


def load_space(config: StudyConfig, device: Device, *, img_size: int) -> SearchSpace:
    """The space that was asked for; `auto` is `cpu` (tiny families) without a GPU or for small pictures."""
    if config.space == "auto":
        return SearchSpace.load("cpu" if device.kind == "cpu" or img_size <= SMALL else "default")
    if isinstance(config.space, dict):
        return SearchSpace.from_dict(config.space)
    return SearchSpace.load(config.space)


def first_config(space: SearchSpace, seed: int) -> Config:
    """The configuration that the probe trains: the portfolio's first, or a draw from the space."""
    if space.portfolio:
        return dict(space.portfolio[0])
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it tells of each study that it makes
    try:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        config = space.suggest(study.ask())
        for _ in range(MOST_DRAWS):
            if space.allows(config):
                break
            config = space.suggest(study.ask())
        return config
    finally:
        optuna.logging.set_verbosity(before)


def _plan(
    config: StudyConfig,
    workspace: Workspace,
    clock: Clock,
    observer: Observer,
    parts: tuple[PreparedData, Beginning, MetricSpec, Device, dict[str, Any]],
) -> Setup:
    data, beginning, metric, device, identity = parts
    space = beginning.space
    info = data.splits.info
    plan = _untimed(config, beginning, metric, device, identity["balance"])
    observer.stage("plan", "measuring how fast this machine trains")
    earlier = workspace.read_plan()
    suits = Suited.from_dict(info, {} if earlier is None else earlier.get("suits", {}))
    first = first_config(replace(space, portfolio=suits.of(space.portfolio)), config.seed)
    measured = probe(first, data.splits, plan)
    device = _packed(config, device, measured, observer)
    plan = replace(plan, threads=device.threads)
    work = _work(config, info, measured, device)
    _refuse_too_short(config, clock, work)
    if earlier is None:
        suits = _suited(config, clock, space, info, work, first)
    portfolio = suits.of(space.portfolio)
    if portfolio and portfolio[0] != first:  # what is tried first is what trials are planned by
        first = portfolio[0]
        measured = probe(first, data.splits, plan)
        work = _work(config, info, measured, device)
    budget = make_budget(work, remaining=clock.remaining(), epochs=config.epochs)
    if earlier is not None:  # trials of one study are compared, so all have the same full length
        budget = replace(budget, epochs=int(earlier["epochs"]), round_s=earlier.get("round_s"))
    expect = expectation(space, info, first, work.epoch_seconds)
    observer.note(
        f"{plan_in_words(budget, measured, device)}; {epochs_in_words(spread(space, expect, config.seed), work)}"
    )
    if why := suits.in_words(space, config.seed):
        observer.note(why)
    if budget.round_s is not None:
        expect = in_rounds(expect, info, budget.round_s)
    plan = _timed(plan, budget, work, measured)
    _write_plan(workspace, {**identity, "suits": suits.to_dict()}, budget, measured, device)
    return Setup(
        config,
        workspace,
        data,
        space,
        metric,
        device,
        budget,
        plan,
        measured,
        expect,
        beginning,
        identity,
        suits,
        portfolio,
    )


def _untimed(
    config: StudyConfig, beginning: Beginning, metric: MetricSpec, device: Device, balance: Balance
) -> TrainPlan:
    """How trials are run, before it is known for how long."""
    return TrainPlan(
        epochs=1,
        metric=metric.name,
        mode=metric.mode,
        seed=config.seed,
        threads=device.threads,
        replicas=device.replicas,
        device=device.kind,
        balance=balance,
        weights=beginning.weights,
    )


def _timed(plan: TrainPlan, budget: Budget, work: Work, measured: Probe) -> TrainPlan:
    """The plan with its length, its precision and its end, counted from now."""
    plan = replace(plan, epochs=budget.epochs, round_seconds=budget.round_s, precision=measured.precision)
    if budget.search_s is None:
        return plan
    reporting = reporting_seconds(work, budget.search_s)
    return replace(plan, deadline=time.time() + budget.search_s, reporting=reporting)


def _suited(
    config: StudyConfig, clock: Clock, space: SearchSpace, info: DatasetInfo, work: Work, first: Config
) -> Suited:
    """Which configurations suit the time: all of them where a person counts in epochs, or there is no limit."""
    remaining = clock.remaining()
    if remaining is None or config.epochs is not None:
        return Suited(info)
    unit = work.epoch_seconds / epoch_work(first, info)
    return suited(space, work, info, remaining=remaining, unit=unit, seed=config.seed)


def _work(config: StudyConfig, info: DatasetInfo, measured: Probe, device: Device) -> Work:
    ray = config.engine == "ray"
    return Work(
        info.n_train,
        info.n_val,
        info.n_holdout,
        measured.images_per_second,
        device.parallel if ray else 1,  # the local engine takes turns
        retrain_speedup=device.speedup,
        # A worker's start is mostly imports: torch and ours beside timm.
        startup=WORKER_START * import_seconds() if ray else 0.0,
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


def _identity(
    config: StudyConfig, data: PreparedData, metric: MetricSpec, space: SearchSpace
) -> dict[str, Any]:
    info = data.splits.info
    text = json.dumps(space.to_dict(), sort_keys=True, default=str)
    return {
        "data": info.fingerprint,
        "data_name": info.name,
        "task": info.task,
        "metric": metric.name,
        "space": hashlib.sha256(text.encode()).hexdigest()[:16],
        "space_name": config.space if isinstance(config.space, str) else "given in Python",
        "space_used": space.name if config.space == "auto" else config.space,
        "traits": traits(info),
        "pretrained": config.pretrained,
        "seed": config.seed,
        "img_size": info.img_size,
        "n_train": info.n_train,
        "n_val": info.n_val,
        "n_holdout": info.n_holdout,
    }


def _write_plan(
    workspace: Workspace, identity: dict[str, Any], budget: Budget, measured: Probe, device: Device
) -> None:
    from automl.pipeline.workspace import write_json

    write_json(
        workspace.plan_json,
        {
            **identity,
            "epochs": budget.epochs,
            "round_s": budget.round_s,
            "search_s": budget.search_s,
            "retrain_s": budget.retrain_s,
            "images_per_second": round(measured.images_per_second, 1),
            "precision": measured.precision,
            "device": device.kind,
            "parallel": device.parallel,
            "threads_per_trial": device.threads,
            "gpus_per_trial": device.gpus_per_trial,
            "memory_per_trial": measured.memory,
        },
    )
