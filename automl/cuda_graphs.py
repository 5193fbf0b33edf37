"""Work recorded once on a GPU and replayed: one launch instead of hundreds.

A GPU is often done with a kernel before the processor has launched the next one: small networks, and large ones on
fast cards, then train as fast as Python runs. A CUDA graph holds all kernels of a function and their arguments, so that
they follow each other without it (Nguyen et al., "Accelerating PyTorch with CUDA Graphs", 2021). It works on the same
memory each time: what goes in is copied there, and what comes out lies where it lay.
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

EAGER = 3  # calls of a shape that run as they come: libraries choose kernels and take memory meanwhile
SETTLED = EAGER + 2  # calls after which each takes as long as the next
AHEAD = 2  # steps

Function = Callable[..., Tensor]


class Recorder:
    """Calls `function` with tensors on the GPU and gives the tensor that it returns; from the fourth call on, replayed.

    A call with tensors of other shapes begins anew. What cannot be recorded (a function that asks the GPU for a number
    and waits for it, or for which memory does not suffice) runs as it comes from then on. `prepare` is called each time
    before the function itself is.
    """

    def __init__(self, function: Function, *, prepare: Callable[[], None] = lambda: None) -> None:
        self.function, self.prepare = function, prepare
        self.recording: Recording | None = None
        self.refused = ""  # why nothing is recorded
        self._shapes: tuple[Any, ...] = ()
        self._seen = 0

    def __call__(self, *inputs: Tensor) -> Tensor:
        """What the function returns; raises what it raises."""
        shapes = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        if shapes != self._shapes:
            self.recording = None  # its memory goes before another one takes some
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
        with beside(inputs[0].device):
            return self.function(*inputs)

    def _without_waiting(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """What the function returns; whether it waits for the GPU is found out now, as failed recordings cost more."""
        try:
            with waiting_refused(), beside(inputs[0].device):
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
        except RuntimeError as error:  # of CUDA, out of memory among them: the same without recording may do
            # The random numbers would stay in the mode of a recording that was never closed.
            numbers.graphsafe_set_state(numbers.clone_state())
            self._refuse(error)
            self.prepare()
            gc.collect()
            torch.cuda.empty_cache()

    def _refuse(self, error: Exception) -> None:
        self.refused = f"{type(error).__name__}: {error}".splitlines()[0]
        logging.getLogger(__name__).info("nothing is recorded: %s", self.refused)


class Recording:
    """The kernels of one call, and the memory that they work on."""

    def __init__(self, function: Function, inputs: tuple[Tensor, ...]) -> None:
        """Raises RuntimeError where CUDA cannot record the function; nothing is computed yet."""
        self.inputs = tuple(tensor.clone() for tensor in inputs)
        self.graph = torch.cuda.CUDAGraph()
        stream = stream_of(inputs[0].device.index)
        # Only what this thread does must be recordable: others may look at the GPU meanwhile.
        with torch.cuda.graph(self.graph, stream=stream, capture_error_mode="thread_local"):
            self.output = function(*self.inputs)

    def replay(self, *inputs: Tensor) -> Tensor:
        """What the function returns for these inputs."""
        for place, tensor in zip(self.inputs, inputs, strict=True):
            place.copy_(tensor)
        self.graph.replay()
        return self.output.clone()


class Pace:
    """Keeps the processor two steps ahead of the GPU at most: then clocks tell what is done, not what was asked for."""

    def __init__(self, device: str) -> None:
        self._on = torch.device(device).type == "cuda"
        self._asked: deque[torch.cuda.Event] = deque()

    def step(self) -> None:
        """A step was asked for; returns when the one two before it is done, on a CPU at once."""
        if not self._on:
            return
        event = torch.cuda.Event()
        event.record()
        self._asked.append(event)
        if len(self._asked) > AHEAD:
            self._asked.popleft().synchronize()


@functools.cache
def stream_of(device: int) -> torch.cuda.Stream:
    """The stream that records, one for all of a process: libraries keep memory for each stream that ever used them."""
    return torch.cuda.Stream(device)


@contextmanager
def beside(device: torch.device) -> Iterator[None]:
    """On the stream that records, so that what lasts (the libraries' memory) is taken there before."""
    now, stream = torch.cuda.current_stream(device), stream_of(device.index)
    stream.wait_stream(now)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        now.wait_stream(stream)


@contextmanager
def waiting_refused() -> Iterator[None]:
    """What waits for the GPU raises RuntimeError."""
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # torch calls it a prototype; what it misses, the recording itself refuses.
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(mode)
