"""Record work on a GPU once and replay it: one launch instead of hundreds.

A GPU often finishes a kernel before the CPU has launched the next one. Small networks, and large ones on fast GPUs,
then train only as fast as Python runs. A CUDA graph holds all kernels of a function and launches them at once (Nguyen
et al., "Accelerating PyTorch with CUDA Graphs", 2021). It uses the same memory each time, so inputs are copied into it
and outputs are copied out of it.
"""

from __future__ import annotations

import functools
import gc
import logging
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

EAGER = 3  # calls of a shape that run without recording, while libraries choose kernels and allocate memory
SETTLED = EAGER + 2  # calls after which the time of a call is constant
AHEAD = 2  # steps that the CPU may launch before the GPU has done them

Function = Callable[..., Tensor]


class Recorder:
    """Calls `function` with tensors on the GPU and returns its tensor; from the fourth call on by replaying it.

    A call with tensors of other shapes starts again. A function that cannot be recorded, because it waits for a number
    from the GPU or because memory runs out, runs without recording from then on. `prepare` is called before each call
    of the function itself.
    """

    def __init__(self, function: Function, *, prepare: Callable[[], None] = lambda: None) -> None:
        self.function, self.prepare = function, prepare
        self.recording: Recording | None = None
        self.refused = ""  # why nothing is recorded
        self._shapes: tuple[Any, ...] = ()
        self._seen = 0

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return what the function returns; raises what it raises."""
        shapes = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        if shapes != self._shapes:
            self.recording = None  # frees its memory before the next recording takes some
            self._shapes, self._seen = shapes, 0
        self._seen += 1
        if self._seen > EAGER and self.recording is None and not self.refused:
            self._record(inputs)
        if self.recording is not None:
            return self.recording.replay(*inputs)
        self.prepare()
        if self.refused:
            return self.function(*inputs)
        if self._seen == EAGER:
            return self._without_waiting(inputs)
        with on_capture_stream(inputs[0].device):
            return self.function(*inputs)

    def _without_waiting(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Call the function and check that it does not wait for the GPU; a failed recording would cost more."""
        try:
            with error_on_sync(), on_capture_stream(inputs[0].device):
                return self.function(*inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._refuse(error)
        self.prepare()
        return self.function(*inputs)

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self.prepare()
        numbers = torch.cuda.default_generators[inputs[0].device.index]
        try:
            self.recording = Recording(self.function, inputs)
        except RuntimeError as error:  # of CUDA, such as out of memory: it may work without recording
            # Otherwise the generator would stay in the mode of a recording that was never closed.
            numbers.graphsafe_set_state(numbers.clone_state())
            self._refuse(error)
            self.prepare()
            gc.collect()
            torch.cuda.empty_cache()

    def _refuse(self, error: Exception) -> None:
        self.refused = f"{type(error).__name__}: {error}".splitlines()[0]
        logging.getLogger(__name__).info("no CUDA graph is recorded: %s", self.refused)


class Recording:
    """The kernels of one call, and the memory that they use."""

    def __init__(self, function: Function, inputs: tuple[Tensor, ...]) -> None:
        """Record the function without computing anything. Raises RuntimeError if CUDA cannot record it."""
        self.inputs = tuple(tensor.clone() for tensor in inputs)
        self.graph = torch.cuda.CUDAGraph()
        stream = capture_stream(inputs[0].device.index)
        # thread_local: other threads may use the GPU meanwhile.
        with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
            self.output = function(*self.inputs)

    def replay(self, *inputs: Tensor) -> Tensor:
        """Return what the function returns for these inputs."""
        for place, tensor in zip(self.inputs, inputs, strict=True):
            place.copy_(tensor)
        self.graph.replay()
        return self.output.clone()


class Pace:
    """Keeps the CPU at most two steps ahead of the GPU, so that clocks measure finished work."""

    def __init__(self, device: str) -> None:
        self._on = torch.device(device).type == "cuda"
        self._asked: deque[torch.cuda.Event] = deque()

    def step(self) -> None:
        """Register a launched step, and wait until the one two steps before is done; on a CPU, return at once."""
        if not self._on:
            return
        event = torch.cuda.Event()
        event.record()
        self._asked.append(event)
        if len(self._asked) > AHEAD:
            self._asked.popleft().synchronize()


@functools.cache
def capture_stream(device: int) -> torch.cuda.Stream:
    """Return the stream that records, one per process: libraries keep memory for each stream that used them."""
    return torch.cuda.Stream(device)


@contextmanager
def on_capture_stream(device: torch.device) -> Iterator[None]:
    """Run the block on the stream that records, so that libraries allocate their memory there before the recording."""
    now, stream = torch.cuda.current_stream(device), capture_stream(device.index)
    stream.wait_stream(now)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        now.wait_stream(stream)


@contextmanager
def error_on_sync() -> Iterator[None]:
    """Raise RuntimeError for operations that wait for the GPU."""
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # torch warns that this is a prototype; the recording itself refuses what it misses.
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)
