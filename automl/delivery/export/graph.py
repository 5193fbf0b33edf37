"""A model as one graph, from decoded images to scores: what an exported file holds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from automl.delivery.export.pillow_resize import PillowResize
from automl.final.confidence.known_features import NEIGHBOURS, KnownFeatures, last_inputs
from automl.final.confidence.temperature import TINY
from automl.final.model_folder import Preprocess
from automl.training.evaluate import fit_size
from automl.training.steps.losses import in_units


class Preparation(nn.Module):
    """Makes the network's input of decoded images: resizing as in training, channels first, and normalisation.

    uint8 (B, H, W, C), in RGB order or grey, becomes float32 (B, C, S, S), S pixels a side.
    """

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        info = preprocess.info
        self.resized = PillowResize(info.img_size, info.resize)
        self.size = preprocess.size
        self.register_buffer("mean", torch.tensor(info.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(info.std).view(1, -1, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return the input of the network."""
        return self.normalised(self.resized(images))

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return the input of the network, of pixels 0..255 that have the stored size: float32 (B, C, H, W)."""
        ready: Tensor = fit_size(pixels.div(255.0).sub(self.mean).div(self.std), self.size)
        return ready


class Scoring(nn.Module):
    """Returns scores of the network's input, as `Predictor.predict_pixels` does: float32 (B, n_outputs).

    These are probabilities at the model's temperature, or the values of a regression in the units of its targets, and
    means over an image and its mirror image if the model was trained on both. With `features`, the inputs of the last
    layer follow, float32 (B, d).
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess, *, features: bool = False) -> None:
        super().__init__()
        self.network = network
        self.info = preprocess.info
        self.mirrored = preprocess.mirrored
        self.temperature = preprocess.temperature
        self.features = features

    def forward(self, ready: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the scores, and perhaps the features."""
        images = torch.cat([ready, ready.flip(3)]) if self.mirrored else ready
        if not self.features:
            return self._scores(self.network(images), ready)
        with last_inputs(self.network) as taken:
            outputs = self.network(images)
        return self._scores(outputs, ready), taken[0][: ready.shape[0]]

    def _scores(self, outputs: Tensor, ready: Tensor) -> Tensor:
        """Return the scores at the model's temperature, as `final.confidence.temperature.tempered` does."""
        scores = in_units(outputs, self.info)
        if self.mirrored:
            scores = scores.reshape(2, ready.shape[0], self.info.n_outputs).mean(0)
        if self.temperature == 1.0 or self.info.task == "regression":
            return scores
        logits = scores.clamp(min=TINY).log()
        if self.info.task == "multilabel":
            return ((logits - (1.0 - scores).clamp(min=TINY).log()) / self.temperature).sigmoid()
        return (logits / self.temperature).softmax(dim=1)


class Unknown(nn.Module):
    """Returns how unlike the training images are features (B, d), as `KnownFeatures.scores` does: float32 (B,)."""

    def __init__(self, known: KnownFeatures) -> None:
        super().__init__()
        self.register_buffer("bank", torch.from_numpy(known.features.astype(np.float16)))
        self.bank: Tensor
        self.threshold = known.threshold
        self.nearest = min(NEIGHBOURS, len(known.features))

    def forward(self, features: Tensor) -> Tensor:
        """Return the scores."""
        unit = features / features.norm(dim=1, keepdim=True).clamp(min=1e-12)
        likeness = (unit @ self.bank.float().T).topk(self.nearest, dim=1).values[:, -1]
        unknown: Tensor = (1.0 - likeness) / self.threshold
        return unknown


class Whole(nn.Module):
    """All parts one after the other: uint8 (B, H, W, C) of any H and W to scores (B, n_outputs).

    With the features of training images (`known`), how unknown each image is follows, (B,).
    """

    def __init__(
        self, network: nn.Module, preprocess: Preprocess, known: KnownFeatures | None = None
    ) -> None:
        super().__init__()
        self.preparation = Preparation(preprocess)
        self.scoring = Scoring(network, preprocess, features=known is not None)
        self.unknown = None if known is None else Unknown(known)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return the scores, and perhaps how unknown the images are."""
        ready = self.preparation(images)
        if self.unknown is None:
            scores: Tensor = self.scoring(ready)
            return scores
        scores, features = self.scoring(ready)
        unknown: Tensor = self.unknown(features)
        return scores, unknown
