"""Measure the latency of a network: how long one image takes."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from automl.final.scoring import in_float32, to_inference
from automl.torch_setup import set_threads

if TYPE_CHECKING:
    from torch import nn

WARM_UP = 3  # passes that are not counted: the first ones also allocate and choose kernels
FEWEST, MOST, SECONDS = 5, 31, 0.4  # passes of a measurement, and about how long it takes
SHORTEST = 0.1  # seconds, in which the passes of a small network are many: others may hold the cores for some of them
RESTLESS, LONGER = (
    3.0,
    4.0,
)  # times: the slowest pass over the fastest, from which on a measurement takes longer
CLEARLY = 1.5  # times above or below a limit: then the fewest passes decide


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one image through a network in float32, the median (`p50`) of `passes` on `device`.

    On a CPU, each pass used `threads`.
    """

    p50: float
    passes: int
    threads: int
    device: str

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "p50": round(self.p50, 3)}


@torch.inference_mode()
def measure_latency(
    network: nn.Module,
    *,
    channels: int,
    side: int,
    threads: int,
    device: str = "cpu",
    limit: float | None = None,
) -> Latency:
    """Return the latency of one image of `side` pixels, after a warm-up, as `Predictor` runs the network.

    A measurement takes about 0.4 s, and less if its first passes are clearly above or below `limit` (ms). Where passes
    differ by more than three times, other programs hold the cores: it then takes up to 1.6 s, and the median is that of
    the faster half. The network is moved to the device, into evaluation mode. torch's own number of threads stays the
    same.
    """
    before = torch.get_num_threads()
    model = to_inference(network, device)
    set_threads(threads)
    try:
        with in_float32(device):
            image = torch.zeros((1, channels, side, side), device=device)
            image = image.contiguous(memory_format=torch.channels_last)
            for _ in range(WARM_UP):
                _milliseconds(model, image)
            return Latency(*_median(model, image, limit), threads, device)
    finally:
        set_threads(before)


def _median(model: nn.Module, image: torch.Tensor, limit: float | None) -> tuple[float, int]:
    begun, found, spent = time.perf_counter(), list[float](), 0.0
    while len(found) < FEWEST or spent < SHORTEST or (len(found) < MOST and spent < SECONDS):
        found.append(_milliseconds(model, image))
        spent = time.perf_counter() - begun
        if limit is not None and len(found) >= FEWEST and _is_clear(found, limit, spent):
            break
    while max(found) > RESTLESS * min(found) and len(found) < MOST and spent < LONGER * SECONDS:
        found.append(_milliseconds(model, image))
        spent = time.perf_counter() - begun
    restless = max(found) > RESTLESS * min(found)
    return statistics.median(sorted(found)[: -(-len(found) // 2)] if restless else found), len(found)


def _is_clear(found: list[float], limit: float, spent: float) -> bool:
    """Return whether few passes decide. Those of a small network may all have waited for other programs."""
    half = statistics.median(found)
    return half * CLEARLY < limit or (half > CLEARLY * limit and spent >= SHORTEST)


def _milliseconds(model: nn.Module, image: torch.Tensor) -> float:
    begun = time.perf_counter()
    model(image).cpu()  # waits for a GPU
    return 1e3 * (time.perf_counter() - begun)
