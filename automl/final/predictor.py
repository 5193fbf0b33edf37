"""The model folder, loaded and ready to predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import nn

from automl.data.pixels import load_pixels, open_picture
from automl.data.sources.arrays import to_images
from automl.errors import DataError, ModelError
from automl.final.model_folder import CONFIG, PREPROCESS, load_network, read_preprocess
from automl.records import DatasetInfo
from automl.training.evaluate import EVAL_BATCH, fit_size
from automl.training.losses import in_units
from automl.training.metrics import to_labels


class Predictor:
    """Predicts labels for pictures; made by `Predictor.load` or `automl.load`.

    `mirrored`: scores are the mean over a picture and its mirror image, as in the scores of the holdout. Set it to
    False for half the time a picture, and predictions that are a little worse.
    """

    def __init__(self, model: nn.Module, info: DatasetInfo, size: int, *, mirrored: bool = False) -> None:
        self.model = model.eval()
        self.info = info
        self.size = size
        self.mirrored = mirrored

    @classmethod
    def load(cls, path: str | Path, *, factory: str | Callable[..., nn.Module] | None = None) -> Predictor:
        """The predictor of a model folder or of a study folder.

        `factory` is the function that makes the network, or its name, where it is no model of timm. Raises ModelError
        when there is no model, or one that this version cannot read. Nothing in the folder is run as code: weights are
        safetensors, the rest is JSON.
        """
        folder = Path(path)
        folder = folder / "model" if (folder / "model" / CONFIG).is_file() else folder
        missing = [
            name for name in (CONFIG, PREPROCESS, "model.safetensors") if not (folder / name).is_file()
        ]
        if missing:
            raise ModelError(
                f"{str(path)!r} must be a finished study or a model folder; it has no {missing[0]}"
            )
        try:
            said = read_preprocess(folder)
            return cls(load_network(folder, factory), said.info, said.size, mirrored=said.mirrored)
        # Whatever a file may hold: a wrong type or size comes up deep inside timm as any of these.
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            MemoryError,
            OSError,
            RuntimeError,
            SafetensorError,
            TypeError,
            ValueError,
        ) as error:
            raise ModelError(f"the model folder {str(folder)!r} cannot be loaded: {error}") from error

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of the columns of `predict_proba`."""
        return self.info.classes

    def predict(self, images: Any) -> list[Any]:
        """One label a picture (classification), the list of labels (multilabel) or the values (regression).

        `images`: paths, PIL images, one array (N, H, W[, C]) or (N, C, H, W), or one of them.
        """
        scores = self.predict_proba(images)
        decided = to_labels(scores, self.info.task)
        if self.info.task == "classification":
            return [self.classes[i] for i in decided]
        if self.info.task == "multilabel":
            return [[c for c, on in zip(self.classes, row, strict=True) if on] for row in decided]
        return [row.tolist() for row in decided]

    def predict_proba(self, images: Any) -> np.ndarray:
        """Probabilities (n, n_classes), or the predicted values for regression.

        Raises DataError naming a picture that cannot be read.
        """
        batches: list[np.ndarray] = []
        chunk: list[np.ndarray] = []
        for image in _each(images):
            chunk.append(load_pixels(image, self.info))
            if len(chunk) == EVAL_BATCH:
                batches.append(self.predict_pixels(np.stack(chunk)))
                chunk = []
        if chunk:
            batches.append(self.predict_pixels(np.stack(chunk)))
        return np.concatenate(batches) if batches else np.empty((0, len(self.classes)), dtype=np.float32)

    @torch.inference_mode()
    def predict_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Scores of pictures that `load_pixels` made: uint8 (B, H, W, C) to float32 (B, n_outputs)."""
        mean = torch.tensor(self.info.mean).view(1, -1, 1, 1)
        std = torch.tensor(self.info.std).view(1, -1, 1, 1)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255.0).sub_(mean).div_(std)
        images = fit_size(images, self.size)
        scores = in_units(self.model(images), self.info)
        if self.mirrored:
            scores = (scores + in_units(self.model(images.flip(3)), self.info)) / 2
        found: np.ndarray = scores.numpy()
        return found

    def __repr__(self) -> str:
        return f"Predictor({type(self.model).__name__}, {len(self.classes)} classes, {self.size} px)"


def _each(images: Any) -> Iterable[Image.Image]:
    """Every picture of what the caller gave, one at a time."""
    if isinstance(images, (str, Path, Image.Image)):
        images = [images]
    if isinstance(images, torch.Tensor):
        images = images.cpu().numpy()
    if isinstance(images, np.ndarray):
        yield from to_images(images)
        return
    if not isinstance(images, (Sequence, Iterable)):
        raise DataError(f"images must be paths, PIL images or an array, not {type(images).__name__}")
    for image in images:
        yield image if isinstance(image, Image.Image) else open_picture(Path(image))
