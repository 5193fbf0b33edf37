"""Eight-bit numbers for the scoring graph: as many layers as the allowed loss of the metric lets through.

Static quantisation by onnxruntime in its QDQ format: weights signed and per output channel, activations unsigned with
ranges from percentiles over training images (Wu et al. 2020, arXiv 2004.09602). Norms and what lies between
convolutions and products stay in float, and so does the last layer, whose output is the answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from automl.delivery.export.onnx_graph import READY, run
from automl.delivery.needed import require
from automl.errors import ModelError

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[np.float32]
LAYERS = ("Conv", "MatMul", "Gemm")
_PERCENTILE = 99.99
_AT_ONCE = 8
_SCORED = 32  # images by which the cost of a layer is found
_FEW = 10  # one in so many layers stays in float without being asked for
_TRIES = 6  # graphs whose loss is measured, of which each second half of the costly layers is in float


@dataclass(frozen=True)
class Quantised:
    """A graph with layers in int8. `floats` names the layers that stayed in float, the last one aside."""

    graph: onnx.ModelProto
    layers: int
    floats: tuple[str, ...]


class Int8:
    """Makes int8 graphs of a float graph, with activation ranges that are found once.

    `ready` are inputs of the network (N, C, S, S) from training images.
    """

    def __init__(self, graph: onnx.ModelProto, ready: Array) -> None:
        require("onnxruntime", "export")
        self._ready = ready
        with tempfile.TemporaryDirectory() as text, _quiet():
            folder = Path(text)
            self._float = _simplified(graph, folder)
            self._ranges = _ranges(self._float, ready, folder)
        found = [
            node
            for node in self._float.graph.node
            if node.op_type in LAYERS and _has_weights(node, self._float)
        ]
        if not found:
            raise ModelError("the network has no layers that int8 can hold: export it without --int8")
        self._last = found[-1].name
        self.layers = [node.name for node in found[:-1]]

    def quantised(self, floats: Sequence[str] = ()) -> onnx.ModelProto:
        """Return the graph in int8, but for the last layer and those of `floats`."""
        chosen = [name for name in self.layers if name not in set(floats)]
        return self._of(chosen)

    def _of(self, layers: list[str]) -> onnx.ModelProto:
        import copy

        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        with _quiet():
            made = QDQQuantizer(
                copy.deepcopy(self._float),
                per_channel=True,
                reduce_range=False,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=self._ranges,
                nodes_to_quantize=layers,
                nodes_to_exclude=[],
                op_types_to_quantize=list(LAYERS),
                extra_options={"ActivationSymmetric": False, "MinimumRealRange": 1e-6},
            )
            made.quantize_model()
            made.model.topological_sort()
            graph: onnx.ModelProto = made.model.model
        return graph

    def costs(self) -> dict[str, float]:
        """Return for each layer the mean absolute change of the scores if it alone is in int8."""
        some = self._ready[:_SCORED]
        wanted = run(self._float, {READY: some})
        return {
            name: float(np.abs(run(self._of([name]), {READY: some}) - wanted).mean()) for name in self.layers
        }


def within_loss(made: Int8, loss: Callable[[onnx.ModelProto], float], most: float) -> Quantised:
    """Return the int8 graph with the fewest layers in float whose `loss` is at most `most`.

    The few layers that make half of the change of the scores stay in float in any case. If that is not enough, more of
    those that cost most do, found by bisection. Raises ModelError if a graph with half of its layers in float loses
    more.
    """
    costs = made.costs()
    ranked = sorted(costs, key=costs.__getitem__, reverse=True)
    low = _costly(sorted(costs.values(), reverse=True))
    graph = made.quantised(ranked[:low])
    if loss(graph) <= most:
        return Quantised(graph, len(ranked) - low, tuple(ranked[:low]))
    high = max(low, len(ranked) // 2)
    graph = made.quantised(ranked[:high])
    lost = loss(graph)
    if lost > most:
        raise ModelError(
            f"int8 must lose at most {most:.4g} of the metric on validation images, but loses {lost:.4g} with half "
            "of the layers in float: export without --int8, or allow more with --max-loss"
        )
    for _ in range(_TRIES):
        middle = (low + high) // 2
        if middle == low:
            break
        tried = made.quantised(ranked[:middle])
        if loss(tried) <= most:
            high, graph = middle, tried
        else:
            low = middle
    return Quantised(graph, len(ranked) - high, tuple(ranked[:high]))


def _costly(costs: Sequence[float]) -> int:
    """Return how many of the layers, costliest first, make half of all costs, at most a tenth of them."""
    most = len(costs) // _FEW
    total = sum(costs)
    return next((n for n in range(most) if sum(costs[:n]) >= total / 2), most)


def _simplified(graph: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """Return the graph with folded constants and known shapes, as quantisation wants it."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    given, made = folder / "float.onnx", folder / "ready.onnx"
    onnx.save(graph, given)
    try:
        quant_pre_process(given, made, skip_symbolic_shape=True)
    except Exception as error:  # shape inference raises nearly anything
        raise ModelError(
            f"the network cannot be prepared for int8 ({type(error).__name__}: {error})"
        ) from error
    found: onnx.ModelProto = onnx.load(made)
    for place, node in enumerate(found.graph.node):
        node.name = node.name or f"node_{place}"
    return found


def _ranges(graph: onnx.ModelProto, ready: Array, folder: Path) -> Any:
    """Return the range of each activation, from its percentiles over the images."""
    import onnx
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    path = folder / "calibrated.onnx"
    onnx.save(graph, path)
    calibrator = create_calibrator(
        path,
        list(LAYERS),
        augmented_model_path=str(folder / "augmented.onnx"),
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"percentile": _PERCENTILE, "symmetric": False},
    )
    for start in range(0, len(ready), _AT_ONCE):
        calibrator.collect_data(_Reader(ready[start : start + _AT_ONCE]))
    return calibrator.compute_data()


class _Reader:
    """Hands one batch to a calibrator."""

    def __init__(self, ready: Array) -> None:
        self._left = [{READY: ready}]

    def get_next(self) -> dict[str, Array] | None:
        return self._left.pop() if self._left else None

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return iter(self.get_next, None)


def _has_weights(node: onnx.NodeProto, graph: onnx.ModelProto) -> bool:
    """Return whether a layer multiplies with weights: products of two activations gain little and lose much."""
    names = {one.name for one in graph.graph.initializer}
    return any(name in names for name in node.input)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what onnxruntime's quantisation logs and prints."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        logger.setLevel(level)
