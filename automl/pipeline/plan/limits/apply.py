"""Keep a study within the limits of the model: leave out networks before anything of them is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from automl.config.checks import MIN_IMAGE_SIZE
from automl.data import Source
from automl.errors import StudyError
from automl.final.cost.network import Network
from automl.machine import Moment
from automl.pipeline.context import Context
from automl.pipeline.plan.constants import LIMITS_SECONDS, LIMITS_SHARE, REFUSAL_SECONDS, WEIGHTS_AT
from automl.pipeline.plan.hardware import Device
from automl.pipeline.plan.limits.asked import Asked
from automl.pipeline.plan.limits.fitting import Fitting, refuse_none
from automl.pipeline.plan.limits.grid import network_configs
from automl.pipeline.plan.limits.measure import Bench, Cost, costs_of, measured
from automl.pipeline.weights.find import FoundWeights, from_scratch_too
from automl.records import Config, DatasetInfo
from automl.spaces import SearchSpace, capabilities
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.spaces.narrow import only_models
from automl.spaces.space import PRETRAINED
from automl.training.models.pretrained_weights import Weights

HEAD_ON_PIXELS: Config = {"model": LINEAR_ON_PIXELS, "lr": 1.0}


def refuse_other(asked: Asked, earlier: Mapping[str, Any] | None, study: str, flag: str) -> None:
    """Raise StudyError if a study that began with other limits is resumed. `earlier` is its plan.json."""
    if earlier is None or asked == (began := limits_of(earlier)):
        return
    there = began.in_words() or "no limits of the model"
    raise StudyError(
        f"the study {study!r} was searched with {there}, got {asked.in_words() or 'none'}: give the same, choose "
        f"another of its models with `automl deliver {study}{flag}`, or start again with --overwrite"
    )


def limits_of(plan: Mapping[str, Any]) -> Asked:
    """Return the limits that a study was planned with, by its plan.json."""
    return Asked.from_dict((plan.get("limits") or {}).get("asked", {}))


def refuse_impossible(asked: Asked, space: SearchSpace, source: Source, device: Device) -> None:
    """Raise ConfigError, before any image is decoded, if even the smallest networks of the space exceed the limits.

    They are taken at the smallest image size that there is, so that whatever the data are, none could keep them.
    """
    if not asked:
        return
    info = _least_info(source)
    until = Moment.now().later(REFUSAL_SECONDS)
    bench = Bench(device.kind, device.all_threads, info.in_chans, until)
    costs: list[Cost] = []
    for networks in _smallest_first(space, info):
        counted = [Cost.of(network) for network in networks]
        small = [cost for cost in counted if not asked.exceeded_by(cost.params, cost.size)]
        least = min(small or counted, key=lambda cost: (cost.network.side, cost.params))
        if small:
            least = replace(least, fits=True) if asked.latency == math.inf else measured(least, asked, bench)
        if least.fits or until.passed():
            return
        costs.append(least)
    refuse_none(costs, asked, Fitting(asked, info, (), device.all_threads, device.kind).measured_on)


def fitting(
    context: Context,
    space: SearchSpace,
    info: DatasetInfo,
    device: Device,
    looked: FoundWeights | None,
    earlier: Mapping[str, Any] | None,
) -> Fitting | None:
    """Return which networks of a study fit, after measuring them for a share of the time left; None without limits.

    A resumed study decides as its plan.json (`earlier`) says. Raises ConfigError with the nearest network if none fits.
    """
    if earlier is not None:
        return _restored(earlier.get("limits"), info, earlier["begun_with"].get("weights", {}))
    asked, remaining = Asked.of(context.config), context.clock.remaining()
    if not asked:
        return None
    context.observer.stage("limits", "measuring networks against the limits of the model")
    seconds = LIMITS_SECONDS if remaining is None else min(LIMITS_SECONDS, LIMITS_SHARE * remaining)
    bench = Bench(device.kind, device.all_threads, info.in_chans, Moment.now().later(seconds))
    weights = {} if looked is None else dict(looked.weights)
    scratch = looked is None or not weights or from_scratch_too(looked.asked, space)
    networks = _networks(space, info, weights, scratch=scratch)
    found = Fitting(asked, info, costs_of(networks, asked, bench), bench.threads, bench.device, weights)
    found.require_any()
    pixels = _head_on_pixels(info, asked, bench)
    found = replace(found, costs=(*found.costs, pixels))
    if said := found.left_out():
        context.observer.note(said)
    return found


def within(space: SearchSpace, found: Fitting | None) -> SearchSpace:
    """Return the space without models that never fit."""
    if found is None:
        return space
    good = {cost.network.model for cost in found.costs if cost.fits}
    return only_models(space, good)


def weights_within(
    looked: FoundWeights | None, space: SearchSpace, found: Fitting | None
) -> FoundWeights | None:
    """Return the weights of networks that fit at a size at which trials may use them."""
    if looked is None or found is None:
        return looked
    good = {
        name: row
        for name, row in looked.weights.items()
        if any(kind and found(config) for _, kind, config in network_configs(space, (name,), scratch=False))
    }
    return replace(looked, weights=good, wanted=looked.wanted and bool(good))


def _restored(
    record: Mapping[str, Any] | None, info: DatasetInfo, weights: Mapping[str, Any]
) -> Fitting | None:
    """Return what an earlier run of the study measured; None if it had no limits."""
    if not record:
        return None
    return Fitting.from_dict(record, info, {model: Weights.from_dict(row) for model, row in weights.items()})


def _networks(
    space: SearchSpace, info: DatasetInfo, weights: Mapping[str, Weights], *, scratch: bool
) -> list[Network]:
    """Return all networks that trials and heads may have.

    If there is no time for all, the first ones are measured. So the models of the portfolio come first, then those with
    the least work, and models with weights in turns with those that only train from scratch.
    """
    found = list(network_configs(space, weights, scratch=scratch))
    found += [
        (model, True, {"model": model, PRETRAINED: True, "size": size})
        for model in weights
        for size in head_sizes(model)
    ]
    places = _in_turns(space, dict.fromkeys(model for model, _, _ in found), weights)
    found.sort(key=lambda one: places[one[0]])
    networks = (
        Network.of(config, info, weights.get(model) if kind else None) for model, kind, config in found
    )
    return list(dict.fromkeys(networks))


def _in_turns(space: SearchSpace, models: Iterable[str], weights: Mapping[str, Weights]) -> dict[str, int]:
    """Return the place of each model in the order of measuring."""
    first = list(dict.fromkeys(str(config.get("model")) for config in space.portfolio))
    order = {model: place for place, model in enumerate(first)}
    ranked = sorted(models, key=lambda name: (order.get(name, len(order)), capabilities(name).macs))
    tuned, plain = ([m for m in ranked if (m in weights) is kind] for kind in (True, False))
    turns = [model for pair in zip_longest(tuned, plain) for model in pair if model is not None]
    return {model: place for place, model in enumerate(turns)}


def head_sizes(model: str, sizes: tuple[int, ...] = WEIGHTS_AT) -> tuple[int, ...]:
    """Return the sides in pixels at which a head may have its network: that of its weights, then smaller ones."""
    can = capabilities(model)
    smaller = (can.side_with_weights(size) for size in sizes)
    return (can.input_size, *dict.fromkeys(size for size in smaller if size < can.input_size))


def _smallest_first(space: SearchSpace, info: DatasetInfo) -> list[list[Network]]:
    """Return the networks of each model of a space, whatever its weights, of the model with the least work first."""
    found: dict[str, list[Network]] = {}
    models = {model for members in space.families.values() for model in members}
    for model, _, config in network_configs(space, models, scratch=True):
        found.setdefault(model, []).append(Network.of(config, info))
    return [
        list(dict.fromkeys(found[model])) for model in sorted(found, key=lambda name: capabilities(name).macs)
    ]


def _head_on_pixels(info: DatasetInfo, asked: Asked, bench: Bench) -> Cost:
    cost = Cost.of(Network.of(HEAD_ON_PIXELS, info))
    if asked.exceeded_by(cost.params, cost.size) or asked.latency == math.inf:
        return replace(cost, fits=not asked.exceeded_by(cost.params, cost.size))
    return measured(cost, asked, bench)


def _least_info(source: Source) -> DatasetInfo:
    """Return a data set with these outputs and the fewest pixels and channels that images may have."""
    return DatasetInfo(
        name=source.name,
        task=source.task,
        classes=source.classes,
        in_chans=1,
        img_size=MIN_IMAGE_SIZE,
        mean=(0.5,),
        std=(0.5,),
        class_counts=(),
        fingerprint="",
        n_train=0,
        n_val=0,
        n_holdout=0,
        n_skipped=0,
    )
