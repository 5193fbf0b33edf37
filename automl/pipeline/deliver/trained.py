"""Make a model of the weights that a trial left."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from automl.data import PreparedData
from automl.errors import ModelError, StudyError
from automl.final.confidence.answers import KnownAnswers
from automl.final.evidence.answers import answered
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.predictor import Predictor
from automl.final.retrain import Retrained
from automl.pipeline.deliver.opened import Opened, networks_of, targets_at
from automl.pipeline.retrain.retrain_time import images_of
from automl.records import Config, DatasetInfo, rows_of
from automl.review.front.networks import StudyNetworks
from automl.review.trials import stored_trials
from automl.search.storage.reader import StoredTrial
from automl.training import checkpoint
from automl.training.cross_validation import read_fold
from automl.training.models.build import load_for_head
from automl.training.models.finetune import begin_with_head, whole_head
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import normalised

_ABOUT_HEAD = ("weights", "estimator", "strength")  # what a head's trial says beside its configuration


def model_of(opened: Opened, number: int, weights: Path, data: PreparedData) -> Alternative:
    """Return the model of a trial with the weights that it left. Raises as `LeftWeights` does."""
    info = data.splits.info
    _, _, trials = stored_trials(opened.study)
    trial = next((one for one in trials if one.number == number), None)
    if trial is None:
        raise StudyError(f"the study's database has no trial {number}: it is of another study")
    share = float(opened.plan.get("share", 1.0))
    return LeftWeights(networks_of(opened, info), trial, weights, share).model()


def teacher_of(opened: Opened, retrain: Mapping[str, Any], predictor: Predictor) -> Alternative:
    """Return a model that was made but not delivered, by its entry `retrain` of result.json and its predictor."""
    config: Config = dict(retrain["config"])
    trained = Retrained(
        model=predictor.model,
        size=predictor.size,
        epochs=float(retrain["epochs"]),
        seconds=float(retrain["seconds"]),
        n_train=int(retrain["n_train"]),
        images_trained=int(retrain["images"]),
        info=predictor.info,
        weights=networks_of(opened, predictor.info).weights_of(config),
    )
    return Alternative(Delivery(retrain["how"]), config, trained, mirrored=predictor.mirrored)


def trained_of(opened: Opened, number: int, data: PreparedData) -> tuple[float, int]:
    """Return for how many epochs a trial trained, and on how many images in all."""
    _, _, trials = stored_trials(opened.study)
    trial = next(one for one in trials if one.number == number)
    return trial.epochs or 0.0, images_of(trial, data.splits.info)


def answers_of(model: Alternative, data: PreparedData, device: str) -> KnownAnswers:
    """Return what a model answers for the validation rows, on which it did not train."""
    n = len(data.splits.val)
    none = np.zeros(n, dtype=bool)
    found = answered(model, data.splits.val, np.arange(n), seen=none, device=device).candidate
    return KnownAnswers(targets_at(data)[found.rows], found.scores)


class LeftWeights:
    """The weights that a trial has left at `path`, a checkpoint or the file of a head.

    Trials from scratch trained on this `share` of the training rows.
    """

    def __init__(self, networks: StudyNetworks, trial: StoredTrial, path: Path, share: float = 1.0) -> None:
        self._networks, self._trial, self._path, self._share = networks, trial, path, share
        self._info = networks.info

    def model(self) -> Alternative:
        """Return the model of the trial.

        A trained one has the weights that its last score is of; under cross-validation those of the first fold. A
        linear head is fitted on the training rows, and `whole` on the validation rows as well. Raises StorageError for
        a damaged checkpoint, and ModelError for a head, or pretrained weights, that cannot be read.
        """
        return self._head() if self._trial.is_head else self._trained()

    def _trained(self) -> Alternative:
        trial, config = self._trial, self._trial.config
        recipe, network = Recipe.from_config(config), self._networks.network(config)
        tensors, _ = read_fold(self._path) if self._info.folds else checkpoint.read(self._path)
        prefix = "ema." if recipe.ema > 0.0 else "model."
        built = network.build()
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        try:
            built.load_state_dict(own)
        except RuntimeError as error:
            raise ModelError(
                f"the weights of trial {trial.number} are not of its network ({error!s:.200})"
            ) from error
        share = 1.0 if recipe.pretrained else self._share
        n_train, epochs = max(1, int(share * self._info.n_train)), round(trial.epochs or 0.0, 3)
        trained = self._retrained(config, built, n_train, epochs)
        return Alternative(Delivery.OWN_WEIGHTS, config, trained, trial.value)

    def _head(self) -> Alternative:
        trial, file, rows = self._trial, self._path, self._info.n_train + self._info.n_val
        said = {name: value for name, value in trial.config.items() if name not in _ABOUT_HEAD}
        config: Config = {"lr": 1.0, "hflip": False, "freeze": "head", **said}
        n_train, whole = int(trial.metrics.get("train_rows", self._info.n_train)), whole_head(file)
        n_whole = min(n_train + (rows_of(trial.metrics) or self._info.n_val), rows)
        first = self._retrained(config, self._fitted(config, file), n_train, 1.0)
        both = self._retrained(config, self._fitted(config, whole), n_whole, 1.0) if whole.is_file() else None
        return Alternative(Delivery.HEAD, config, first, trial.value, whole=both)

    def _fitted(self, config: Config, file: Path) -> nn.Module:
        weights = self._networks.weights_of(config)
        if weights is None:
            model = self._networks.network(config).build()
        else:
            model = load_for_head(Recipe.from_config(config), self._info.detailed, weights)
        begin_with_head(model, file)
        return model.eval()

    def _retrained(self, config: Config, model: nn.Module, n_train: int, epochs: float) -> Retrained:
        weights = self._networks.weights_of(config)
        info: DatasetInfo = self._info if not config.get("pretrained") else self._info.detailed
        seconds = self._trial.seconds
        return Retrained(
            model=model,
            size=self._networks.network(config).side,
            epochs=epochs,
            seconds=seconds if math.isfinite(seconds) else 0.0,
            n_train=n_train,
            images_trained=images_of(self._trial, self._info),
            info=normalised(info, weights),
            weights=weights,
        )
