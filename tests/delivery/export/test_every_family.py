"""Every kind of network of the preset for CPUs can be exported: its graph scores as torch does, in each format.

A kind is what one module of timm builds, and its smallest network stands for it. `python -m benchmarks.delivery
families` does this for every family of all presets, which takes ten minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.delivery.export.onnx_graph import TOLERANCE
from automl.spaces import capabilities
from automl.torch_setup import import_timm
from benchmarks.delivery.families import difference_by_format, smallest

for needed in ("onnxruntime", "onnxscript", "openvino"):
    pytest.importorskip(needed)
pytestmark = pytest.mark.slow


def smallest_of_each_kind() -> list[str]:
    entrypoint = import_timm().models.model_entrypoint
    ordered = sorted(smallest("cpu"), key=lambda name: capabilities(name).params, reverse=True)
    return sorted({entrypoint(name.partition(".")[0]).__module__: name for name in ordered}.values())


@pytest.mark.parametrize("model", smallest_of_each_kind())
def test_smallest_of_a_kind_scores_the_same_in_every_format(model: str, tmp_path: Path) -> None:
    found = difference_by_format(model, tmp_path)
    assert set(found) == {"onnx", "openvino", "torch"}
    assert max(found.values()) < TOLERANCE
