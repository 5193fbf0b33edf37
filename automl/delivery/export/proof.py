"""Run an exported file on held-out images, and compare it with the model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.delivery.export.caller import Run, decode
from automl.delivery.export.onnx_graph import difference
from automl.delivery.export.rows import LabelledImages
from automl.errors import DataError
from automl.final.intervals import interval
from automl.final.predictor import Predictor
from automl.records import Interval
from automl.training.steps.metrics import to_labels

Array = npt.NDArray[Any]
_AT_ONCE = 64
_BATCHES = (1, 32)
_PASSES, _SECONDS = 50, 3.0  # of a latency: at most so many passes, and about so many seconds


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a call with `batch` decoded images of height x width, over `passes` calls."""

    batch: int
    p50: float
    p95: float
    passes: int


@dataclass(frozen=True)
class Proof:
    """What an exported file answers for `rows` images, beside the model in torch.

    `difference` is the largest one of their scores (`onnx_graph.difference`), `equal` counts equal answers: all
    classifications, and rows of a regression that differ by less than the tolerance. `unknown_difference` is that of
    the scores that tell unknown images, 0 without them. `unreadable` counts images that were left out.
    """

    rows: int
    unreadable: int
    difference: float
    unknown_difference: float
    equal: int
    metric: str
    value: Interval
    torch_value: float
    latency: tuple[Latency, ...]
    image: tuple[int, int]
    threads: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Exported:
    """An exported model: its `folder`, its size in bytes, and its proof.

    `own_holdout`: the proof is by the holdout of the model's study. `int8` counts layers, 0 for float; `floats` are
    those that stayed in float because they cost too much.
    """

    folder: Path
    format: str
    size: int
    proof: Proof
    own_holdout: bool
    int8: int = 0
    floats: tuple[str, ...] = ()

    @property
    def which(self) -> str:
        """Which images it was proven by, in words."""
        return "held-out" if self.own_holdout else "given"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "folder": str(self.folder),
            "format": self.format,
            "bytes": self.size,
            "own_holdout": self.own_holdout,
            "int8_layers": self.int8,
            "float_layers": list(self.floats),
            **self.proof.to_json(),
        }


def prove(
    run: Run,
    predictor: Predictor,
    images: LabelledImages,
    *,
    model: dict[str, Any],
    metric: str,
    tolerance: float,
    threads: int,
    seed: int = 0,
) -> Proof:
    """Score `images` with an exported file, decoded as its caller decodes them, and with the model.

    Raises DataError if none can be read.
    """
    info = predictor.info
    found, wanted, kept = [], [], []
    unusual: list[tuple[Array, Array]] = []
    example: npt.NDArray[np.uint8] | None = None
    for rows, pixels, ours in _decoded(images, predictor, model):
        outputs = [run(one) for one in pixels]
        found += [output[0][0] for output in outputs]
        mine, features = predictor.predict_with_features(ours)
        wanted.append(mine)
        if predictor.known is not None and features is not None:
            unusual.append((np.array([output[1][0] for output in outputs]), predictor.known.scores(features)))
        kept += rows
        example = pixels[0] if example is None else example
    if example is None:
        raise DataError("an export must be proven on images, but none of the held-out ones can be read")
    theirs, ours_all = np.stack(found), np.concatenate(wanted)
    targets = images.targets[kept]
    if info.task == "regression":
        equal = sum(
            difference(one[None], other[None]) <= tolerance
            for one, other in zip(theirs, ours_all, strict=True)
        )
    else:
        same = to_labels(theirs, info.task) == to_labels(ours_all, info.task)
        equal = int(same.reshape(len(same), -1).all(axis=1).sum())
    return Proof(
        rows=len(kept),
        unreadable=len(images) - len(kept),
        difference=difference(theirs, ours_all),
        unknown_difference=max((difference(one, other) for one, other in unusual), default=0.0),
        equal=equal,
        metric=metric,
        value=interval(metric, targets, theirs, info.task, seed=seed),
        torch_value=interval(metric, targets, ours_all, info.task, seed=seed).value,
        latency=tuple(latency(run, example, batch) for batch in _BATCHES),
        image=(example.shape[1], example.shape[2]),
        threads=threads,
    )


def latency(run: Run, image: npt.NDArray[np.uint8], batch: int) -> Latency:
    """Measure calls with `batch` copies of a decoded image (1, H, W, C)."""
    pixels = np.repeat(image, batch, axis=0)
    run(pixels)  # the first call also allocates
    taken: list[float] = []
    until = time.perf_counter() + _SECONDS
    while len(taken) < _PASSES and (len(taken) < 3 or time.perf_counter() < until):
        begun = time.perf_counter()
        run(pixels)
        taken.append(1e3 * (time.perf_counter() - begun))
    ordered = sorted(taken)
    return Latency(batch, statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))], len(ordered))


def _decoded(
    images: LabelledImages, predictor: Predictor, model: dict[str, Any]
) -> Iterator[tuple[list[int], list[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]]:
    """Yield rows, their pixels for the exported file, and those for the model (B, size, size, C)."""
    from automl.data.pixels import load_pixels, quiet_pillow

    for start in range(0, len(images), _AT_ONCE):
        rows, theirs, ours = [], [], []
        for i in range(start, min(start + _AT_ONCE, len(images))):
            try:
                mine = load_pixels(images.load(i), predictor.info)
                with quiet_pillow():
                    theirs.append(decode(images.load(i), model))
            except DataError:
                continue
            rows.append(i)
            ours.append(mine)
        if rows:
            yield rows, theirs, np.stack(ours)
