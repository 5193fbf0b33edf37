"""The model behind a server: an exported ONNX file in onnxruntime, or the model folder in torch."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.data.pixels import open_header, quiet_pillow, to_pixels
from automl.delivery.export.caller import answer, read_model
from automl.delivery.export.export import described
from automl.delivery.export.model import export_model
from automl.delivery.serve.exported import open_export
from automl.documents.digest import file_digest
from automl.errors import DataError, UsageError
from automl.final.model_folder import WEIGHTS
from automl.final.predictor import Predictor
from automl.records import Resize
from automl.review.studies import find_model

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ServedModel:
    """A model that scores pixels: uint8 (B, size, size, C) to float32 (B, n_outputs).

    A further column says how unknown the images are, if the model knows that. `said` is model.json of an export.
    `runtime` is "onnxruntime" or "torch".
    """

    name: str
    said: dict[str, Any]
    runtime: str
    score: Callable[[Pixels], npt.NDArray[np.float32]]

    def pixels(self, content: bytes) -> Pixels:
        """Return the pixels of an encoded image, (size, size, C). Raises DataError with a short reason."""
        size, resize = int(self.said["size"]), self.said["resize"]
        way: Resize = "squeeze" if resize == "squeeze" else "crop"
        with quiet_pillow():
            image = open_header(content)
            usual = (0.0, 1.0) if image.mode == "F" else (0.0, 65535.0)
            return to_pixels(
                image,
                size=size,
                channels=int(self.said["channels"]),
                resize=way,
                pixel_range=tuple(self.said["pixel_range"]) or usual,
            )

    def answers(self, scores: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
        """Return what the scores of each image mean."""
        n = len(self.said["classes"])
        return [answer([row[:n], *row[n:]], self.said) for row in scores]


def serve_model(
    model: str,
    *,
    directory: str | Path = "studies",
    threads: int = 0,
    note: Callable[[str], None] = lambda text: None,
) -> ServedModel:
    """Open the model of a study, of a model folder or of an ONNX export, with so many threads (0: all).

    A model that was not exported yet is exported first. Where there are no held-out images to prove that by, torch
    answers. Raises UsageError if there is no such model.
    """
    exported = Path(model)
    if not (exported / "model.onnx").is_file():
        folder = find_model(model, directory)
        exported = folder / "onnx"
        if not _is_current(exported, folder):
            try:
                exported = export_model(model, to="onnx", directory=directory, note=note).folder
            except (UsageError, OSError) as error:
                command = f"automl export {shlex.quote(model)} --to onnx"
                note(f"torch answers, more slowly than an ONNX file would, which `{command}` writes: {error}")
                return _in_torch(folder)
    said, score = open_export(exported, threads=threads)
    return ServedModel(str(exported), said, "onnxruntime", score)


def _is_current(exported: Path, folder: Path) -> bool:
    """Return whether there is an export of the weights that are in the model folder now."""
    if not (exported / "model.onnx").is_file():
        return False
    try:
        return bool(read_model(exported).get("model") == file_digest(folder / WEIGHTS))
    except (OSError, ValueError):
        return False


def _in_torch(folder: Path) -> ServedModel:
    predictor = Predictor.load(folder)

    def score(pixels: Pixels) -> npt.NDArray[np.float32]:
        scores, features = predictor.predict_with_features(pixels)
        if predictor.known is None or features is None:
            return scores
        return np.column_stack([scores, predictor.known.scores(features)])

    return ServedModel(str(folder), described(predictor.info), "torch", score)


def require_image(content: bytes, most: int) -> None:
    """Raise DataError for an upload that is empty or too large."""
    if not content:
        raise DataError("empty file")
    if len(content) > most:
        raise DataError(f"larger than {most / 1e6:g} MB")
