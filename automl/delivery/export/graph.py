"""A model as one graph, from decoded images to scores: what an exported file holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from automl.delivery.export.pillow_resize import PillowResize
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
    means over an image and its mirror image if the model was trained on both.
    """

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.network = network
        self.info = preprocess.info
        self.mirrored = preprocess.mirrored
        self.temperature = preprocess.temperature

    def forward(self, ready: Tensor) -> Tensor:
        """Return the scores."""
        if not self.mirrored:
            return self._tempered(in_units(self.network(ready), self.info))
        both = in_units(self.network(torch.cat([ready, ready.flip(3)])), self.info)
        return self._tempered(both.reshape(2, ready.shape[0], self.info.n_outputs).mean(0))

    def _tempered(self, scores: Tensor) -> Tensor:
        """Return the scores at the model's temperature, as `final.confidence.temperature.tempered` does."""
        if self.temperature == 1.0 or self.info.task == "regression":
            return scores
        logits = scores.clamp(min=TINY).log()
        if self.info.task == "multilabel":
            return ((logits - (1.0 - scores).clamp(min=TINY).log()) / self.temperature).sigmoid()
        return (logits / self.temperature).softmax(dim=1)


class Whole(nn.Module):
    """The two parts one after the other: uint8 (B, H, W, C) of any H and W to scores (B, n_outputs)."""

    def __init__(self, network: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.preparation = Preparation(preprocess)
        self.scoring = Scoring(network, preprocess)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores."""
        scores: Tensor = self.scoring(self.preparation(images))
        return scores
