"""A linear model on the features of a pretrained network that stays as it is.

On a few hundred photos this is as good as fine-tuning and takes seconds: Kornblith, Shlens and Le 2019, "Do better
ImageNet models transfer better?".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from automl.data.balance import Balance
from automl.data.folds import RowFolds
from automl.documents.digest import file_digest
from automl.machine import Moment
from automl.records import Config, DatasetInfo, SearchSplits
from automl.torch_setup import import_timm
from automl.training.evaluate import Answers, score
from automl.training.heads.feature_cache import FeatureCache, identity_of
from automl.training.heads.features import FeatureReader, Features
from automl.training.heads.fit import (
    Fitting,
    Linear,
    Problem,
    Scale,
    one_blas_thread,
    regression_of,
    solve,
)
from automl.training.heads.frozen_network import FrozenNetwork, classifier_of
from automl.training.heads.out_of_fold import FitOn, cross_validate
from automl.training.heads.record import Head
from automl.training.heads.strength import Choice, choose, stack
from automl.training.models.build import input_size, model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, load_model, normalised
from automl.training.validation.best_round import if_small

READING_SHARE = 0.8  # of the time
CHOOSING_SHARE = 0.5  # of the rest: the strength of the penalty


def fit_feature_head(
    splits: SearchSplits,
    weights: Weights,
    config: Config,
    *,
    metric: str,
    until: Moment,
    balance: Balance = "none",
    seed: int = 0,
    threads: int = 1,
    device: str = "cpu",
    cache: Path | None = None,
    views: int = 2,
    folds: RowFolds | None = None,
    model: nn.Module | None = None,
) -> Head | None:
    """Fit a head on the features of a pretrained network that stays as it is, until the moment `until`.

    The result is timm's network `config["model"]` with these weights, and the head as its classifier. With less time,
    fewer random rows are read, and no mirror images; `views` 1 reads none. Features are kept in the folder `cache`.
    `model` is the network, if the caller has built it with the same `model_arguments`.
    Returns None if the score is not finite, no row could be read in time, or the classifier of the network is not one
    linear layer on its features. Raises ModelError for weights that cannot be used.
    The strength of the penalty is chosen by the loss, whatever the metric. With `folds` the head is cross-validated
    with that strength.
    """
    begun, recipe = Moment.now(), Recipe.from_config(config)
    if until.passed():
        return None
    info = normalised(splits.info.detailed, weights)
    size, arguments = input_size(recipe, info), model_arguments(recipe, info, weights)
    if model is None:
        model = load_model(weights, arguments)
    classifier = classifier_of(model)
    if classifier is None:
        return None
    with FrozenNetwork(model, classifier, size=size, device=device, threads=threads) as network:
        facts = {} if cache is None else _facts(splits, info, weights, arguments, size)
        reader = FeatureReader(network, info, FeatureCache(cache if facts else None), facts, device)
        read = reader.read(
            splits, until=Moment.now().later(READING_SHARE * until.left()), seed=seed, views=views
        )
    if read is None or not all(np.isfinite(part.values).all() for part in read):
        return None
    train, val = read
    problem, scale = Problem.of(info, balance), Scale.of(train)
    joined = None if folds is None else _joined(train, val)  # as the features are
    for part in read:
        scale.apply(part)
    found = _fit(train, problem, until=until, threads=threads, seed=seed)
    answers = _answers(found[1], val)
    value = score(answers.logits, answers.targets, info, metric)[metric]
    if not math.isfinite(value):
        return None
    scale.fold(found[1]).put_into(classifier)
    full = None if until.passed() else _full(model, train, val, problem, scale, found, until)
    choice = found[0]
    crossed, layers = None, list[Linear]()
    if folds is not None and joined is not None:
        layer_on = partial(_layer_on, joined, problem, choice, until)
        crossed = cross_validate(
            joined.rows,
            joined.targets,
            folds,
            _recording(layer_on, joined, layers),
            info=info,
            metric=metric,
            until=until,
        )
    pooled = crossed if folds is not None and folds.scores_trials else None
    return Head(
        model=model,
        full=full,
        # Without hflip, as a predictor would then average over mirror images, and `val_score` is that of one view.
        config={**config, "hflip": False, "freeze": "head"},
        info=info,
        size=size,
        val_score=value if pooled is None else pooled.values[0],
        n_train=len(train),
        n_val=len(val) if pooled is None else len(pooled.rows),
        n_full=len(train) + len(val),
        seconds=Moment.now().after(begun),
        strength=choice.strength,
        estimator=regression_of(info.task),
        views=choice.views,
        weights=weights,
        answers=if_small(answers if pooled is None else pooled.answers, info),
        out_of_fold=crossed,
        of_folds=() if pooled is None else tuple(layers[1 : pooled.folds]),
    )


def _joined(train: Features, val: Features) -> Features:
    """Return a copy of both parts as one."""
    return Features(
        np.concatenate([train.values, val.values], axis=1),
        torch.cat([train.targets, val.targets]),
        np.concatenate([train.rows, val.rows]),
    )


def _layer_on(
    features: Features, problem: Problem, choice: Choice, until: Moment, places: npt.NDArray[np.int64]
) -> Linear:
    """Return the layer, for features as they are, that is fitted on the rows at these positions."""
    some = Features(features.values[:, places], features.targets[torch.from_numpy(places)])
    scale = Scale.of(some)
    scale.apply(some)
    return scale.fold(_solved(some, problem, choice, None, until))


def _recording(
    layer_on: Callable[[npt.NDArray[np.int64]], Linear], features: Features, layers: list[Linear]
) -> FitOn:
    """Return a function for `cross_validate` that appends each layer to `layers`."""

    def fit(places: npt.NDArray[np.int64]) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]:
        layer = layer_on(places)
        layers.append(layer)
        return lambda scored: layer(features.values[0, scored])

    return fit


def _fit(
    train: Features, problem: Problem, *, until: Moment, threads: int, seed: int
) -> tuple[Choice, Linear]:
    """Return strength and views, and the layer for standardised features."""
    choosing = Moment.now().later(CHOOSING_SHARE * until.left())
    choice = choose(train, problem, until=choosing, threads=threads, seed=seed)
    return choice, _solved(train, problem, choice, None, until)


def _solved(rows: Features, problem: Problem, choice: Choice, start: Linear | None, until: Moment) -> Linear:
    x = stack(rows.values, np.arange(len(rows)), choice.views)
    y = np.concatenate([problem.targets(rows.targets)] * choice.views)
    with one_blas_thread():
        how = Fitting(strength=choice.strength, views=choice.views, until=until)
        return solve(problem, x, y, how, start)


def _full(
    model: nn.Module,
    train: Features,
    val: Features,
    problem: Problem,
    scale: Scale,
    found: tuple[Choice, Linear],
    until: Moment,
) -> nn.Module:
    """Return the network fitted on training and validation rows."""
    both = _joined(train, val)
    full = copy.deepcopy(model)
    classifier = classifier_of(full)
    assert classifier is not None  # a copy of the one above
    scale.fold(_solved(both, problem, found[0], found[1], until)).put_into(classifier)
    return full


def _answers(layer: Linear, val: Features) -> Answers:
    """Return the answers for validation images as they are."""
    return Answers(torch.from_numpy(layer(val.values[0])).float(), val.targets, val.rows)


def _facts(
    splits: SearchSplits, info: DatasetInfo, weights: Weights, arguments: dict[str, Any], size: int
) -> dict[str, Any]:
    """Return what features depend on, for the cache; nothing if the images of both parts do not lie together."""
    if splits.train.images_at(info.img_size) != splits.val.images_at(info.img_size):
        return {}
    network = {name: value for name, value in arguments.items() if name != "num_classes"}
    return {
        "data": identity_of(splits.train.images_at(info.img_size)),
        "fingerprint": info.fingerprint,
        "img_size": info.img_size,
        "mean": list(info.mean),
        "std": list(info.std),
        "weights": file_digest(weights.file),
        "model": weights.model,
        "arguments": network,
        "facts": dict(weights.facts),
        "size": size,
        "timm": import_timm().__version__,
    }
