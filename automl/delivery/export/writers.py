"""Write a model in each format."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from automl.data.pixels import load_pixels
from automl.delivery.export.graph import Preparation, Scoring, Whole
from automl.delivery.export.onnx_graph import (
    READY,
    joined,
    preparation_graph,
    quiet_exporter,
    scoring_graph,
    session,
    unknown_graph,
)
from automl.delivery.export.rows import Evidence, LabelledImages
from automl.delivery.needed import require
from automl.errors import DataError, ModelError, reason_of
from automl.final.model_folder import Preprocess
from automl.final.predictor import Predictor
from automl.training.models.memory_format import to_cpu
from automl.training.steps.metrics import compute
from automl.training.steps.standard_errors import one_point

if TYPE_CHECKING:
    import onnx

    from automl.delivery.export.int8 import Quantised

Format = Literal["onnx", "openvino", "torch"]
FILES: dict[str, tuple[str, ...]] = {
    "onnx": ("model.onnx",),
    "openvino": ("model.xml", "model.bin"),
    "torch": ("model.pt2",),
}
_EXAMPLES = 8
_CALIBRATION = 128  # images: percentiles of activations change little with more
_CHOOSING = 512  # images by which int8 chooses its layers
_AT_ONCE = 32


@dataclass(frozen=True)
class Job:
    """What is written into `folder`: the predictor's model, by this evidence."""

    predictor: Predictor
    evidence: Evidence
    folder: Path
    int8: bool
    max_loss: float | None
    note: Callable[[str], None]

    @property
    def preprocess(self) -> Preprocess:
        """How images become the input of the network."""
        predictor = self.predictor
        return Preprocess(
            predictor.info, predictor.size, mirrored=predictor.mirrored, temperature=predictor.temperature
        )

    def network(self) -> nn.Module:
        """Return a copy of the network in the contiguous layout, which exporters expect."""
        return to_cpu(copy.deepcopy(self.predictor.model))

    def ready(self, images: LabelledImages) -> tuple[Tensor, npt.NDArray[Any]]:
        """Return the network's input of the readable images, and their targets. Raises DataError for none."""
        preparation, info = Preparation(self.preprocess), self.predictor.info
        found, kept = [], []
        for i in range(len(images)):
            try:
                pixels = torch.from_numpy(load_pixels(images.load(i), info).copy())
            except DataError:
                continue
            found.append(preparation.normalised(pixels.permute(2, 0, 1).unsqueeze(0).float()))
            kept.append(i)
        if not found:
            raise DataError("an export needs images of the data set, but none of them can be read")
        return torch.cat(found), images.targets[kept]


def write_onnx(job: Job) -> Quantised | None:
    """Write model.onnx, and return how much of it is in int8."""
    graph, quantised = _graph(job)
    import onnx

    onnx.save(graph, job.folder / "model.onnx")
    return quantised


def write_openvino(job: Job) -> Quantised | None:
    """Write model.xml and model.bin, made of the ONNX graph."""
    openvino = require("openvino", "openvino")
    graph, quantised = _graph(job)
    import onnx

    path = job.folder / "graph.onnx"
    onnx.save(graph, path)
    try:
        converted = openvino.convert_model(path)
    except Exception as error:  # a converter raises nearly anything
        raise ModelError(f"OpenVINO cannot read the network ({reason_of(error)})") from error
    openvino.save_model(converted, job.folder / "model.xml", compress_to_fp16=False)
    path.unlink()
    return quantised


def write_torch(job: Job) -> Quantised | None:
    """Write model.pt2, a program of torch.export that needs torch alone."""
    whole = Whole(job.network(), job.preprocess, job.predictor.known).eval()
    example = torch.zeros((2, 37, 53, job.predictor.info.in_chans), dtype=torch.uint8)
    sizes = {axis: torch.export.Dim.DYNAMIC for axis in (0, 1, 2)}
    try:
        with quiet_exporter(), torch.no_grad():
            program = torch.export.export(whole, (example,), dynamic_shapes=(sizes,))
    except Exception as error:  # tracing raises nearly anything
        raise ModelError(f"torch cannot export the network ({reason_of(error)})") from error
    torch.export.save(program, job.folder / "model.pt2")
    return None


WRITERS: dict[Format, Callable[[Job], Any]] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "torch": write_torch,
}


def _graph(job: Job) -> tuple[onnx.ModelProto, Quantised | None]:
    """Return the whole graph, and how much of it is in int8."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, "export")
    ready, _ = job.ready(job.evidence.calibration.some(_EXAMPLES))
    known = job.predictor.known
    graph = scoring_graph(Scoring(job.network(), job.preprocess, features=known is not None), ready)
    quantised = _in_int8(graph, job) if job.int8 else None
    preparation = preparation_graph(job.preprocess)
    unknown = None if known is None else unknown_graph(known)
    return joined(preparation, graph if quantised is None else quantised.graph, unknown), quantised


def _in_int8(graph: onnx.ModelProto, job: Job) -> Quantised:
    from automl.delivery.export.int8 import Int8, within_loss

    evidence, task = job.evidence, job.predictor.info.task
    calibration = evidence.calibration.some(_CALIBRATION)
    job.note(f"finding the ranges of int8 on {len(calibration):,} training images")
    made = Int8(graph, job.ready(calibration)[0].numpy())
    job.note(f"finding which of {len(made.layers) + 1:,} layers int8 costs much")
    tensor, targets = job.ready(evidence.choosing.some(_CHOOSING))
    ready = tensor.numpy()
    before = compute(evidence.metric, targets, _scored(graph, ready), task)

    def loss(tried: onnx.ModelProto) -> float:
        now = compute(evidence.metric, targets, _scored(tried, ready), task)
        return before - now if evidence.maximise else now - before

    return within_loss(
        made, loss, one_point(evidence.metric, before) if job.max_loss is None else job.max_loss
    )


def _scored(graph: onnx.ModelProto, ready: npt.NDArray[Any]) -> npt.NDArray[Any]:
    opened = session(graph)
    starts = range(0, len(ready), _AT_ONCE)
    return np.concatenate([opened.run(None, {READY: ready[i : i + _AT_ONCE]})[0] for i in starts])
