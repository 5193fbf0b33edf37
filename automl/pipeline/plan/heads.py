"""The first models of a study, within seconds: linear heads on small pixels and on features of pretrained networks.

They may be delivered, every later model must beat them, and fine-tuning begins with those on features. The study has
them as trials that are complete before the search begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from automl.config.metrics import METRICS
from automl.data import PreparedData
from automl.data.balance import Balance
from automl.data.folds import RowFolds, repeated_folds
from automl.data.splits import VAL
from automl.final.evidence.candidates import Alternative
from automl.final.heads import features_in_words, head_alternative, head_trial, proved, value_words
from automl.final.scoring import seconds_per_image
from automl.machine import Moment, cache_folder, cores, slowdown
from automl.pipeline.context import Context
from automl.pipeline.plan.budget import measured_closing
from automl.pipeline.plan.constants import (
    FEATURES_LEAST,
    FEATURES_OF_SPARE,
    FEW_VAL,
    FEWER,
    HEAD_FOLDS,
    HEAD_REPEATS,
    HEAD_SECONDS,
    HEAD_SHARE,
    REPEATED_ROWS,
)
from automl.pipeline.plan.hardware import Device
from automl.pipeline.plan.limits.apply import HEAD_ON_PIXELS
from automl.pipeline.plan.limits.fitting import Fitting
from automl.pipeline.plan.limits.head_in_time import (
    Rows,
    TimedNetwork,
    head_configs,
    largest_in_time,
    size_in_words,
)
from automl.pipeline.plan.plan import Basis
from automl.pipeline.plan.pretrained import Pretrained, features_seconds, head_side
from automl.records import Config, HeadTrial, SearchSplits
from automl.review.front.kept import HEADS_FOLDER, PIXELS
from automl.spaces.architectures.families import capabilities
from automl.spaces.narrow import choices_of
from automl.torch_setup import set_threads
from automl.training.heads import FeatureHeads, Head, fit_linear_head
from automl.training.heads.features import MOST_TRAIN, MOST_VAL
from automl.training.models.build import input_size, model_arguments
from automl.training.models.complexity import parameters
from automl.training.models.finetune import (
    Classifier,
    head_name,
    head_of_fold,
    own_pool,
    save_head,
    whole_head,
)
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, load_model
from automl.training.validation.best_round import scores_of
from automl.training.validation.scores_file import scores_of_head, write_scores


@dataclass(frozen=True)
class Heads:
    """The heads as models that may be delivered, and the files of those on features, by network.

    `trials` are the same heads for the study. `row_seconds` is what scoring a row takes with the slowest of them.
    """

    models: tuple[Alternative, ...] = ()
    trials: tuple[HeadTrial, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    row_seconds: float = 0.0


def fit_heads(context: Context, basis: Basis) -> Heads:
    """Fit the head on pixels, if there is a time limit, and one for each pretrained network while there is time.

    All are trials of the study. Where heads are cross-validated, only the best on features may be delivered.
    """
    pixels = context.clock.limit is not None and (basis.fitting is None or basis.fitting(HEAD_ON_PIXELS))
    heads = [*_on_pixels(context, basis)] if pixels else []
    files: dict[str, Path] = {}
    folder, slowest = context.workspace.root / HEADS_FOLDER, 0.0
    for head in heads:
        save_files(head, folder / f"{PIXELS}.safetensors")
    for name, head, row_seconds in _on_features(context, basis):
        slowest = max(slowest, row_seconds)
        heads.append(head)
        file = folder / f"{name}.safetensors"
        if len(head.of_folds) >= basis.splits.info.folds - 1:  # the head of another fold has seen its rows
            files[name] = file
        save_files(head, file)
        value = value_words(head, basis.metric.name, basis.splits.info)
        context.observer.note(
            f"A linear head on {features_in_words(head)}: {value}, after {context.clock.elapsed():.0f} s."
        )
    kept, why = chosen_heads(proved(heads, basis.metric.name), basis.metric.name)
    if why:
        context.observer.note(why)
    return Heads(
        models=tuple(head_alternative(head) for head in kept),
        trials=tuple(head_trial(head) for head in heads),
        files=files,
        row_seconds=slowest,
    )


def folds_for_heads(data: PreparedData, *, seed: int) -> RowFolds | None:
    """Return the folds that heads are cross-validated on: those of trials, or drawn ones if validation rows are few.

    None where the validation rows are enough, or the data give them.
    """
    info = data.splits.info
    if not info.folds and (info.n_val >= FEW_VAL or VAL in data.labelled.given):
        return None
    repeats = HEAD_REPEATS if info.n_train + info.n_val <= REPEATED_ROWS else 1
    return repeated_folds(
        data.labelled, data.split, folds=info.folds or HEAD_FOLDS, repeats=repeats, seed=seed
    )


def chosen_heads(heads: Sequence[Head], metric: str) -> tuple[list[Head], str]:
    """Return the heads that may be delivered, and a sentence about the choice ("" without one).

    Of the heads on features that were cross-validated, it is the best one; of equal ones that with the fewest
    parameters. Those that had no time for all images are left out. Other heads stay.
    """
    known = {id(head): head.out_of_fold for head in heads if head.weights is not None and head.out_of_fold}
    if len(known) < 2:
        return list(heads), ""
    most = max(len(found.rows) for found in known.values())
    sign = 1.0 if METRICS[metric].mode == "max" else -1.0
    best = max(
        (head for head in heads if id(head) in known and len(known[id(head)].rows) == most),
        key=lambda head: (sign * known[id(head)].value, -parameters(head.model)),
    )
    said = (
        f"Of the linear heads on features, that on {features_in_words(best)} may be delivered: it is the best by "
        f"cross-validation, with {metric} {known[id(best)].value:.4f}."
    )
    return [head for head in heads if head.weights is None or head is best], said


def save_files(head: Head, file: Path) -> None:
    """Write the head with which the fine-tuning of its network begins, and under cross-validation one for each fold.

    The same head of all rows is beside it: `automl deliver` may make it the model later. So are its validation scores.
    """
    file.parent.mkdir(exist_ok=True)
    for model, to in ((head.model, file), (head.full, whole_head(file))):
        if model is not None:
            classifier = Classifier.of(model)
            assert classifier is not None  # it was fitted
            save_head(classifier.weight, classifier.bias, to)
    for place, layer in enumerate(head.of_folds, start=1):
        weight, bias = (torch.from_numpy(values).float() for values in (layer.weight, layer.bias))
        save_head(weight, bias, head_of_fold(file, place))
    if head.answers is not None:
        found = scores_of(head.answers, head.info, round=0, value=head.val_score)
        write_scores(scores_of_head(file), found)


def _on_pixels(context: Context, basis: Basis) -> Iterator[Head]:
    """Yield the head on small pixels: what every model must beat."""
    context.observer.stage("head", "fitting a linear head on 16 x 16 pixels")
    set_threads(cores())
    head = fit_linear_head(
        basis.splits,
        metric=basis.metric.name,
        mode=basis.metric.mode,
        until=Moment.now().later(min(HEAD_SECONDS, HEAD_SHARE * (context.clock.remaining() or 0.0))),
        balance=basis.balance,
        seed=context.config.seed,
        folds=basis.folds,
    )
    if head is not None:
        yield head


def _on_features(context: Context, basis: Basis) -> Iterator[tuple[str, Head, float]]:
    """Yield names and heads on frozen features, the best network first, and what scoring a row takes with each.

    Transformers come again at the end, with the other way of pooling, if the space searches it. There is no head whose
    test would not fit into the time: a pretrained network at its own size may take a hundred times as long for it as
    one that trains from scratch. Such a network gets smaller images; where no size helps, only those with less work may
    follow.
    """
    pretrained = basis.pretrained
    fitter = feature_heads(
        basis.splits,
        basis.metric.name,
        basis.balance,
        basis.device,
        seed=context.config.seed,
        folds=basis.folds,
    )
    tuned = next((config for config in pretrained.space.portfolio if config.get("pretrained")), None)
    if tuned is None:
        return
    most = math.inf  # of the multiplications of a network whose test may fit
    first: Head | None = None
    for place, (model, weights, pool) in enumerate(_networks(pretrained)):
        configs = head_configs(_config(tuned, model, pool), basis.fitting)
        seconds = features_seconds(context.clock.remaining(), first=place == 0)
        # It exceeds the limits at any size, is too slow, or has no time to say more than the first one.
        if (
            not configs
            or capabilities(model).macs >= most
            or _too_few(first, model, seconds, context.clock.limit)
        ):
            continue
        context.observer.stage("head", f"fitting a linear head on features of {weights.model}")
        slower = 1.0 if context.clock.limit is None else slowdown()
        timed = _in_time(configs, context, basis, weights, slower)
        if context.clock.limit is not None:
            if (context.clock.remaining() or 0.0) < FEATURES_LEAST:
                return
            if why := size_in_words(configs[0], timed, weights.model, basis.splits.info.n_holdout):
                context.observer.note(why)
            if timed.network is None:
                most = capabilities(model).macs
                continue
            scoring = basis.splits.info.n_holdout * timed.row_seconds
            closing = measured_closing(slowdown=slower, scoring=scoring)
            seconds = min(seconds, FEATURES_OF_SPARE * ((context.clock.remaining() or 0.0) - closing))
        found = fitter.fit_both(weights, timed.config, until=Moment.now().later(seconds), model=timed.network)
        if not found:
            context.observer.note(
                f"No linear head on features of {weights.model}: there was no time for it, or its features are not "
                "finite, or its scores are not linear in its features."
            )
            continue
        first = first or found[0]
        for head in within_limits(found, basis.fitting):
            yield head_name(Recipe.from_config(head.config), weights), head, timed.row_seconds


def _too_few(first: Head | None, model: str, seconds: float, limit: float | None) -> bool:
    """Return whether the time of a further network holds less than half of the images that the first one has read.

    What reading takes follows from the first one, by the work of both.
    """
    if first is None or limit is None:
        return False
    work = capabilities(model).macs / max(1e-9, capabilities(first.config["model"]).macs)
    return seconds < FEWER * first.seconds * work


def feature_heads(
    splits: SearchSplits,
    metric: str,
    balance: Balance,
    device: Device,
    *,
    seed: int,
    folds: RowFolds | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> FeatureHeads:
    """Return what fits heads on features of pretrained networks, on this device and with this machine's cache."""
    return FeatureHeads(
        splits=splits,
        metric=metric,
        balance=balance,
        seed=seed,
        threads=device.all_threads if device.kind == "cpu" else 1,
        device=device.kind,
        cache=cache_folder(),
        views=1,  # mirror images double the time and gain little: decision 88
        folds=folds,
        should_stop=should_stop,
    )


def within_limits(heads: Sequence[Head], fits: Fitting | None) -> list[Head]:
    """Return the heads that keep the limits of the model: with features from all depths, a network takes longer."""
    return [
        head for head in heads if "depths" not in head.config or fits is None or fits.measured(head.config)
    ]


def _in_time(
    configs: Sequence[Config], context: Context, basis: Basis, weights: Weights, slower: float
) -> TimedNetwork:
    """Return the network of a head at the largest of its sizes whose test fits into the time."""
    info = basis.splits.info.detailed

    def load(config: Config) -> nn.Module:
        return load_model(weights, model_arguments(Recipe.from_config(config), info, weights))

    if context.clock.remaining() is None:
        return TimedNetwork(configs[0], load(configs[0]), 0.0)
    n = basis.splits.info
    rows = Rows(read=min(n.n_train, MOST_TRAIN) + min(n.n_val, MOST_VAL), scored=n.n_holdout)

    def fits(config: Config, seconds: float) -> bool:
        return rows.fit(
            seconds,
            remaining=context.clock.remaining() or 0.0,
            closing=measured_closing(slowdown=slower, scoring=n.n_holdout * seconds),
            smaller=config is not configs[0],
        )

    return largest_in_time(
        configs,
        load=load,
        row_seconds=lambda network, config: _row_seconds(
            network, input_size(Recipe.from_config(config), info), basis
        ),
        fits=fits,
    )


def _row_seconds(network: nn.Module, side: int, basis: Basis) -> float:
    """Measure what scoring a row takes with a network whose input has `side` pixels."""
    info, device = basis.splits.info.detailed, basis.device
    return seconds_per_image(network, info, side, threads=device.all_threads, device=device.kind)


def _networks(pretrained: Pretrained) -> Iterator[tuple[str, Weights, str | None]]:
    """Yield the networks, the best first, with their own way of pooling, then those that are searched with another.

    Without a search for it, the way is None: the network's own.
    """
    searched = {model: choices_of(pretrained.space, model, "global_pool") for model in pretrained.weights}
    for own in (True, False):
        for model, weights in pretrained.weights.items():
            pools = searched[model] if own_pool(model, weights) else ()
            if own and not pools:
                yield model, weights, None
            yield from ((model, weights, str(p)) for p in pools if (p == own_pool(model, weights)) is own)


def _config(recipe: Config, model: str, pool: str | None) -> Config:
    """Return the configuration of a head: the network at the size of its weights, with nothing that augments."""
    config = {**recipe, "model": model, "pretrained": True, "size": head_side(model), "freeze": "head"}
    return {k: v for k, v in config.items() if k != "global_pool"} | ({"global_pool": pool} if pool else {})
