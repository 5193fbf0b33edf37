"""Measured latencies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from automl.final.cost.latency import FEWEST, measure_latency
from automl.final.cost.run_queue import ThreadTimes


class Slow(nn.Module):
    """A network that takes so many milliseconds, and counts its calls."""

    def __init__(self, milliseconds: float) -> None:
        super().__init__()
        self.seconds, self.shapes = milliseconds / 1e3, list[tuple[int, ...]]()

    def forward(self, images: Tensor) -> Tensor:
        self.shapes.append(tuple(images.shape))
        time.sleep(self.seconds)
        return images.mean(dim=(2, 3))


def test_latency_is_the_median_of_single_images() -> None:
    network, threads = Slow(8.0), torch.get_num_threads()
    found = measure_latency(network, channels=1, side=12, threads=1)
    assert 8.0 <= found.p50 < 30.0
    assert set(network.shapes) == {(1, 1, 12, 12)} and len(network.shapes) > found.passes >= FEWEST
    assert (found.threads, found.device, torch.get_num_threads()) == (1, "cpu", threads)


@pytest.mark.parametrize(("limit", "few"), [(1000.0, True), (0.5, True), (5.5, False)])
def test_few_passes_decide_what_is_clear(limit: float, few: bool) -> None:
    found = measure_latency(Slow(25.0 if limit < 1 else 5.0), channels=3, side=8, threads=1, limit=limit)
    assert (found.passes == FEWEST) is few


class Held(Slow):
    """A network of 4 ms for whose cores other programs fight: two of three passes take 40 ms."""

    def forward(self, images: Tensor) -> Tensor:
        self.seconds = 0.004 if len(self.shapes) % 3 == 0 else 0.04
        return super().forward(images)


def test_passes_that_waited_for_other_programs_do_not_count() -> None:
    assert measure_latency(Held(4.0), channels=1, side=8, threads=1).p50 < 30.0


class Computing(Slow):
    """A network that computes for so many milliseconds."""

    def forward(self, images: Tensor) -> Tensor:
        until = time.thread_time() + self.seconds
        while time.thread_time() < until:
            pass
        return images.mean(dim=(2, 3))


@contextmanager
def core_shared_with(programs: int) -> Iterator[None]:
    """Let this thread run on one core only, on which so many other programs compute as well."""
    before = os.sched_getaffinity(0)
    core = min(before)
    script = f"import os; os.sched_setaffinity(0, {{{core}}}); print(flush=True)\nwhile True: pass"
    others = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(programs)
    ]
    try:
        os.sched_setaffinity(0, {core})
        for other in others:
            assert other.stdout is not None and other.stdout.readline()
        yield
    finally:
        os.sched_setaffinity(0, before)
        for other in others:
            other.kill()
            other.communicate()


counted = pytest.mark.skipif(not ThreadTimes.now().seconds, reason="this system does not count waiting")


@counted
def test_waiting_for_a_core_is_no_latency_and_is_told() -> None:
    with core_shared_with(3):
        found = measure_latency(Computing(20.0), channels=1, side=8, threads=1)
    assert found.busy
    assert 20.0 <= found.p50 < 35.0  # with the waiting it is 80


def test_threads_that_do_something_else_do_not_count() -> None:
    own = str(threading.get_native_id())
    before = ThreadTimes({own: (1.0, 0.0), "2": (1.0, 0.0), "3": (0.0, 0.0)})
    after = ThreadTimes({own: (1.1, 0.01), "2": (1.09, 0.05), "3": (0.001, 0.4)})
    assert after.waited(before) == pytest.approx(0.05)
    assert ThreadTimes({}).waited(ThreadTimes({})) == 0.0


def test_a_system_that_counts_no_waiting_gives_no_times(tmp_path: Path) -> None:
    assert ThreadTimes.now(tmp_path / "none").seconds == {}
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "schedstat").write_text("not a number", encoding="ascii")
    assert ThreadTimes.now(tmp_path).seconds == {}
