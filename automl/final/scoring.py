"""How long the delivered model will take to score a picture."""

from __future__ import annotations

import copy
import time

import torch
from torch import nn

from automl.records import DatasetInfo
from automl.torch_setup import set_threads
from automl.training.layout import on_cpu

PICTURES = 16
LONG_S = 1.0  # a first pass, which also sets things up, is measured again unless it took longer


@torch.inference_mode()
def seconds_a_picture(model: nn.Module, info: DatasetInfo, size: int, *, threads: int) -> float:
    """Seconds that one pass of the network takes for a picture, as `Predictor` makes it: on the CPU, in float32.

    `threads` are those of the measurement; torch's number is the same afterwards.
    """
    before = torch.get_num_threads()
    network = on_cpu(copy.deepcopy(model)).eval()
    images = torch.zeros((PICTURES, info.in_chans, size, size))
    set_threads(threads)
    try:
        seconds = _pass(network, images)
        return (seconds if seconds > LONG_S else min(seconds, _pass(network, images))) / PICTURES
    finally:
        set_threads(before)


def _pass(network: nn.Module, images: torch.Tensor) -> float:
    begun = time.perf_counter()
    network(images)
    return time.perf_counter() - begun
