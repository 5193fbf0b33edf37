"""Score a finished model on validation rows, as it would be delivered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.data.cache.streamed_images import open_images
from automl.final.evidence.candidates import Alternative, Candidate, Positions
from automl.final.predictor import Predictor
from automl.records import Rows
from automl.training.evaluate import PART_BATCH
from automl.training.steps.losses import in_units


@dataclass(frozen=True)
class Answered:
    """A candidate, and the `seconds` that scoring its rows took, of which `first` are those of the first batch."""

    candidate: Candidate
    seconds: float
    first: float = 0.0

    @property
    def seconds_per_row(self) -> float:
        """Seconds to score a row, with its mirror image if the model takes both; NaN without rows.

        Without those of the first batch, if there are others: it also pays for setup.
        """
        n = len(self.candidate.rows)
        if self.is_measured:
            return (self.seconds - self.first) / (n - PART_BATCH)
        return self.seconds / n if n else float("nan")

    @property
    def is_measured(self) -> bool:
        """Whether there is a batch that paid for no setup."""
        return self.first > 0.0 and len(self.candidate.rows) > PART_BATCH


def remembered(
    model: Alternative, val: Rows, order: Positions, *, seen: npt.NDArray[np.bool_], seconds_per_row: float
) -> Answered | None:
    """Return the scores that a head on features gave when it was fitted, for the validation rows at `order`.

    Scoring it again would take as long as reading its features did: `seconds_per_row`. None if it is no such head, or
    has not answered for all of these rows.
    """
    known, index = model.answers, np.load(val.index)[order]
    if (
        known is None
        or model.trained.weights is None
        or not len(order)
        or not np.isin(index, known.rows).all()
    ):
        return None
    place = np.argsort(known.rows)
    place = place[np.searchsorted(known.rows, index, sorter=place)]
    scores = in_units(known.logits, model.trained.info).numpy()[place]
    return Answered(Candidate(model, order, scores, seen, seconds_per_row), seconds_per_row * len(order))


def answered(
    model: Alternative,
    val: Rows,
    order: Positions,
    *,
    seen: npt.NDArray[np.bool_],
    device: str,
    until: float | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Answered:
    """Score `model` on the validation rows at the positions `order`, as many as fit before `until` (time.monotonic()).

    At least one batch is scored, unless `until` has passed, or `should_stop` returns True: it is called before each.
    """
    trained = model.trained
    predictor = Predictor(
        trained.model, trained.info, trained.size, mirrored=model.is_mirrored, device=device
    )
    images, index = open_images(val.images_at(trained.info.img_size)), np.load(val.index)
    begun, scores, done, first = time.monotonic(), list[np.ndarray](), 0, 0.0
    for start in range(0, len(order), PART_BATCH):
        late = until is not None and time.monotonic() >= until
        if late or (should_stop is not None and should_stop()):
            break
        part = order[start : start + PART_BATCH]
        scores.append(predictor.predict_pixels(np.ascontiguousarray(images[index[part]])))
        done += len(part)
        first = first or time.monotonic() - begun
    empty = np.empty((0, trained.info.n_outputs), dtype=np.float32)
    candidate = Candidate(model, order[:done], np.concatenate(scores) if scores else empty, seen)
    return Answered(candidate, time.monotonic() - begun, first)
