"""Make a model of the weights that a trial left."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path

import numpy as np
from torch import nn

from automl.data import PreparedData
from automl.errors import ModelError, StudyError
from automl.final.confidence.answers import KnownAnswers
from automl.final.evidence.answers import answered
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.retrain import Retrained
from automl.pipeline.deliver.choose import Chosen
from automl.pipeline.deliver.opened import Opened, networks_of, targets_at
from automl.pipeline.retrain.retrain_time import images_of
from automl.records import Config, DatasetInfo, rows_of
from automl.review.front.kept import Where
from automl.review.trials import stored_trials
from automl.search.storage.reader import StoredTrial
from automl.training import checkpoint
from automl.training.cross_validation import read_fold
from automl.training.models.build import model_arguments
from automl.training.models.finetune import begin_with_head, whole_head
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import load_model, normalised

_ABOUT_HEAD = ("weights", "estimator", "strength")  # what a head's trial says beside its configuration


def model_of(opened: Opened, chosen: Chosen, data: PreparedData) -> Alternative:
    """Return the model of a trial with the weights that it left.

    A trained one has the weights that its last score is of; under cross-validation those of the first fold. A linear
    head is fitted on the training rows, and `whole` on the validation rows as well. Raises StorageError for a damaged
    checkpoint and ModelError for a head, or pretrained weights, that cannot be read.
    """
    weights = _Left(opened, chosen, data)
    return weights.head() if chosen.kept.where is Where.HEAD else weights.trained()


def answers_of(model: Alternative, data: PreparedData, device: str) -> KnownAnswers:
    """Return what a model answers for the validation rows, on which it did not train."""
    n = len(data.splits.val)
    none = np.zeros(n, dtype=bool)
    found = answered(model, data.splits.val, np.arange(n), seen=none, device=device).candidate
    return KnownAnswers(targets_at(data)[found.rows], found.scores)


class _Left:
    """What a trial has left: its weights, and how it got them."""

    def __init__(self, opened: Opened, chosen: Chosen, data: PreparedData) -> None:
        self._opened, self._chosen = opened, chosen
        self._info = data.splits.info
        self._networks = networks_of(opened, self._info)

    @cached_property
    def _stored(self) -> StoredTrial:
        _, _, trials = stored_trials(self._opened.study)
        number = self._chosen.row.trial
        found = next((trial for trial in trials if trial.number == number), None)
        if found is None:
            raise StudyError(f"the study's database has no trial {number}: it is of another study")
        return found

    def trained(self) -> Alternative:
        """Return the network of a training, from its checkpoint."""
        trial, place = self._stored, self._chosen.kept.path
        recipe, network = Recipe.from_config(trial.config), self._networks.network(trial.config)
        tensors, _ = read_fold(place) if self._info.folds else checkpoint.read(place)
        prefix = "ema." if recipe.ema > 0.0 else "model."
        built = network.build()
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        try:
            built.load_state_dict(own)
        except RuntimeError as error:
            raise ModelError(
                f"the weights of trial {trial.number} are not of its network ({error!s:.200})"
            ) from error
        share = 1.0 if recipe.pretrained else float(self._opened.plan.get("share", 1.0))
        trained = self._retrained(
            trial.config, built, max(1, int(share * self._info.n_train)), round(trial.epochs or 0.0, 3)
        )
        return Alternative(Delivery.OWN_WEIGHTS, trial.config, trained, trial.value)

    def head(self) -> Alternative:
        """Return a linear head from its files."""
        trial, file = self._stored, self._chosen.kept.path
        said = {name: value for name, value in trial.config.items() if name not in _ABOUT_HEAD}
        config: Config = {"lr": 1.0, "hflip": False, "freeze": "head", **said}
        n_train = int(trial.metrics.get("train_rows", self._info.n_train))
        whole = whole_head(file)
        n_whole = n_train + (rows_of(trial.metrics) or self._info.n_val)
        return Alternative(
            Delivery.HEAD,
            config,
            self._retrained(config, self._fitted(config, file), n_train, 1.0),
            trial.value,
            whole=self._retrained(config, self._fitted(config, whole), min(n_whole, self._rows), 1.0)
            if whole.is_file()
            else None,
        )

    @property
    def _rows(self) -> int:
        return self._info.n_train + self._info.n_val

    def _fitted(self, config: Config, file: Path) -> nn.Module:
        weights = self._networks.weights_of(config)
        if weights is None:
            model = self._networks.network(config).build()
        else:
            recipe, info = Recipe.from_config(config), self._info.detailed
            model = load_model(weights, model_arguments(recipe, info, weights))
        begin_with_head(model, file)
        return model.eval()

    def _retrained(self, config: Config, model: nn.Module, n_train: int, epochs: float) -> Retrained:
        weights = self._networks.weights_of(config)
        info: DatasetInfo = self._info if not config.get("pretrained") else self._info.detailed
        seconds = self._stored.seconds
        return Retrained(
            model=model,
            size=self._networks.network(config).side,
            epochs=epochs,
            seconds=seconds if math.isfinite(seconds) else 0.0,
            n_train=n_train,
            images_trained=images_of(self._stored, self._info),
            info=normalised(info, weights),
            weights=weights,
        )
