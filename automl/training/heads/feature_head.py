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
from automl.training.heads.features import MOST_TRAIN, MOST_VAL, FeatureReader, Features
from automl.training.heads.fit import (
    Fitting,
    Linear,
    Problem,
    Projection,
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
from automl.training.models.depths.network import MOST_FEATURES, AllDepths, with_all_depths
from automl.training.models.finetune import Classifier
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights, arch, load_model, normalised

READING_SHARE = 0.8  # of the time
LAST_SHARE = 0.5  # of the rest: the head on the last features, if another follows
PROJECTING_SHARE = 0.6  # of what then is left: the components of features from all depths
CHOOSING_SHARE = 0.5  # of what a head has: the strength of its penalty
STOPPED_S = 10.0  # seconds for fits after Ctrl-C
MOST_VALUES = 10**8  # of features from all depths, which are in memory at once


@dataclass(frozen=True, kw_only=True)
class FeatureHeads:
    """Fits heads on features of pretrained networks, which stay as they are, on one data set.

    A head is scored by `metric` on validation rows. `threads` and `device` compute the features, which are kept in the
    folder `cache`. `views` is 1 to read images as they are alone, 2 for their mirror images as well, if there is time.
    With `folds` each head is cross-validated. `should_stop` is called before each batch: then the rows that were read
    count, and fits have STOPPED_S seconds.
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
    should_stop: Callable[[], bool] = lambda: False

    def fit(
        self, weights: Weights, config: Config, *, until: Moment, model: nn.Module | None = None
    ) -> Head | None:
        """Fit a head on the last features of a network until the moment `until`.

        The result is timm's network `config["model"]` with these weights, and the head as its classifier. With less
        time, fewer random rows are read, and no mirror images; where classes are balanced, they take turns. `model` is
        the network, if the caller has built it with the same `model_arguments`.
        Returns None if the score is not finite, no row could be read in time, or its scores are not linear in its
        features. Raises ModelError for weights that cannot be used.
        The strength of the penalty is chosen by the loss, whatever the metric. Folds are fitted with the same strength.
        """
        found = self._fit(weights, config, until, model, depths=False)
        return found[0] if found else None

    def fit_both(
        self, weights: Weights, config: Config, *, until: Moment, model: nn.Module | None = None
    ) -> list[Head]:
        """Fit the head of `fit` and one on features from all depths, which are read together.

        There is none of the second kind if no time is left, or the network does not describe its layers.
        """
        return self._fit(weights, config, until, model, depths=True)

    def _fit(
        self, weights: Weights, config: Config, until: Moment, model: nn.Module | None, *, depths: bool
    ) -> list[Head]:
        begun = Moment.now()
        network = None if until.passed() else _Network.of(self.splits.info, weights, config, model)
        if network is None:
            return []
        whole = network.with_depths(_most_features(self.splits)) if depths else None
        read = self._read(whole or network, until)
        if read is None:
            return []
        if self.should_stop() and until.left() > STOPPED_S:
            until = Moment.now().later(STOPPED_S)
        if whole is None:
            head = self._head(network, read, begun, until)
            return [] if head is None else [head]
        last, deep = whole.apart()
        soon = Moment.now().later(LAST_SHARE * until.left())
        first = self._head(last, _last_columns(read, last.classifier.width), begun, soon)
        if first is None:
            return []
        second = self._on_all(deep, read, begun, until)
        return [first] if second is None else [first, second]

    def _on_all(
        self, network: _Network, read: tuple[Features, Features], begun: Moment, until: Moment
    ) -> Head | None:
        """Fit a head on features from all depths, which are changed; None if there is no time for their components."""
        if not _finite(read):
            return None
        projection = Projection.of(*read, seed=self.seed, seconds=PROJECTING_SHARE * until.left())
        if projection is None:
            return None
        train, val = (projection.apply(part) for part in read)
        return self._head(network, (train, val), begun, until, projection)

    def _head(
        self,
        network: _Network,
        read: tuple[Features, Features],
        begun: Moment,
        until: Moment,
        projection: Projection | None = None,
    ) -> Head | None:
        """Fit a head on features of training and validation rows, which are changed.

        Returns None for features that are not finite, and without a finite score.
        """
        if not _finite(read):
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

        def whole(found: Linear) -> Linear:
            return found if projection is None else projection.fold(found)

        network.set_classifier(whole(scale.fold(layer)))
        full = None
        if not until.passed():
            full = network.copy_with(whole(scale.fold(fitter.fit(_joined(train, val), start=layer))))
        crossed, layers = self._cross_validated(both, fitter, info)
        ranked = Ranked.of(value, answers, crossed, self.folds, info)
        return Head(
            model=network.model,
            full=full,
            # Without hflip, as a predictor would then average over mirror images, and `val_score` is that of one view.
            config={**network.config, "hflip": False, "freeze": "head"},
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
            weights=network.weights,
            answers=ranked.answers,
            out_of_fold=crossed,
            of_folds=tuple(map(whole, layers[1 : crossed.folds]))
            if crossed is not None and ranked.by_folds
            else (),
        )

    @property
    def _in_turns(self) -> bool:
        """Whether classes count alike, so that of few rows those of rare classes come first."""
        return self.balance != "none" and self.splits.info.task == "classification"

    def _read(self, network: _Network, until: Moment) -> tuple[Features, Features] | None:
        """Return the features of training and validation rows; None if there are none."""
        frozen = FrozenNetwork(
            network.model, network.classifier, size=network.size, device=self.device, threads=self.threads
        )
        facts = {} if self.cache is None else network.facts(self.splits)
        cache = FeatureCache(self.cache if facts else None)
        with frozen:
            reader = FeatureReader(frozen, network.info, cache, facts, self.device, self.should_stop)
            end = Moment.now().later(READING_SHARE * until.left())
            return reader.read(
                self.splits, until=end, seed=self.seed, views=self.views, in_turns=self._in_turns
            )

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
    config: Config

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
        return _Network(model, classifier, weights, arguments, info, input_size(recipe, info), config)

    def with_depths(self, most: int) -> _Network | None:
        """Return this network with `most` features from all depths at most; None if it has no layers for them."""
        name = arch(self.config["model"])
        model = with_all_depths(self.model, name, self.arguments, side=self.size, most=most)
        classifier = None if model is None else Classifier.of(model)
        if model is None or classifier is None:
            return None
        return replace(
            self, model=model, classifier=classifier, config={**self.config, "depths": model.every}
        )

    def apart(self) -> tuple[_Network, _Network]:
        """Return a network without its features from all depths, and one with them; this one is used up."""
        assert isinstance(self.model, AllDepths)
        deep, alone = copy.deepcopy(self.model), self.model.released()
        own, deeper = Classifier.of(alone), Classifier.of(deep)
        assert own is not None and deeper is not None  # as this one has them
        config = {name: value for name, value in self.config.items() if name != "depths"}
        return replace(self, model=alone, classifier=own, config=config), replace(
            self, model=deep, classifier=deeper
        )

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
            **({"depths": self.config["depths"]} if "depths" in self.config else {}),
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


def _most_features(splits: SearchSplits) -> int:
    """Return the most features from all depths whose values for all rows fit into the memory."""
    rows = min(splits.train.n, MOST_TRAIN) + min(splits.val.n, MOST_VAL)
    return min(MOST_FEATURES, MOST_VALUES // max(1, rows))


def _finite(read: tuple[Features, Features]) -> bool:
    return all(bool(np.isfinite(part.values).all()) for part in read)


def _last_columns(read: tuple[Features, Features], n: int) -> tuple[Features, Features]:
    """Return copies of the last `n` features."""
    train, val = (replace(part, values=part.values[..., -n:].copy()) for part in read)
    return train, val


def _joined(train: Features, val: Features) -> Features:
    """Return a copy of both parts as one."""
    return Features(
        np.concatenate([train.values, val.values], axis=1),
        torch.cat([train.targets, val.targets]),
        np.concatenate([train.rows, val.rows]),
    )
