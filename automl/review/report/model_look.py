"""A look at the delivered model: how fast it answers, how large it is, and where it looks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from automl.errors import AutomlError
from automl.final.evidence.words import delivered_config
from automl.final.predictor import Predictor
from automl.review.page.thumbnails import Load, data_url, small
from automl.review.studies import WEIGHTS_FILE, StudyFolder
from automl.spaces.architectures.factories import is_built_in, is_factory

REPEATS, SECONDS = 15, 1.0  # answers to one image that are timed, and the most time for them
MOST_LOOKS = 24
DIM = 0.2  # of the light where the model does not look


@dataclass(frozen=True)
class Speed:
    """The median time of one answer in milliseconds, of so many `repeats`, with `threads` on a `device`."""

    ms: float
    repeats: int
    device: str
    threads: int


def load_model(study: StudyFolder, result: Mapping[str, Any]) -> tuple[Predictor | None, str]:
    """Return the delivered model, or None and why it is not loaded.

    A network of the user's own is code, so a report does not run it.
    """
    name = str(delivered_config(result).get("model", ""))
    if is_factory(name) and not is_built_in(name):
        return None, "the network is the user's own code, which a report does not run"
    try:
        return Predictor.load(study.model_dir, factory=name if is_built_in(name) else None), ""
    except (AutomlError, OSError) as error:
        return None, str(error)


def measure_speed(predictor: Predictor, seconds: float = SECONDS) -> Speed:
    """Return how long the model takes for one image, decoded already, after one answer that is not counted."""
    side, channels = predictor.info.img_size, predictor.info.in_chans
    pixels = np.zeros((1, side, side, channels), dtype=np.uint8)
    predictor.predict_pixels(pixels)
    begun, taken = time.perf_counter(), list[float]()
    while len(taken) < REPEATS and (not taken or time.perf_counter() - begun < seconds):
        start = time.perf_counter()
        predictor.predict_pixels(pixels)
        taken.append(time.perf_counter() - start)
    return Speed(1000 * median(taken), len(taken), predictor.device, torch.get_num_threads())


def weights_bytes(study: StudyFolder) -> int | None:
    """Return the bytes of the file of weights, None without one."""
    try:
        return (study.model_dir / WEIGHTS_FILE).stat().st_size
    except OSError:
        return None


@dataclass
class Looks:
    """Where the model looks, as a thumbnail that is bright there: LayerCAM of the answer (`final.use.explain`).

    At most 24 images, and none after the moment `until` of `time.monotonic`.
    """

    predictor: Predictor | None
    load: Load | None
    until: float = float("inf")
    left: int = MOST_LOOKS

    def __call__(self, file: str) -> str:
        """Return the data URL for an image by its name; "" where it cannot be made."""
        if self.predictor is None or self.load is None or not self.left or time.monotonic() >= self.until:
            return ""
        self.left -= 1
        try:
            image = self.load(file)
            image.load()
            heat = self.predictor.explain(image)
            light = small(Image.fromarray((255 * heat).astype(np.uint8))).astype(np.float32) / 255
            if not light.max() > 0:
                return ""
            pixels = small(image).astype(np.float32) * (DIM + (1 - DIM) * light)
        except (AutomlError, OSError):  # a network without a map, an image that is gone
            return ""
        return data_url(pixels.astype(np.uint8))
