"""A model is loaded without what only a search needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from automl.final.model_folder import write_model_folder
from automl.torch_setup import import_timm
from tests.final.use.literals import INFO

USES = """
import sys
import numpy as np
import automl
predictor = automl.load(sys.argv[1])
image = np.arange(64, dtype=np.uint8).reshape(8, 8)
predictor.predict(image), predictor.embed(image), predictor.explain(image)
print(sorted({"ray", "optuna", "sqlalchemy"} & set(sys.modules)))
"""


def test_loading_and_using_a_model_imports_neither_ray_nor_optuna(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = import_timm().create_model("test_resnet", num_classes=2, in_chans=1)
    config = {"model": "test_resnet", "opt": "adamw", "lr": 0.1, "batch_size": 8}
    write_model_folder(tmp_path / "model", network, config, INFO, size=8)
    command = [sys.executable, "-c", USES, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
