"""Prepare a study: data, metric, space, weights, device and the plan."""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from automl.config import StudyConfig
from automl.config.metrics import MetricSpec, resolve_metric
from automl.config.names import directory_flag
from automl.data import PreparedData, Source, prepare_data
from automl.data.balance import Balance, choose_balance, skew
from automl.data.constants import CPU_SIZE, SKEWED
from automl.data.prepare import ROWS
from automl.errors import ConfigError
from automl.final.evidence.candidates import Alternative
from automl.machine import Moment, cache_folder, slowdown
from automl.pipeline.context import Context
from automl.pipeline.decoding_time import AllInTime
from automl.pipeline.plan.budget import Budget
from automl.pipeline.plan.constants import (
    DECODING_SHARE,
    SMALL,
    WARM_START_SHARE,
)
from automl.pipeline.plan.hardware import Device, choose_device
from automl.pipeline.plan.heads import fit_heads, folds_for_heads
from automl.pipeline.plan.image_size import image_sizes
from automl.pipeline.plan.limits.apply import (
    fitting,
    refuse_impossible,
    refuse_other,
    weights_within,
    within,
)
from automl.pipeline.plan.limits.asked import Asked
from automl.pipeline.plan.limits.fitting import Fitting
from automl.pipeline.plan.plan import Basis, make_plan
from automl.pipeline.plan.pretrained import (
    Conditions,
    Pretrained,
    choose_pretrained,
    restore_pretrained,
)
from automl.pipeline.plan.size_limits import SizeLimits
from automl.pipeline.plan.warm_start import WarmStart, check_warm_start, traits, warm_start
from automl.pipeline.resize_look import resize_options
from automl.pipeline.study_folder import write_json
from automl.pipeline.weights.find import FoundWeights, check_pretrained, find_weights
from automl.records import Config, HeadTrial, Observer
from automl.remote import is_remote
from automl.search.engines.cluster_resources import ClusterResources
from automl.search.round_time import Expect
from automl.search.run import check_names
from automl.search.sampling.feasibility import feasibility
from automl.search.storage.sql.study_owner import Owner
from automl.spaces import SearchSpace
from automl.spaces.parsing.includes import presets
from automl.training.models.check_space import check_space
from automl.training.plan import TrainPlan
from automl.training.speed_probe import Probe


@dataclass(frozen=True, kw_only=True)
class Setup(Context):
    """A prepared study, for the search, the retrain and the holdout."""

    data: PreparedData
    space: SearchSpace
    metric: MetricSpec
    device: Device
    budget: Budget
    plan: TrainPlan
    probe: Probe
    expect: Expect
    pretrained: Pretrained
    identity: dict[str, Any]
    owner: Owner | None
    size_limits: SizeLimits
    portfolio: tuple[Config, ...]  # the part of the space's that fits the time
    alternatives: tuple[
        Alternative, ...
    ] = ()  # finished models that may be delivered in place of the retrain
    heads: tuple[HeadTrial, ...] = ()  # the linear heads among them, as trials of the study
    row_seconds: float = 0.0  # what scoring a row takes with the slowest of them
    fitting: Fitting | None = None  # which networks keep the limits of the model; None without any


def check(config: StudyConfig) -> None:
    """Raise UsageError for wrong names and options, before anything is started or read."""
    _refuse_unsupported(config)
    _refuse_misplaced(config)
    check_pretrained(config)
    check_warm_start(config)
    check_names(engine=config.engine, policy=config.policy, sampler=config.sampler)
    if config.space != "auto":
        space = load_space(config, choose_device(config), img_size=SMALL)
        check_space(space)
        feasibility(space)


def prepare(
    context: Context, source: Source, *, room: ClusterResources | None = None, owner: Owner | None = None
) -> Setup:
    """Decode the data, load the space, and plan the time. `room` is the cluster, or None for this machine alone.

    `owner` is whose study this is, in a database that others use as well.

    Raises UsageError for anything that the user must change.
    """
    opened = _open(context, source, choose_device(context.config, room))
    data, space, device, earlier = opened.data, opened.space, opened.device, opened.earlier
    config, workspace, info = context.config, context.workspace, data.splits.info
    limits = fitting(context, space, info, device, opened.looked, earlier)
    pretrained, warm = _starting_points(context, opened, limits)
    basis = Basis(
        data.splits,
        pretrained,
        device,
        opened.metric,
        opened.balance,
        earlier,
        folds=folds_for_heads(data, seed=config.seed),
        fitting=limits,
    )
    heads = fit_heads(context, basis)
    planned = make_plan(context, replace(basis, row_seconds=heads.row_seconds))
    identity = opened.identity | {"begun_with": dict(pretrained.record), "warm_start": warm.to_dict()}
    space.save(workspace.space_yaml)
    plan = identity | planned.to_dict()
    plan |= {"resize_look": opened.look} if opened.look else {}
    plan |= {} if owner is None else {"owner": owner.id}
    plan |= {} if limits is None else {"limits": limits.to_dict()}
    write_json(workspace.plan_json, plan)
    return Setup(
        **vars(context),
        data=data,
        space=pretrained.space,
        metric=opened.metric,
        device=planned.device,
        budget=planned.budget,
        plan=replace(planned.plan, heads=heads.files),
        probe=planned.probe,
        expect=planned.expect,
        pretrained=pretrained,
        identity=identity,
        owner=owner,
        size_limits=planned.limits,
        portfolio=planned.portfolio,
        alternatives=heads.models,
        heads=heads.trials,
        row_seconds=heads.row_seconds,
        fitting=limits,
    )


@dataclass(frozen=True)
class _Opened:
    """The data of a study, the space for them, and the published weights that were found for it.

    `earlier` is the plan.json of a resumed study, `identity` what such a study must have the same. `look` says how the
    way to make squares was chosen.
    """

    data: PreparedData
    space: SearchSpace
    metric: MetricSpec
    balance: Balance
    device: Device
    earlier: dict[str, Any] | None
    looked: FoundWeights | None  # None for a resumed study, which has its weights
    identity: dict[str, Any]
    look: dict[str, Any]


def _open(context: Context, source: Source, device: Device) -> _Opened:
    """Decode the data and load the space. A new study looks for weights, before the decoding if the space is known."""
    config, earlier = context.config, context.workspace.read_plan()
    asked, looked = Asked.of(config), None
    refuse_other(asked, earlier, config.study, directory_flag(config.directory))
    space_is_known = device.kind == "cpu" or config.space != "auto"  # else it follows from the images
    if earlier is None and space_is_known:
        space = load_space(config, device, img_size=CPU_SIZE)
        refuse_impossible(asked, space, source, device)
        looked = _find_weights(context, space)
    outline = source.outline()
    look: dict[str, Any] = {} if earlier is None else dict(earlier.get("resize_look", {}))
    data = decoded(context, source, device, looked, look)
    space = _kept_space(context, load_space(config, device, img_size=data.splits.info.img_size))
    metric, balance = _fitting(config, data, context.observer)
    identity = {**_identity(config, data, metric, space), "balance": balance, "outline": outline}
    context.workspace.check_same(identity, config)
    for words in context.workspace.kept_in_words(config):
        context.observer.note(words)
    if earlier is None and looked is None:
        looked = _find_weights(context, space)
    return _Opened(data, space, metric, balance, device, earlier, looked, identity, look)


def _find_weights(context: Context, space: SearchSpace) -> FoundWeights:
    return find_weights(context.config, space, remaining=context.clock.remaining(), observer=context.observer)


def decoded(
    context: Context, source: Source, device: Device, looked: FoundWeights | None, look: dict[str, Any]
) -> PreparedData:
    """Return the data, decoded at the training size (and at that of pretrained networks), and split.

    A look at how images become squares is added to `look`. Raises TimeLimitError if the time left does not suffice to
    decode the images of a resumed study again.
    """
    config = context.config
    remaining = context.clock.remaining()
    earlier = context.workspace.root / "index" / ROWS
    resumed = context.workspace.read_plan() is not None
    with closing(source):
        metric = resolve_metric(config.metric, source.task)  # checked before decoding
        metric.require_loss(config.max_loss or 0.0)
        sizes = image_sizes(
            context, source, device, looked, lambda: load_space(config, device, img_size=CPU_SIZE)
        )
        # On other nodes, images are decoded again from the same data: all of them. So are those of a resumed study,
        # in the small parts of a bounded decoding, after each of which `AllInTime` looks at the time.
        bounded = remaining and config.address is None
        share = math.inf if resumed else DECODING_SHARE
        data = prepare_data(
            source,
            img_size=sizes.img_size,
            max_size=sizes.most,
            large_size=sizes.large,
            val=config.val_share,
            folds=config.folds,
            holdout=config.holdout,
            seed=config.seed,
            on_bad_image=config.on_bad_image,
            on_group_leak=config.on_group_leak,
            max_disk=config.max_disk,
            cache_dir=cache_folder(),
            study_dir=context.workspace.root,
            observer=AllInTime(context) if remaining is not None and resumed else context.observer,
            until=Moment.now().later(share * remaining) if bounded and remaining else None,
            **resize_options(context, looked, device, look),
            rows=np.load(earlier) if resumed and earlier.is_file() else None,
        )
    if data.part:
        context.shortened.append(data.part)  # the data report has shown it
    return data


def _starting_points(
    context: Context, opened: _Opened, limits: Fitting | None
) -> tuple[Pretrained, WarmStart]:
    """Return pretrained weights and warm start within the limits; for a resumed study, those of its plan.json."""
    space, splits, earlier = within(opened.space, limits), opened.data.splits, opened.earlier
    if earlier is not None:
        pretrained = restore_pretrained(space, earlier["begun_with"])
        warm = WarmStart.from_dict(earlier.get("warm_start", {}))
    else:
        looked = weights_within(opened.looked, space, limits)
        assert looked is not None, "weights are looked for before"
        conditions = Conditions(
            splits,
            opened.device.kind,
            opened.device.all_threads,
            context.workspace.root,
            remaining=context.clock.remaining(),
            slowdown=slowdown(),
        )
        pretrained = choose_pretrained(space, looked, conditions, context.observer)
        remaining = context.clock.remaining()
        warm = warm_start(
            context.config,
            pretrained.space,
            splits.info,
            context.observer,
            until=None if remaining is None else Moment.now().later(WARM_START_SHARE * remaining),
        )
    began = warm.with_first(pretrained.space)
    return replace(pretrained, space=began if limits is None else limits.portfolio(began)), warm


def _fitting(config: StudyConfig, data: PreparedData, observer: Observer) -> tuple[MetricSpec, Balance]:
    """Return the metric and the handling of rare classes for these data."""
    info = data.splits.info
    skewed = info.task == "classification" and skew(info) >= SKEWED
    metric = resolve_metric(config.metric, info.task, skewed=skewed)
    observer.metric(metric.name, metric.mode)
    if config.metric == "auto" and skewed:
        observer.note(f"Metric: {metric.name}, because the classes are imbalanced ({skew(info):.0f}:1).")
    balance, why = choose_balance(config.balance, info, metric.name)
    if why:
        observer.note(why)
    return metric, balance


def _refuse_unsupported(config: StudyConfig) -> None:
    """Raise ConfigError for options that would be ignored."""
    if config.memory_limit is not None and (config.engine != "ray" or config.address is not None):
        raise ConfigError(
            "--memory-limit works only for --engine ray on this machine, got another --engine or an --address: "
            "leave it out"
        )


def _refuse_misplaced(config: StudyConfig) -> None:
    if config.retrain_workers > 1 and config.engine != "ray":
        raise ConfigError(
            f"--retrain-workers needs --engine ray, got {config.retrain_workers} with {config.engine!r}: leave one out"
        )
    if is_remote(config.directory) and config.address is not None:
        raise ConfigError(
            f"--directory must be a folder that all nodes mount when --address joins a cluster, got "
            f"{config.directory!r}: trials share their checkpoints through it"
        )


def load_space(config: StudyConfig, device: Device, *, img_size: int) -> SearchSpace:
    """Return the search space; `auto` is `cpu` without a GPU, else `small` or `default` by image size."""
    if config.space == "auto":
        on_gpu = "small" if img_size <= SMALL else "default"
        return SearchSpace.load("cpu" if device.kind == "cpu" else on_gpu)
    if isinstance(config.space, dict):
        return SearchSpace.from_dict(config.space)
    return SearchSpace.load(config.space)


def _kept_space(context: Context, now: SearchSpace) -> SearchSpace:
    """Return the space of an earlier run if it was a preset, which a newer version may have changed; else `now`."""
    config, workspace = context.config, context.workspace
    preset = config.space == "auto" or config.space in presets()
    if not preset or workspace.read_plan() is None or not workspace.space_yaml.is_file():
        return now
    kept = replace(SearchSpace.load(workspace.space_yaml), name=now.name)
    if kept.to_dict() != now.to_dict():
        context.observer.note(
            f"The preset {now.name!r} has changed since this study began; the study keeps the space that it began with."
        )
    return kept


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
        "weights_licence": config.weights_licence,
        "seed": config.seed,
        "img_size": info.img_size,
        "large_size": info.large_size,
        "resize": info.resize,
        "pixel_range": info.pixel_range,
        "n_train": info.n_train,
        "n_val": info.n_val,
        "n_holdout": info.n_holdout,
        "split": data.split.digest(data.labelled.digests),
        "val": f"cv:{info.folds}" if info.folds else "split",
    }
