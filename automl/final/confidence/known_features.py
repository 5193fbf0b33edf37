"""Whether an image is like those that a model was trained on: the distance to the nearest training features.

The score is the cosine distance to the fifth nearest of a sample of training images, by what the network's last layer
sees (Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors", ICML), divided by the distance that
95 % of validation images stay below. So 1 is where an image becomes unusual.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn

from automl.errors import ModelError, reason_of

Array = npt.NDArray[Any]
KNOWN_FEATURES = "known_features.safetensors"
NEIGHBOURS = 5
USUAL = 0.95  # share of validation images that are not unusual
LEAST_DISTANCE = 1e-4  # float16 holds no smaller differences
_TENSOR, _THRESHOLD = "features", "threshold"
_MOST_BYTES = 2**27


@dataclass(frozen=True)
class KnownFeatures:
    """Features (m, d) of training images, float16 and of length 1, and the distance at which images become unusual."""

    features: Array
    threshold: float

    @classmethod
    def of(cls, training: Array, validation: Array) -> KnownFeatures:
        """Return what features of training images (m, d) know, with the threshold from validation images (n, d)."""
        known = cls(_unit(training).astype(np.float16), 1.0)
        threshold = float(np.quantile(known.scores(validation), USUAL))
        return cls(known.features, max(threshold, LEAST_DISTANCE))

    def scores(self, features: Array) -> Array:
        """Return for features (n, d) how unusual they are: float32 (n,), above 1 as in 5 % of validation images.

        What is not finite is as unusual as can be.
        """
        bank = self.features.astype(np.float32)
        place = max(0, len(bank) - NEIGHBOURS)
        likeness = np.partition(np.nan_to_num(_unit(features)) @ bank.T, place, axis=1)[:, place]
        return np.asarray((1.0 - likeness) / self.threshold, dtype=np.float32)


def write_known_features(folder: Path, known: KnownFeatures) -> None:
    """Write the features into a model folder, at once. Raises OSError."""
    temporary = folder / f".{KNOWN_FEATURES}.{os.getpid()}"
    try:
        said = {_THRESHOLD: repr(known.threshold)}
        save_file({_TENSOR: np.ascontiguousarray(known.features)}, temporary, metadata=said)
        temporary.replace(folder / KNOWN_FEATURES)
    finally:
        temporary.unlink(missing_ok=True)


def read_known_features(folder: Path | None) -> KnownFeatures | None:
    """Return the features in a model folder; None if it has none. Raises ModelError if they cannot be read."""
    file = None if folder is None else folder / KNOWN_FEATURES
    if file is None or not file.is_file():
        return None
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        with safe_open(file, framework="numpy") as tensors:
            features = tensors.get_tensor(_TENSOR)
            threshold = float((tensors.metadata() or {})[_THRESHOLD])
        whole = features.ndim == 2 and features.dtype == np.float16 and features.size > 0
        if not whole or not np.isfinite(features).all() or not (math.isfinite(threshold) and threshold > 0):
            raise ValueError("it must hold finite features and a threshold above 0")
    except Exception as error:  # safetensors has an error of its own, and raises others
        raise ModelError(f"{str(file)!r} cannot be read: {reason_of(error)}") from error
    return KnownFeatures(features, threshold)


@contextmanager
def last_inputs(network: nn.Module) -> Iterator[list[Tensor]]:
    """Yield a list that gets the inputs of the network's last layer, (B, d) of each pass, on the CPU.

    It stays empty for a network without a linear last layer.
    """
    taken: list[Tensor] = []
    layer = _last_layer(network)
    if layer is None:
        yield taken
        return
    hook = layer.register_forward_pre_hook(lambda _, given: taken.append(given[0].flatten(1).float().cpu()))
    try:
        yield taken
    finally:
        hook.remove()


def _last_layer(network: nn.Module) -> nn.Module | None:
    """Return the classifier of a timm network, or else the last linear layer."""
    get: Any = getattr(network, "get_classifier", None)
    found = get() if callable(get) else None
    if isinstance(found, nn.Linear | nn.Conv2d):
        return found
    return next((layer for layer in reversed(list(network.modules())) if isinstance(layer, nn.Linear)), None)


def _unit(features: Array) -> Array:
    values = features.astype(np.float32)
    found: Array = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return found
