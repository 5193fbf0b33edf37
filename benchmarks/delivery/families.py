"""The smallest network of each family in every format: how far its scores are off, with random weights."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from automl.delivery.export.graph import Scoring
from automl.delivery.export.onnx_graph import READY, TOLERANCE, difference, quiet_exporter, run, scoring_graph
from automl.errors import AutomlError
from automl.final.model_folder import Preprocess
from automl.records import DatasetInfo
from automl.spaces import SearchSpace, capabilities, presets
from automl.training.models.build import build_model, input_size
from automl.training.models.hyperparameters import Recipe

ABOUT: dict[str, Any] = {
    "name": "noise",
    "task": "classification",
    "classes": ("a", "b", "c"),
    "in_chans": 3,
    "img_size": 32,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.25, 0.25, 0.25),
    "class_counts": (1, 1, 1),
    "fingerprint": "0",
    "n_train": 3,
    "n_val": 0,
    "n_holdout": 0,
    "n_skipped": 0,
}


def main(_: argparse.Namespace) -> int:
    """Print a row for each family of all presets; 1 if one is off or cannot be exported."""
    print("| network | onnx | openvino | torch |")
    print("|---|---|---|---|")
    failed = 0
    for model in sorted({name for preset in presets() for name in smallest(preset)}):
        with tempfile.TemporaryDirectory() as folder:
            try:
                found = difference_by_format(model, Path(folder))
            except AutomlError as error:
                failed += 1
                print(f"| {model} | {error} | | |", flush=True)
                continue
        failed += max(found.values()) > TOLERANCE
        print(f"| {model} | " + " | ".join(f"{value:.1g}" for value in found.values()) + " |", flush=True)
    print(f"{failed} failed")
    return int(failed > 0)


def smallest(preset: str) -> list[str]:
    """Return the network with the fewest parameters of each family of a preset."""
    families = SearchSpace.load(preset).families.values()
    return sorted({min(members, key=lambda model: capabilities(model).params) for members in families})


def difference_by_format(model: str, folder: Path) -> dict[str, float]:
    """Return for each format how far the scores of three random images are off from torch's (`difference`)."""
    import onnx
    import openvino

    torch.manual_seed(0)
    info = DatasetInfo(**ABOUT)
    recipe = Recipe.from_config({"model": model, "lr": 0.01})
    size = input_size(recipe, info)
    scoring = Scoring(build_model(recipe, info), Preprocess(info, size)).eval()
    ready = torch.randn(3, 3, size, size)
    with torch.no_grad():
        wanted = scoring(ready)
    assert isinstance(wanted, torch.Tensor)
    graph = scoring_graph(scoring, ready)  # raises where onnxruntime answers otherwise
    onnx.save(graph, folder / "graph.onnx")
    compiled = openvino.Core().compile_model(
        openvino.convert_model(folder / "graph.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    with quiet_exporter(), torch.no_grad():
        batch = {0: torch.export.Dim.DYNAMIC}
        program = torch.export.export(scoring, (ready,), dynamic_shapes=(batch,))
        again = program.module()(ready)
    found = {
        "onnx": run(graph, {READY: ready.numpy()}),
        "openvino": compiled({READY: ready.numpy()})[0],
        "torch": again.detach().numpy(),
    }
    return {name: difference(scores, wanted.numpy()) for name, scores in found.items()}
