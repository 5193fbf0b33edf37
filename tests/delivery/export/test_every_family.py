"""Every family of the preset for CPUs can be exported: its graph scores as torch does, in each format.

`python -m benchmarks.delivery families` does this for the families of all presets, which takes ten minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from automl.delivery.export.onnx_graph import TOLERANCE
from benchmarks.delivery.families import difference_by_format, smallest

for needed in ("onnxruntime", "onnxscript", "openvino"):
    pytest.importorskip(needed)
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("model", smallest("cpu"))
def test_smallest_of_a_family_scores_the_same_in_every_format(model: str, tmp_path: Path) -> None:
    found = difference_by_format(model, tmp_path)
    assert set(found) == {"onnx", "openvino", "torch"}
    assert max(found.values()) < TOLERANCE
