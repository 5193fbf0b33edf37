"""Bringing what the processor made to the device."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The CPU tensor on `device`; on a GPU without waiting until that has done what it was told before.

    Only from page-locked memory does a copy not wait. What `tensor` holds is copied there at once, so it may change.
    """
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
