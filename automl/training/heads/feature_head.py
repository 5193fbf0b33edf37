"""A linear model on the features of a pretrained network that stays as it is.

On a few hundred photos this is as good as fine-tuning and takes seconds: Kornblith, Shlens and Le 2019, "Do better
ImageNet models transfer better?".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
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
from automl.training.heads.frozen_network import FrozenNetwork
from automl.training.heads.out_of_fold import OutOfFold, cross_validate
from automl.training.heads.record import Head, Ranked
from automl.training.heads.strength import Choice, choose, stack
from automl.training.models.build import input_size, model_arguments
from automl.training.models.finetune import Classifier
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, load_model, normalised

READING_SHARE = 0.8  # of the time
CHOOSING_SHARE = 0.5  # of the rest: the strength of the penalty


@dataclass(frozen=True, kw_only=True)
class FeatureHeads:
    """Fits heads on features of pretrained networks, which stay as they are, on one data set.

    A head is scored by `metric` on validation rows. `threads` and `device` compute the features, which are kept in the
    folder `cache`. `views` is 1 to read images as they are alone, 2 for their mirror images as well, if there is time.
    With `folds` each head is cross-validated.
    """

    splits: SearchSplits
    metric: str
    balance: Balance = "none"
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    cache: Path | None = None
    views: int = 2
    folds: RowFolds | None = None

    def fit(
        self, weights: Weights, config: Config, *, until: Moment, model: nn.Module | None = None
    ) -> Head | None:
        """Fit a head on the features of a network until the moment `until`.

        The result is timm's network `config["model"]` with these weights, and the head as its classifier. With less
        time, fewer random rows are read, and no mirror images; where classes are balanced, they take turns. `model` is
        the network, if the caller has built it with the same `model_arguments`.
        Returns None if the score is not finite, no row could be read in time, or its scores are not linear in its
        features. Raises ModelError for weights that cannot be used.
        The strength of the penalty is chosen by the loss, whatever the metric. Folds are fitted with the same strength.
        """
        begun = Moment.now()
        if until.passed():
            return None
        network = _Network.of(self.splits.info, weights, config, model)
        read = None if network is None else self._read(network, until)
        if network is None or read is None:
            return None
        train, val = read
        info = network.info
        # Not standardised: each fold has its own scale.
        both = None if self.folds is None else _joined(train, val)
        scale = Scale.of(train)
        for part in read:
            scale.apply(part)
        fitter = self._fitter(train, info, until)
        layer = fitter.fit(train)
        answers = Answers(torch.from_numpy(layer(val.values[0])).float(), val.targets, val.rows)
        value = score(answers.logits, answers.targets, info, self.metric)[self.metric]
        if not math.isfinite(value):
            return None
        network.set_classifier(scale.fold(layer))
        full = None
        if not until.passed():
            full = network.copy_with(scale.fold(fitter.fit(_joined(train, val), start=layer)))
        crossed, layers = self._cross_validated(both, fitter, info)
        ranked = Ranked.of(value, answers, crossed, self.folds, info)
        return Head(
            model=network.model,
            full=full,
            # Without hflip, as a predictor would then average over mirror images, and `val_score` is that of one view.
            config={**config, "hflip": False, "freeze": "head"},
            info=info,
            size=network.size,
            val_score=ranked.value,
            n_train=len(train),
            n_val=ranked.n,
            n_full=len(train) + len(val),
            seconds=Moment.now().after(begun),
            strength=fitter.choice.strength,
            estimator=regression_of(info.task),
            views=fitter.choice.views,
            weights=weights,
            answers=ranked.answers,
            out_of_fold=crossed,
            of_folds=tuple(layers[1 : crossed.folds]) if crossed is not None and ranked.by_folds else (),
        )

    @property
    def _in_turns(self) -> bool:
        """Whether classes count alike, so that of few rows those of rare classes come first."""
        return self.balance != "none" and self.splits.info.task == "classification"

    def _read(self, network: _Network, until: Moment) -> tuple[Features, Features] | None:
        """Return the features of training and validation rows; None if there are none, or some are not finite."""
        frozen = FrozenNetwork(
            network.model, network.classifier, size=network.size, device=self.device, threads=self.threads
        )
        facts = {} if self.cache is None else network.facts(self.splits)
        cache = FeatureCache(self.cache if facts else None)
        with frozen:
            reader = FeatureReader(frozen, network.info, cache, facts, self.device)
            end = Moment.now().later(READING_SHARE * until.left())
            read = reader.read(
                self.splits, until=end, seed=self.seed, views=self.views, in_turns=self._in_turns
            )
        if read is None or not all(np.isfinite(part.values).all() for part in read):
            return None
        return read

    def _fitter(self, train: Features, info: DatasetInfo, until: Moment) -> _Fitter:
        """Choose the strength of the penalty, and the views, by standardised training rows."""
        if self._in_turns and len(train) < self.splits.train.n:  # classes weigh by the rows that were read
            counts = np.bincount(train.targets.numpy(), minlength=len(info.class_counts))
            info = replace(info, class_counts=tuple(counts.tolist()))
        problem, choosing = Problem.of(info, self.balance), Moment.now().later(CHOOSING_SHARE * until.left())
        choice = choose(train, problem, until=choosing, threads=self.threads, seed=self.seed)
        return _Fitter(problem, choice, until)

    def _cross_validated(
        self, features: Features | None, fitter: _Fitter, info: DatasetInfo
    ) -> tuple[OutOfFold | None, list[Linear]]:
        """Return the cross-validation on features that are not standardised, and the layers in the order of fitting."""
        layers = list[Linear]()
        if features is None or self.folds is None:
            return None, layers

        def fit(places: npt.NDArray[np.int64]) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]:
            layer = fitter.fit_unscaled(features, places)
            layers.append(layer)
            return lambda scored: layer(features.values[0, scored])

        crossed = cross_validate(
            features.rows,
            features.targets,
            self.folds,
            fit,
            info=info,
            metric=self.metric,
            until=fitter.until,
        )
        return crossed, layers


@dataclass(frozen=True)
class _Network:
    """A pretrained network with its classifier. `arguments` are those that it was built with."""

    model: nn.Module
    classifier: Classifier
    weights: Weights
    arguments: dict[str, Any]
    info: DatasetInfo
    size: int

    @staticmethod
    def of(info: DatasetInfo, weights: Weights, config: Config, model: nn.Module | None) -> _Network | None:
        """Build the network, unless it is there; None if it does not end in linear layers."""
        recipe, info = Recipe.from_config(config), normalised(info.detailed, weights)
        arguments = model_arguments(recipe, info, weights)
        if model is None:
            model = load_model(weights, arguments)
        classifier = Classifier.of(model)
        if classifier is None:
            return None
        classifier.silence_others()
        return _Network(model, classifier, weights, arguments, info, input_size(recipe, info))

    def set_classifier(self, layer: Linear) -> None:
        """Set the classifier, for features that are not standardised."""
        _put_into(self.classifier, layer)

    def copy_with(self, layer: Linear) -> nn.Module:
        """Return a copy of the network with another classifier."""
        model = copy.deepcopy(self.model)
        copied = Classifier.of(model)
        assert copied is not None  # as the network has one
        _put_into(copied, layer)
        return model

    def facts(self, splits: SearchSplits) -> dict[str, Any]:
        """Return what features depend on, for the cache; nothing if the images of both parts do not lie together."""
        info, weights = self.info, self.weights
        images = splits.train.images_at(info.img_size)
        if images != splits.val.images_at(info.img_size):
            return {}
        return {
            "data": identity_of(images),
            "fingerprint": info.fingerprint,
            "img_size": info.img_size,
            "mean": list(info.mean),
            "std": list(info.std),
            "weights": file_digest(weights.file),
            "model": weights.model,
            "arguments": {name: value for name, value in self.arguments.items() if name != "num_classes"},
            "facts": dict(weights.facts),
            "size": self.size,
            "timm": import_timm().__version__,
        }


@dataclass(frozen=True)
class _Fitter:
    """Fits layers with one strength of the penalty until the moment `until`."""

    problem: Problem
    choice: Choice
    until: Moment

    def fit(self, rows: Features, start: Linear | None = None) -> Linear:
        """Return the layer for standardised features."""
        x = stack(rows.values, np.arange(len(rows)), self.choice.views)
        y = np.concatenate([self.problem.targets(rows.targets)] * self.choice.views)
        how = Fitting(strength=self.choice.strength, views=self.choice.views, until=self.until)
        with one_blas_thread():
            return solve(self.problem, x, y, how, start)

    def fit_unscaled(self, features: Features, places: npt.NDArray[np.int64]) -> Linear:
        """Return the layer for features as they are, fitted on the rows at these positions."""
        some = Features(features.values[:, places], features.targets[torch.from_numpy(places)])
        scale = Scale.of(some)
        scale.apply(some)
        return scale.fold(self.fit(some))


def _put_into(classifier: Classifier, layer: Linear) -> None:
    classifier.put(
        torch.from_numpy(np.ascontiguousarray(layer.weight)),
        torch.from_numpy(np.ascontiguousarray(layer.bias)),
    )


def _joined(train: Features, val: Features) -> Features:
    """Return a copy of both parts as one."""
    return Features(
        np.concatenate([train.values, val.values], axis=1),
        torch.cat([train.targets, val.targets]),
        np.concatenate([train.rows, val.rows]),
    )
