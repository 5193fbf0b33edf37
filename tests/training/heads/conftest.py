"""Weights of a small network, as they are drawn."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from automl.torch_setup import import_timm
from automl.training.models.pretrained_weights import Weights


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Weights of a small network, as they are drawn."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    network = import_timm().create_model("test_resnet")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return Weights("test_resnet", path, "folder", (0.2,) * 3, (0.2,) * 3)
