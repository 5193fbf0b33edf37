"""Open an ONNX export that anybody may have made, and refuse what no export of automl has."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from automl.delivery.export.caller import read_model
from automl.delivery.export.onnx_graph import IMAGES, session
from automl.errors import AutomlError, ModelError, reason_of
from automl.final.loading.preprocess import MAX_SIZE
from automl.records import Resize, Task

Score = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def open_export(folder: Path, *, threads: int = 0) -> tuple[dict[str, Any], Score]:
    """Return model.json and the function that scores pixels. Raises ModelError if they are not of one export."""
    said = _described(folder)
    try:
        opened = session(str(folder / "model.onnx"), threads=threads)

        def score(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            return np.column_stack(opened.run(None, {IMAGES: pixels}))

        side, n = said["size"], len(said["classes"])
        found = score(np.zeros((1, side, side, said["channels"]), np.uint8))
        if found.shape not in ((1, n), (1, n + 1)) or not np.isfinite(found).all():
            raise ValueError(f"{found[0].tolist()!r:.80} as the scores of {n} classes")
    except AutomlError:
        raise
    except Exception as error:  # onnxruntime raises nearly anything
        raise ModelError(
            f"{str(folder)!r} must be an export of automl, but its model.onnx does not score what its model.json "
            f"describes ({reason_of(error)})"
        ) from error
    return said, score


def _described(folder: Path) -> dict[str, Any]:
    try:
        said = read_model(folder)
        if not isinstance(said, dict):
            raise ValueError("it must hold one JSON object")
        wrong = next((name for name, fits in _FITS.items() if not fits(said[name])), None)
        if wrong is not None:
            raise ValueError(f"{wrong} cannot be {said[wrong]!r:.80}")
    except (OSError, ValueError, KeyError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else reason_of(error)
        raise ModelError(
            f"{str(folder)!r} must be an export of automl, but its model.json is not ({reason})"
        ) from error
    return said


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _are_classes(value: Any) -> bool:
    texts = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return texts and len(value) > 0 and len(set(value)) == len(value)


def _is_range(value: Any) -> bool:
    """Return whether the value is black and white, or empty for images of 8 bits."""
    numbers = isinstance(value, list) and all(
        isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in value
    )
    return numbers and (not value or (len(value) == 2 and value[0] < value[1]))


_FITS: dict[str, Callable[[Any], bool]] = {
    "format": lambda value: _is_whole(value, 1, 1),
    "task": lambda value: value in get_args(Task),
    "classes": _are_classes,
    "size": lambda value: _is_whole(value, 1, MAX_SIZE),
    "channels": lambda value: _is_whole(value, 1, 3) and value != 2,
    "pixel_range": _is_range,
    "resize": lambda value: value in get_args(Resize),
}
