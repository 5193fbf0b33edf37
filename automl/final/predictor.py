"""Predict with a model folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from automl.data.decoding.pixel_range import require_amounts
from automl.data.pixels import load_pixels
from automl.data.sources.unlabelled import NamedImage, images_of
from automl.errors import AutomlError, ConfigError, DataError, ModelError, reason_of
from automl.final.confidence.folder import read_threshold
from automl.final.confidence.known_features import (
    KNOWN_FEATURES,
    KnownFeatures,
    last_inputs,
    read_known_features,
)
from automl.final.confidence.selective import Threshold
from automl.final.confidence.temperature import tempered
from automl.final.evaluation.record import Evaluation
from automl.final.loading.answers import require_numbers
from automl.final.loading.network import load_network
from automl.final.loading.preprocess import read_preprocess, typed_labels
from automl.final.model_folder import CONFIG, PREPROCESS, WEIGHTS
from automl.final.scoring import in_float32, to_inference
from automl.final.use.embed import pooled_features
from automl.records import DatasetInfo, ReadOptions
from automl.training.evaluate import EVAL_BATCH, fit_size
from automl.training.hardware.out_of_memory import MicroBatch, parts_of
from automl.training.models.memory_format import at_once
from automl.training.steps.losses import in_units
from automl.training.steps.metrics import to_labels


class Predictor:
    """Predicts labels of images. `Predictor.load` and `automl.load` make one.

    `mirrored`: scores are the mean over an image and its mirror image, as in the scores of the holdout. Set it to
    False to halve the time, with slightly worse predictions. It computes on `device`, always in float32. `folder` is
    the model folder that it was loaded from, None for a model in memory. `temperature` divides the logarithms of
    probabilities, so that these mean what they say.
    """

    def __init__(
        self,
        model: nn.Module,
        info: DatasetInfo,
        size: int,
        *,
        mirrored: bool = False,
        device: str = "cpu",
        folder: Path | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.device = device
        self.folder, self.temperature = folder, temperature
        self.model = to_inference(model, device)
        self.info = info
        self.size = size
        self.mirrored = mirrored
        self._micro_batch = MicroBatch(device)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        factory: str | Callable[..., nn.Module] | None = None,
        device: str = "cpu",
    ) -> Predictor:
        """Return the predictor of a model folder or of a study folder, on `device` ("cpu", "cuda", "cuda:1", ...).

        `factory` is the function that builds the network, or its name, if it is not a model of timm. Nothing in the
        folder runs as code: weights are safetensors, the rest is JSON. Raises ModelError if there is no model or this
        version cannot read it, and ConfigError for a device that does not exist.
        """
        check_device(device)
        folder = Path(path)
        folder = folder / "model" if (folder / "model" / CONFIG).is_file() else folder
        missing = [name for name in (CONFIG, PREPROCESS, WEIGHTS) if not (folder / name).is_file()]
        if missing:
            raise ModelError(
                f"{str(path)!r} must be a finished study or a model folder, but has no {missing[0]}"
            )
        try:
            said = read_preprocess(folder)
            network = load_network(folder, said.info, factory)
        except AutomlError:
            raise
        except Exception as error:  # a wrong type or size in a file raises nearly anything deep inside timm
            raise ModelError(
                f"the model folder {str(folder)!r} cannot be loaded: {reason_of(error)}"
            ) from error
        return cls(
            network,
            said.info,
            said.size,
            mirrored=said.mirrored,
            device=device,
            folder=folder.absolute(),
            temperature=said.temperature,
        )

    def on(self, device: str) -> Predictor:
        """Return this predictor on another device. Raises ConfigError for a device that does not exist."""
        if device == self.device:
            return self
        check_device(device)
        return Predictor(
            self.model,
            self.info,
            self.size,
            mirrored=self.mirrored,
            device=device,
            folder=self.folder,
            temperature=self.temperature,
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `predict_proba`."""
        return self.info.classes

    @property
    def labels(self) -> tuple[Any, ...]:
        """The labels in the type in which `fit` got them, in the order of `classes`."""
        return typed_labels(self.info)

    @property
    def classes_(self) -> np.ndarray:
        """The labels as an array (n_classes,), as estimators of scikit-learn have them."""
        return np.array(self.labels)

    def predict(self, images: Any, *, reject: float | None = None) -> list[Any]:
        """Return for each image its label (classification), list of labels (multilabel) or values (regression).

        `images` are as in `images_of`: paths of images, folders, archives or tables, bytes, open files, PIL images,
        arrays, a DataFrame, a Dataset, or a list of these. Labels have the type in which `fit` got them. `reject=0.95`
        answers only where the answer is right with this frequency, and gives None elsewhere; raises ModelError if that
        cannot be promised.
        """
        least = 0.0 if reject is None else self.threshold(reject).confidence
        scores = self.predict_proba(images)
        decided = to_labels(scores, self.info.task)
        if self.info.task == "classification":
            sure = scores.max(axis=1, initial=0.0) >= least
            return [self.labels[i] if on else None for i, on in zip(decided, sure, strict=True)]
        if self.info.task == "multilabel":
            return [[label for label, on in zip(self.labels, row, strict=True) if on] for row in decided]
        return [row.tolist() for row in decided]

    def threshold(self, frequency: float) -> Threshold:
        """Return from which confidence on answers are right with a frequency, as on images that it did not train on.

        Raises ConfigError for a frequency that is not between 0 and 1, and ModelError if it cannot be promised.
        """
        return read_threshold(self.folder, self.info, frequency)

    def predict_proba(self, images: Any) -> np.ndarray:
        """Return probabilities (n, n_classes), or the predicted values of a regression.

        Raises DataError that names an unreadable image, and ModelError for answers that are no numbers.
        """
        batches = [require_numbers(self.predict_pixels(pixels)) for pixels in self._pixels(images)]
        return np.concatenate(batches) if batches else np.empty((0, len(self.classes)), dtype=np.float32)

    def evaluate(
        self,
        data: Any,
        labels: Any = None,
        *,
        metric: str | None = None,
        split: str | None = None,
        target: str | None = None,
        image_column: str | None = None,
    ) -> Evaluation:
        """Return how good the model is on labelled images: `data` and `labels` are as in `fit`.

        `metric` comes first in the evaluation. `split` ("train", "val" or "test") uses one part of data that have
        several; `target` and `image_column` name columns of a table. What is left out is counted and named in `notes`.
        Raises ConfigError for a metric that does not exist, and DataError if no image has a label that the model knows.
        """
        # Not needed to predict.
        from automl.final.evaluation.labelled import Where
        from automl.final.evaluation.score_data import evaluate_data

        where = Where(ReadOptions(target=target, image_column=image_column), split)
        found = evaluate_data(self, data if labels is None else (data, labels), where=where, metric=metric)
        found.source.close()
        return found.evaluation

    def embed(self, images: Any) -> np.ndarray:
        """Return features of images, float32 (n, d): what the network hands to its classifier.

        They are for search, clustering and other models: images that the network takes for similar have similar
        features. `images` are as in `predict`, and no mirror image counts. Without any image it is (0, d). Raises
        ModelError for a network that is not of timm, and DataError that names an unreadable image.
        """
        batches = [self._features(pixels) for pixels in self._pixels(images)]
        if batches:
            return np.concatenate(batches)
        return self._features(np.zeros((1, self.size, self.size, self.info.in_chans), np.uint8))[:0]

    def explain(self, image: Any, label: Any = None) -> np.ndarray:
        """Return where in an image the network sees a label: float32 (H, W) from 0 to 1, in the size of the image.

        `label` is one of `labels` or `classes`, by default the one with the highest score. See `final.use.explain` for
        the method (LayerCAM). Raises DataError unless it is one image and a known label, and ModelError for a network
        without a feature map.
        """
        from automl.final.use.explain import explained

        return explained(self, image, label)

    def _pixels(self, images: Any) -> Iterator[np.ndarray]:
        """Yield the images in batches, uint8 (B, H, W, C)."""
        named = images_of(images, self.info)
        while chunk := [named_pixels(image, self.info) for image in islice(named, EVAL_BATCH)]:
            yield np.stack(chunk)

    @torch.inference_mode()
    def predict_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Return scores of images from `load_pixels`: uint8 (B, H, W, C) to float32 (B, n_outputs).

        A batch that does not fit into memory is processed in smaller parts.
        """
        images = torch.from_numpy(pixels).to(self.device)
        try:
            with in_float32(self.device):
                found = self._micro_batch.fit(len(images), lambda rows: self._scores(images, rows))
        except (
            AssertionError,
            IndexError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:  # anybody's network
            raise ModelError(f"the network cannot score these images: {reason_of(error)}") from error
        if found.shape != (len(images), self.info.n_outputs):
            raise ModelError(
                f"the network must give {self.info.n_outputs} scores for each image, but gives {tuple(found.shape[1:])}"
            )
        scores: np.ndarray = tempered(found.numpy(), self.temperature, self.info.task)
        return scores

    def predict_with_features(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the scores of `predict_pixels`, and the inputs of the last layer, float32 (B, d); None without one."""
        for _ in range(2):  # again in smaller parts if the first try did not fit into memory
            with last_inputs(self.model) as taken:
                scores = self.predict_pixels(pixels)
            own = taken[:: 2 if self.mirrored else 1]
            if not own or sum(map(len, own)) == len(pixels):
                break
        return scores, torch.cat(own).numpy() if own else None

    def unknown(self, images: Any) -> np.ndarray:
        """Return how unlike the training images each image is: float32 (n,), above 1 as in 5 % of validation images.

        `images` are as in `predict`. Raises ModelError if the model folder has no features of training images, and
        DataError that names an unreadable image.
        """
        if self.known is None:
            raise ModelError(
                f"a model must have {KNOWN_FEATURES} to tell unknown images, but this one has none: it is of an "
                "earlier version, or there was no time to measure them"
            )
        found = [np.empty(0, dtype=np.float32)]
        items = (named_pixels(image, self.info) for image in images_of(images, self.info))
        while chunk := list(islice(items, EVAL_BATCH)):
            _, features = self.predict_with_features(np.stack(chunk))
            assert features is not None, "features are measured through the same layer"
            found.append(self.known.scores(features))
        return np.concatenate(found)

    @cached_property
    def known(self) -> KnownFeatures | None:
        """The features of training images in the model folder, None if there are none. Raises ModelError for damage."""
        return read_known_features(self.folder)

    def _scores(self, images: Tensor, rows: int) -> Tensor:
        most = min(rows, at_once(self.size, self.device, most=EVAL_BATCH))
        parts = images.tensor_split(parts_of(len(images), most))
        return torch.cat([self._part(part).cpu() for part in parts])

    @torch.inference_mode()
    def _features(self, pixels: np.ndarray) -> np.ndarray:
        images = torch.from_numpy(pixels).to(self.device)

        def features(rows: int) -> Tensor:
            most = min(rows, at_once(self.size, self.device, most=EVAL_BATCH))
            parts = images.tensor_split(parts_of(len(images), most))
            return torch.cat([pooled_features(self.model, self.normalised(part)).cpu() for part in parts])

        with in_float32(self.device):
            found: np.ndarray = self._micro_batch.fit(len(images), features).numpy()
        return found

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return pixels (B, H, W, C) of `load_pixels` as the network takes them, float32 (B, C, size, size)."""
        mean = torch.tensor(self.info.mean, device=self.device).view(1, -1, 1, 1)
        std = torch.tensor(self.info.std, device=self.device).view(1, -1, 1, 1)
        images = pixels.permute(0, 3, 1, 2).float().div_(255.0).sub_(mean).div_(std)
        return fit_size(images, self.size)

    def _part(self, pixels: Tensor) -> Tensor:
        images = self.normalised(pixels)
        scores = in_units(self.model(images), self.info)
        if self.mirrored:
            scores = (scores + in_units(self.model(images.flip(3)), self.info)) / 2
        return scores

    def __repr__(self) -> str:
        return f"Predictor({type(self.model).__name__}, {len(self.classes)} classes, {self.size} px)"


def named_pixels(image: NamedImage, info: DatasetInfo) -> np.ndarray:
    """Return `load_pixels` of an image. Raises DataError ("NAME: reason")."""
    try:
        opened = image.load()
        if opened.mode == "F":
            require_amounts(np.asarray(opened), info.pixel_range)
        return load_pixels(opened, info)
    except DataError as error:
        raise DataError(f"{image.name}: {error}") from error


def check_device(device: str) -> None:
    """Raise ConfigError if torch has no such device here."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device must be available to torch, got {device!r}: {reason}") from error
