"""Every family of every preset can be exported: its graph scores as torch does, in each format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from automl.delivery.export.graph import Scoring
from automl.delivery.export.onnx_graph import READY, TOLERANCE, difference, quiet_exporter, scoring_graph
from automl.final.model_folder import Preprocess
from automl.training.models.build import build_model, input_size
from automl.training.models.hyperparameters import Recipe
from tests.delivery.conftest import info_of
from tests.final.test_every_family import SMALLEST

for needed in ("onnxruntime", "onnxscript", "openvino"):
    pytest.importorskip(needed)
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("model", SMALLEST)
def test_smallest_of_a_family_scores_the_same_in_every_format(model: str, tmp_path: Path) -> None:
    import onnx
    import openvino

    torch.manual_seed(0)
    recipe = Recipe.from_config({"model": model, "lr": 0.01})
    size = input_size(recipe, info_of())
    network = build_model(recipe, info_of())
    scoring = Scoring(network, Preprocess(replace(info_of(), img_size=size), size)).eval()
    ready = torch.randn(3, 3, size, size)
    with torch.no_grad():
        wanted = scoring(ready).numpy()
    graph = scoring_graph(scoring, ready)  # raises where onnxruntime answers otherwise
    onnx.save(graph, tmp_path / "graph.onnx")
    compiled = openvino.Core().compile_model(
        openvino.convert_model(tmp_path / "graph.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    assert difference(compiled({READY: ready.numpy()})[0], wanted) < TOLERANCE
    with quiet_exporter(), torch.no_grad():
        batch = {0: torch.export.Dim.DYNAMIC}
        program = torch.export.export(scoring, (ready,), dynamic_shapes=(batch,))
    assert difference(program.module()(ready[:2]).detach().numpy(), wanted[:2]) < TOLERANCE
    assert np.isfinite(wanted).all()
