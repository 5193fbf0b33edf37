"""Everything before the first trial: data, metric, space, weights, device and the plan."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

from automl.config import StudyConfig
from automl.config.metrics import MetricSpec, resolve_metric
from automl.data import PreparedData, Source, prepare_data
from automl.data.balance import Balance, choose_balance, skew
from automl.data.constants import CPU_SIZE, GPU_SIZE, SKEWED
from automl.errors import ConfigError
from automl.machine import cache_folder
from automl.pipeline.context import Context
from automl.pipeline.plan.budget import Budget
from automl.pipeline.plan.hardware import Device, choose_device
from automl.pipeline.plan.image_size import largest_size
from automl.pipeline.plan.plan import Basis, make_plan
from automl.pipeline.plan.pretrained import Beginning, Situation, begin, begin_again, check_pretrained
from automl.pipeline.plan.size_limits import Suited
from automl.pipeline.plan.warm_start import WarmStart, check_warm_start, traits, warm_start
from automl.pipeline.study_folder import write_json
from automl.records import Config, Observer
from automl.remote import is_remote
from automl.search.engines.cluster_resources import ClusterResources
from automl.search.round_time import Expect
from automl.search.run import check_names
from automl.search.sampling.feasibility import feasibility
from automl.spaces import SearchSpace
from automl.training.models.check_space import check_space
from automl.training.plan import TrainPlan
from automl.training.speed_probe import Probe

SMALL = 64  # px; up to here a GPU trains the networks of the preset `small`


@dataclass(frozen=True)
class Setup(Context):
    """What the search, the retrain and the holdout start from."""

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
    check_names(engine=config.engine, policy=config.policy, sampler=config.sampler)
    if config.space != "auto":
        space = load_space(config, choose_device(config), img_size=SMALL)
        check_space(space)
        feasibility(space)


def prepare(context: Context, source: Source, *, room: ClusterResources | None = None) -> Setup:
    """Decode the data, load the space, and plan the time. `room` is the cluster, None for this machine alone.

    Raises UsageError for anything that the person has to change; nothing was searched by then.
    """
    config, workspace = context.config, context.workspace
    device = choose_device(config, room)
    data = _decoded(context, source, device)
    space = load_space(config, device, img_size=data.splits.info.img_size)
    metric, balance = _fitting(config, data, context.observer)
    identity = {**_identity(config, data, metric, space), "balance": balance}
    workspace.check_same(identity)
    earlier = workspace.read_plan()
    place = Situation(
        data.splits, device.kind, device.all_threads, workspace.root, remaining=context.clock.remaining()
    )
    beginning, warm = _begin(context, space, place, earlier)
    identity |= {"begun_with": dict(beginning.record), "warm_start": warm.to_dict()}
    planned = make_plan(context, Basis(data.splits, beginning, device, metric, balance, earlier))
    write_json(workspace.plan_json, identity | planned.to_dict())
    return Setup(
        config=config,
        workspace=workspace,
        clock=context.clock,
        observer=context.observer,
        data=data,
        space=beginning.space,
        metric=metric,
        device=planned.device,
        budget=planned.budget,
        plan=planned.plan,
        probe=planned.probe,
        expect=planned.expect,
        beginning=beginning,
        identity=identity,
        suits=planned.suits,
        portfolio=planned.portfolio,
    )


def _decoded(context: Context, source: Source, device: Device) -> PreparedData:
    """The data, decoded at the size that is trained on, and split."""
    config = context.config
    with closing(source):
        resolve_metric(config.metric, source.task)  # a wrong one is told before any picture is decoded
        img_size, max_size = _sizes(context, source, device)
        return prepare_data(
            source,
            img_size=img_size,
            max_size=max_size,
            val=config.val,
            holdout=config.holdout,
            seed=config.seed,
            on_bad_image=config.on_bad_image,
            max_disk=config.max_disk,
            cache_dir=cache_folder(),
            study_dir=context.workspace.root,
            observer=context.observer,
        )


def _begin(
    context: Context, space: SearchSpace, place: Situation, earlier: dict[str, Any] | None
) -> tuple[Beginning, WarmStart]:
    """Weights and earlier studies to begin with; those of its plan.json, where a study goes on."""
    if earlier is not None:
        beginning = begin_again(space, earlier["begun_with"])
        warm = WarmStart.from_dict(earlier.get("warm_start", {}))
    else:
        beginning = begin(context.config, space, place, context.observer)
        warm = warm_start(context.config, beginning.space, place.splits.info, context.observer)
    return replace(beginning, space=warm.begun(beginning.space)), warm


def _sizes(context: Context, source: Source, device: Device) -> tuple[int | Literal["auto"], int]:
    """The image size, and the largest that `auto` may choose: a continued study keeps its own."""
    config = context.config
    if config.img_size != "auto":
        return config.img_size, GPU_SIZE
    earlier = context.workspace.read_plan()
    if earlier is not None:
        return int(earlier["img_size"]), GPU_SIZE
    if device.kind != "cpu":
        return "auto", GPU_SIZE
    space = load_space(config, device, img_size=CPU_SIZE)
    return "auto", largest_size(context, source, space, cores=device.cores_together)


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
    """The space that was asked for; `auto` is `cpu` (tiny families) without a GPU, else by the size of the pictures."""
    if config.space == "auto":
        on_gpu = "small" if img_size <= SMALL else "default"
        return SearchSpace.load("cpu" if device.kind == "cpu" else on_gpu)
    if isinstance(config.space, dict):
        return SearchSpace.from_dict(config.space)
    return SearchSpace.load(config.space)


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
