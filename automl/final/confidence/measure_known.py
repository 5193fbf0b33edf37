"""Measure the features that a delivered model knows, as far as the time allows."""

from __future__ import annotations

import time

import numpy as np

from automl.data.cache.streamed_images import open_images
from automl.final.confidence.known_features import KnownFeatures
from automl.final.predictor import Predictor
from automl.records import Rows

BATCH = 16  # images: small, as the time is short
MOST, FEWEST = {"train": 2000, "val": 500}, {"train": 50, "val": 20}
SHARE, LONGEST = 0.05, 20.0  # of the time limit, and seconds without one
LEAST_S = 0.2  # seconds in which nothing is begun
BUSIER = 1.5  # times the seconds of a row that were measured, in case the machine has become busier
TURNS = 4  # batches of training images for each of validation images


def seconds_for_features(limit: float | None, left: float | None) -> float:
    """Return the seconds that may be used: at most half of those that are left, for results are still to be written."""
    if limit is None or left is None:
        return LONGEST
    return max(0.0, min(SHARE * limit, left / 2, LONGEST))


def measure_known(
    predictor: Predictor, train: Rows, val: Rows, *, seconds: float, seed: int, per_row: float = 0.0
) -> KnownFeatures | None:
    """Return the features of a random sample of training rows, and the threshold from validation rows.

    At most 2,000 and 500 of them, and as many as fit into `seconds`, at about `per_row` seconds each. None if these are
    less than 50 and 20, or if the network has no linear last layer.
    """
    until, rng = time.monotonic() + seconds, np.random.default_rng(seed)
    waiting, found = dict[str, list[np.ndarray]](), {"train": list[np.ndarray](), "val": list[np.ndarray]()}
    images = {}
    for name, rows in (("train", train), ("val", val)):
        index = np.load(rows.index)
        order = rng.permutation(index)[: MOST[name]]
        waiting[name] = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
        images[name] = open_images(rows.images_at(predictor.info.img_size))
    turn, longest = 0, max(LEAST_S, BUSIER * BATCH * per_row)
    while any(waiting.values()) and (begun := time.monotonic()) + longest < until:
        name = "val" if turn % (TURNS + 1) == 0 else "train"
        name = name if waiting[name] else next(other for other in waiting if waiting[other])
        part = waiting[name].pop(0)
        _, features = predictor.predict_with_features(np.ascontiguousarray(images[name][part]))
        if features is None:
            return None
        found[name].append(features)
        turn, longest = turn + 1, max(longest, time.monotonic() - begun)
    if any(sum(map(len, found[name])) < FEWEST[name] for name in found):
        return None
    return KnownFeatures.of(np.concatenate(found["train"]), np.concatenate(found["val"]))
