"""Running out of memory: recognise it, retry with fewer rows at once, and check for leaks.

This module imports no torch, so that a search over a user's own objective can use it too.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from typing import TypeVar

from automl.machine import resident_memory

T = TypeVar("T")

MIN_ROWS = 2  # batch norm needs two
SLACK = 256 << 20  # bytes that allocators and kernels may keep after a failure without a leak
_WORDS = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "cudnn_status_alloc_failed",
    "cublas_status_alloc_failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` means out of memory: Python's, CUDA's, or the RuntimeError of torch's CPU allocator."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _WORDS)


class MicroBatch:
    """The number of rows that go through a model at once; it shrinks when memory runs out.

    `own` are the bytes that the model, its gradients and its optimizer hold. `halvings` counts how often memory ran
    out. `leaked`: memory was not freed afterwards, so the process should not be used again.
    """

    def __init__(self, device: str = "cpu", *, rows: int | None = None, own: int = 0) -> None:
        self.device, self.rows, self.own = device, rows, own
        self.halvings = 0
        self.leaked = False
        self._before = held(device)

    def fit(self, n: int, attempt: Callable[[int], T]) -> T:
        """Return `attempt(rows)` for as many rows, at most `n`, as fit into memory.

        Each time that memory runs out, half as many rows are tried. Other errors are raised, and so is running out of
        memory with two rows.
        """
        while True:
            rows = min(n, self.rows or n)
            try:
                return attempt(rows)
            except Exception as error:
                if not is_out_of_memory(error) or rows <= MIN_ROWS:
                    raise
                reason = f"{type(error).__name__}: {error}"
            # Outside the handler, where the traceback would keep the tensors of the failed attempt.
            self.rows, self.halvings = max(MIN_ROWS, (rows + 1) // 2), self.halvings + 1
            release()
            self.leaked = self.leaked or held(self.device) > self._before + self.own + SLACK
            log = logging.getLogger(__name__)
            log.info("out of memory with %d rows at once (%s); trying %d", rows, reason, self.rows)


def parts_of(n: int, rows: int) -> int:
    """Return into how many about equal parts to split `n` rows: none above `rows` nor, if possible, below two.

    >>> parts_of(64, 16), parts_of(65, 16), parts_of(3, 2)
    (4, 5, 1)
    """
    return max(1, min(-(-n // max(1, rows)), n // MIN_ROWS))


def release() -> None:
    """Free unused memory of the process and the device."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def held(device: str) -> int:
    """Return the bytes that this process uses: on the GPU for a CUDA device, else resident memory."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.memory_allocated(device))
    return resident_memory()
