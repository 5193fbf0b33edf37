"""Copy tensors from the CPU to the device."""

from __future__ import annotations

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a CPU tensor to `device`, without waiting for earlier work of a GPU.

    Only a copy from page-locked memory does not wait. `tensor` is copied there at once, so it
    may be changed afterwards.
    """
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
