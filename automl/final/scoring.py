"""How the delivered model scores pictures: where, in which precision, and how long that will take."""

from __future__ import annotations

import copy
import time
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from automl.records import DatasetInfo
from automl.torch_setup import set_threads
from automl.training.models.memory_format import laid_out, on_cpu

PICTURES, ON_A_GPU = 16, 64  # at once; with fewer a GPU waits for the processor
LONG_S = 1.0  # a first pass, which also sets things up, is measured again unless it took longer


def placed(model: nn.Module, device: str) -> nn.Module:
    """The model on the device: on a CPU as it was read, elsewhere in the layout that convolutions are fastest in."""
    return on_cpu(model) if torch.device(device).type == "cpu" else laid_out(model, device)


def in_float32(device: str) -> AbstractContextManager[None]:
    """Convolutions of a GPU without the rounding of their inputs to 10 bits (TF32) that torch allows otherwise."""
    if torch.device(device).type != "cuda":
        return nullcontext()
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return flags


@torch.inference_mode()
def seconds_a_picture(
    model: nn.Module, info: DatasetInfo, size: int, *, threads: int, device: str = "cpu"
) -> float:
    """Seconds that one pass of the network takes for a picture, as `Predictor` makes it on `device`.

    `threads` are those of the measurement; torch's number is the same afterwards.
    """
    before = torch.get_num_threads()
    network = placed(copy.deepcopy(model), device).eval()
    n = PICTURES if torch.device(device).type == "cpu" else ON_A_GPU
    images = torch.zeros((n, info.in_chans, size, size), device=device)
    set_threads(threads)
    try:
        with in_float32(device):
            seconds = _pass(network, images)
            return (seconds if seconds > LONG_S else min(seconds, _pass(network, images))) / n
    finally:
        set_threads(before)


def _pass(network: nn.Module, images: torch.Tensor) -> float:
    begun = time.perf_counter()
    network(images).cpu()  # a GPU is done when its numbers are here
    return time.perf_counter() - begun
