"""Measure the latency of a network: how long one image takes."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from automl.final.cost.run_queue import ThreadTimes
from automl.final.scoring import in_float32, to_inference
from automl.torch_setup import set_threads

if TYPE_CHECKING:
    from torch import nn

WARM_UP = 3  # passes that are not counted: the first ones also allocate and choose kernels
FEWEST, MOST, SECONDS = 5, 31, 0.4  # passes of a measurement, and about how long it takes
SHORTEST = 0.1  # seconds, in which the passes of a small network are many: others may hold the cores for some of them
RESTLESS = 3.0  # times: the slowest pass over the fastest, from which on a measurement takes longer
LONGER = 4.0  # times as long, at most
BUSY = 1.25  # times what a pass took without waiting for a core: from then on other programs disturb a measurement
CLEARLY = 1.5  # times above or below a limit: then the fewest passes decide


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one image through a network in float32, the median (`p50`) of `passes` on `device`.

    On a CPU, each pass used `threads`. The time that passes waited for a core, which other programs used, is not in it.
    `busy`: they waited for so long that the latency is to be measured again some time.
    """

    p50: float
    passes: int
    threads: int
    device: str
    busy: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "p50": round(self.p50, 3)}


def on_device(device: str, threads: int) -> str:
    """Return on what a latency was measured, such as `cpu with 2 threads`."""
    return f"{device} with {threads} thread{'s' * (threads != 1)}"


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

    A measurement takes about 0.4 s, and less if its first passes are clearly above or below `limit` (ms). What a pass
    waited for a core is taken off, where the system tells it (Linux). Where passes still differ by more than three
    times, or waited for long, other programs hold the cores: it then takes up to 1.6 s, and the median is that of the
    faster half. The network is moved to the device, into evaluation mode. torch's own number of threads stays the same.
    """
    before = torch.get_num_threads()
    model = to_inference(network, device)
    set_threads(threads)
    try:
        with in_float32(device):
            image = torch.zeros((1, channels, side, side), device=device)
            image = image.contiguous(memory_format=torch.channels_last)
            for _ in range(WARM_UP):
                _timed(model, image)
            passes = _passes(model, image, limit)
            p50 = statistics.median(one.own for one in passes.judged)
            return Latency(p50, len(passes.all), threads, device, passes.are_busy)
    finally:
        set_threads(before)


@dataclass(frozen=True)
class _Pass:
    """Milliseconds of a pass, and of these the `own` ones: without those in which it waited for a core."""

    wall: float
    own: float


@dataclass
class _Passes:
    all: list[_Pass]
    spent: float = 0.0

    @property
    def are_restless(self) -> bool:
        """Whether their times differ by more than a network's own do."""
        own = [one.own for one in self.all]
        return max(own) > RESTLESS * min(own)

    @property
    def are_busy(self) -> bool:
        """Whether other programs held the cores for much of the time."""
        used = self.judged
        return statistics.median(one.wall for one in used) > BUSY * statistics.median(one.own for one in used)

    @property
    def judged(self) -> list[_Pass]:
        """The passes that count: all, or the faster half if they are restless."""
        ordered = sorted(self.all, key=lambda one: one.own)
        return ordered[: -(-len(ordered) // 2)] if self.are_restless else ordered

    def are_clear(self, limit: float) -> bool:
        """Return whether few passes decide. Those of a small network may all have waited for other programs."""
        half = statistics.median(one.own for one in self.all)
        return half * CLEARLY < limit or (half > CLEARLY * limit and self.spent >= SHORTEST)


def _passes(model: nn.Module, image: torch.Tensor, limit: float | None) -> _Passes:
    begun, found = time.perf_counter(), _Passes([])

    def add() -> None:
        found.all.append(_timed(model, image))
        found.spent = time.perf_counter() - begun

    while (
        len(found.all) < FEWEST or found.spent < SHORTEST or (len(found.all) < MOST and found.spent < SECONDS)
    ):
        add()
        if limit is not None and len(found.all) >= FEWEST and found.are_clear(limit):
            return found
    while (found.are_restless or found.are_busy) and len(found.all) < MOST and found.spent < LONGER * SECONDS:
        add()
    return found


def _timed(model: nn.Module, image: torch.Tensor) -> _Pass:
    before, begun = ThreadTimes.now(), time.perf_counter()
    model(image).cpu()  # waits for a GPU
    wall = time.perf_counter() - begun
    waited = ThreadTimes.now().waited(before)
    return _Pass(1e3 * wall, 1e3 * max(0.0, wall - waited))
