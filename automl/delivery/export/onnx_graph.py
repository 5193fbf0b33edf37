"""Make an ONNX graph of a model, and check that it computes what torch does."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from automl.delivery.export.graph import Preparation, Scoring, Unknown
from automl.delivery.needed import require
from automl.errors import ModelError, reason_of
from automl.final.confidence.known_features import KnownFeatures
from automl.final.model_folder import Preprocess

if TYPE_CHECKING:
    import onnx

OPSET = 18
IMAGES, READY, SCORES, FEATURES, UNKNOWN = "images", "ready", "scores", "features", "unknown"
TOLERANCE = 1e-4  # of scores, as `difference` says
_Names = tuple[str, ...]
_Exporter = Callable[[nn.Module, Tensor, str, _Names, tuple[int, ...]], "onnx.ModelProto"]


@lru_cache(maxsize=4)
def preparation_graph(preprocess: Preprocess) -> onnx.ModelProto:
    """Return the graph from decoded images, of any number and size, to the input of the network."""
    example = torch.zeros((2, 37, 53, preprocess.info.in_chans), dtype=torch.uint8)
    return _quietly(_exported, Preparation(preprocess), example, IMAGES, (READY,), (0, 1, 2))


def scoring_graph(scoring: Scoring, ready: Tensor) -> onnx.ModelProto:
    """Return the graph from the network's input (B, C, S, S) to scores, and to features if `scoring` gives them.

    torch's exporter is tried first, and the older one where its graph gives other scores of `ready` than torch. Raises
    ModelError with both reasons if neither gives the same.
    """
    names = (SCORES, FEATURES) if scoring.features else (SCORES,)
    with torch.inference_mode():
        answer = scoring(ready)
    wanted = (answer if isinstance(answer, Tensor) else answer[0]).numpy()
    failed = []
    exporters: tuple[tuple[str, _Exporter], ...] = (("torch.export", _exported), ("tracing", _traced))
    for name, exporter in exporters:
        try:
            made = _quietly(exporter, scoring, ready, READY, names, (0,))
            found = run(made, {READY: ready.numpy()})
        except Exception as error:  # exporters and runtimes raise nearly anything
            failed.append(f"{name}: {reason_of(error)}")
            continue
        off = difference(found, wanted)
        if off <= TOLERANCE:
            return made
        failed.append(f"{name}: scores differ by {off:.2g}")
    raise ModelError(f"the network cannot be written as ONNX ({'; '.join(failed)})")


def unknown_graph(known: KnownFeatures) -> onnx.ModelProto:
    """Return the graph from features to how unknown an image is."""
    example = torch.zeros((2, known.features.shape[1]))
    return _quietly(_exported, Unknown(known), example, FEATURES, (UNKNOWN,), (0,))


def joined(
    preparation: onnx.ModelProto, scoring: onnx.ModelProto, unknown: onnx.ModelProto | None = None
) -> onnx.ModelProto:
    """Return one graph of these, from decoded images to scores, and to how unknown they are."""
    import onnx

    found = _merged(preparation, scoring, READY, "prepare/")
    if unknown is not None:
        found = _merged(found, unknown, FEATURES, "score/")
    found.producer_name = "automl"
    onnx.checker.check_model(found)
    return found


def _merged(one: onnx.ModelProto, other: onnx.ModelProto, between: str, prefix: str) -> onnx.ModelProto:
    """Return the graph in which `other` takes the output `between` of `one`, whose inner names get a prefix."""
    from onnx import compose

    first = compose.add_prefix(one, prefix, rename_inputs=False, rename_outputs=False)
    first.ir_version = other.ir_version = min(first.ir_version, other.ir_version)
    merged: onnx.ModelProto = compose.merge_models(first, other, io_map=[(between, between)])
    return merged


def session(model: onnx.ModelProto | bytes | str, *, threads: int = 0) -> Any:
    """Return an onnxruntime session on the CPU with so many threads, 0 for its own number."""
    runtime = require("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = model if isinstance(model, (bytes, str)) else model.SerializeToString()
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto, inputs: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
    """Return the first output of a graph."""
    found: npt.NDArray[np.float32] = session(model).run(None, inputs)[0]
    return found


def difference(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """Return the largest difference of scores, divided by the largest of them where that is above 1.

    Probabilities are compared as they are, and values of a regression relative to their size. NaN counts as infinite.
    """
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    unit = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    return float(np.abs(found.astype(np.float64) - wanted).max(initial=0.0)) / unit


def _exported(
    module: nn.Module, example: Tensor, given: str, made: _Names, dynamic: tuple[int, ...]
) -> onnx.ModelProto:
    program = torch.onnx.export(
        module.eval(),
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[given],
        output_names=list(made),
        dynamic_shapes=({axis: torch.export.Dim.DYNAMIC for axis in dynamic},),
        verbose=False,
    )
    assert program is not None
    found: onnx.ModelProto = program.model_proto
    return found


def _traced(
    module: nn.Module, example: Tensor, given: str, made: _Names, dynamic: tuple[int, ...]
) -> onnx.ModelProto:
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(
            module.eval(),
            (example,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[given],
            output_names=list(made),
            dynamic_axes={
                given: {axis: f"size_{axis}" for axis in dynamic},
                **{name: {0: "size_0"} for name in made},
            },
        )
        return onnx.load(path)


def _quietly(exporter: _Exporter, *arguments: Any) -> onnx.ModelProto:
    """Run an exporter without what it prints and warns."""
    with quiet_exporter():
        return exporter(*arguments)


@contextlib.contextmanager
def quiet_exporter() -> Iterator[None]:
    """Suppress what torch's exporters print, log and warn of."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            Path(os.devnull).open("w") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
