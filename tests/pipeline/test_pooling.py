"""A study that searches how a pretrained transformer pools its tokens, from its heads to the model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from automl import pipeline
from automl.cli import main
from automl.final.predictor import Predictor
from automl.torch_setup import import_timm
from tests.pipeline.plan.test_pretrained import config_for

pytestmark = pytest.mark.study

SPACE: dict[str, Any] = {
    "families": {"vit": ["test_vit"]},
    "parameters": {
        "pretrained": {"type": "categorical", "choices": [True]},
        "size": {"type": "categorical", "choices": [64], "when": {"pretrained": True}},
        "lr": {"type": "float", "low": 1e-3, "high": 2e-3},
        "global_pool": {"type": "categorical", "choices": ["token", "avg"]},
    },
    "portfolio": [
        {"pretrained": True, "model": "test_vit", "size": 64, "lr": 1e-3, "global_pool": pool}
        for pool in ("avg", "token")
    ],
}


def test_way_of_pooling_goes_from_the_search_to_the_delivered_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    (tmp_path / "weights").mkdir()
    save_file(
        import_timm().create_model("test_vit").state_dict(), tmp_path / "weights" / "test_vit.safetensors"
    )
    weights = str(tmp_path / "weights")
    result = pipeline.fit(config_for(tmp_path, space=SPACE, pretrained=weights, n_trials=2, epochs=2))
    rows = result.leaderboard()
    heads = rows[rows["kind"].str.startswith("head on features")].set_index("global_pool")
    assert set(heads.index) == {"token", "avg"}
    kept = {file.name for file in (result.directory / "heads").iterdir()}
    assert {name for name in kept if ".whole" not in name and ".validation" not in name} == {
        f"test_vit{pool}{depths}.safetensors" for pool in ("", "-avg") for depths in ("", "-depths")
    }
    trained = rows[rows["kind"] == "fine-tuned"]
    assert set(trained["global_pool"]) == {"token", "avg"}
    said = json.loads((result.model_dir / "config.json").read_text())
    document = result.to_json()
    config = document["retrain"].get("config", document["best"]["config"])
    if said.get("architecture") == "test_vit":  # a head or a fine-tuning
        assert said["model_args"]["global_pool"] == config["global_pool"]
        network: Any = import_timm().create_model(f"local-dir:{result.model_dir}", pretrained=True)
        assert network.global_pool == config["global_pool"]
    found = Predictor.load(result.model_dir).predict(np.zeros((2, 8, 8), dtype=np.uint8))
    assert len(found) == 2
    assert main(["show", "tiny", "--directory", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert (
        "class token" if document["best"]["config"]["global_pool"] == "token" else "mean of tokens"
    ) in shown
