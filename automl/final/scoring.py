"""Device, precision and time of scoring images with the delivered model."""

from __future__ import annotations

import copy
import statistics
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import nn

from automl.records import DatasetInfo
from automl.torch_setup import set_threads
from automl.training.evaluate import EVAL_BATCH
from automl.training.models.memory_format import at_once, channels_last

CPU_BATCH, GPU_BATCH = 16, 64  # images of the first pass; with fewer, a GPU waits for the CPU
# The first forward pass also pays for setup. It is repeated, unless this process worked longer than LONG_S for it.
# Beside other programs it may only have waited: then passes are repeated for up to WAITED_S seconds.
LONG_S, WAITED_S = 1.0, 1.5
# Passes on a CPU grow until they take GROWN_S: what a pass costs beside its images, such as threads that wait for each
# other (long, where other processes have the cores), must not be counted for every 16 images.
GROWN_S, PASSES = 0.1, 3


def to_inference(model: nn.Module, device: str) -> nn.Module:
    """Return the model on the device in evaluation mode, in the layout that is fastest for convolutions."""
    return channels_last(model, device).eval()


def in_float32(device: str) -> AbstractContextManager[None]:
    """Return a context without TF32, which rounds the inputs of a GPU's convolutions to 10 bits."""
    if torch.device(device).type != "cuda":
        return nullcontext()
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return flags


@torch.inference_mode()
def seconds_per_image(
    model: nn.Module, info: DatasetInfo, size: int, *, threads: int, device: str = "cpu"
) -> float:
    """Measure the seconds of a forward pass per image, as `Predictor` runs it on `device`: the median of three passes.

    A pass has as many images as the predictor's, or as fit into 0.1 to 0.2 s. The measurement uses `threads`; torch's
    own number stays the same.
    """
    before = torch.get_num_threads()
    network = to_inference(copy.deepcopy(model), device)
    on_cpu = torch.device(device).type == "cpu"
    set_threads(threads)
    try:
        with in_float32(device):
            rows = CPU_BATCH if on_cpu else GPU_BATCH
            images = torch.zeros((rows, info.in_chans, size, size), device=device)
            images = images.contiguous(memory_format=torch.channels_last)  # as the predictor's
            forward_seconds = partial(_forward_seconds, network, at_once(size, device, most=EVAL_BATCH))
            begun, worked = time.perf_counter(), time.process_time()
            seconds = forward_seconds(images)
            if time.process_time() - worked > LONG_S or (seconds > LONG_S and not on_cpu):
                return seconds / len(images)
            seconds = forward_seconds(images)
            while on_cpu and seconds < GROWN_S and len(images) < EVAL_BATCH:
                images = torch.cat([images, images])
                seconds = forward_seconds(images)
            found = [seconds]
            while len(found) < PASSES and time.perf_counter() - begun < WAITED_S:
                found.append(forward_seconds(images))
            return statistics.median_low(found) / len(images)
    finally:
        set_threads(before)


def _forward_seconds(network: nn.Module, most: int, images: torch.Tensor) -> float:
    start = time.perf_counter()
    for part in images.split(most):
        network(part).cpu()  # waits for a GPU
    return time.perf_counter() - start
