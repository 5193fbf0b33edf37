"""Checkpoints of a training: weights as safetensors, the rest read with `weights_only=True`; written atomically."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from automl.errors import StorageError

WEIGHTS, STATE = "weights.safetensors", "state.pt"


def write(directory: Path, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write both files. Each is renamed into place, the state last, so that a reader finds no half-written file."""
    directory.mkdir(parents=True, exist_ok=True)
    token = f"{os.getpid()}.tmp"
    # safetensors refuses tied and strided tensors.
    save_file(
        {k: v.detach().contiguous().clone() for k, v in weights.items()}, directory / f"{WEIGHTS}.{token}"
    )
    torch.save(state, directory / f"{STATE}.{token}")
    (directory / f"{WEIGHTS}.{token}").replace(directory / WEIGHTS)
    (directory / f"{STATE}.{token}").replace(directory / STATE)


def read(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return both parts of a checkpoint. Raises StorageError that names the folder if it is damaged."""
    try:
        return load_file(directory / WEIGHTS), torch.load(directory / STATE, weights_only=True)
    except Exception as error:
        raise StorageError(
            f"the checkpoint {str(directory)!r} cannot be read ({error}); remove it to start over"
        ) from error
