"""Measure the peak memory of some work, in this process and on its device."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from automl.machine import private_memory

LONGEST_S = 5.0  # to wait for the thread
EVERY_S = 0.01


class Peak:
    """`with Peak(device) as peak: ...` sets `peak.memory` and `peak.gpu_memory`, in bytes (0 without a GPU).

    `memory` is the peak private memory of the whole process, sampled a hundred times a second because the kernel keeps
    no record of it. Decoded images are mapped files that all processes share, and do not count. `gpu_memory` is the
    peak that CUDA's allocator reserved.
    """

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="automl-peak", daemon=True)
        self.memory = self.gpu_memory = 0

    def __enter__(self) -> Self:
        if self._cuda:
            import torch

            torch.cuda.reset_peak_memory_stats()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(LONGEST_S)
        if self._cuda:
            import torch

            self.gpu_memory = int(torch.cuda.max_memory_reserved())

    def _watch(self) -> None:
        while True:
            self.memory = max(self.memory, private_memory())
            if self._done.wait(EVERY_S):
                self.memory = max(self.memory, private_memory())
                return
