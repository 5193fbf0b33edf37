"""Score images of several requests together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_Waiting = tuple[Array, "asyncio.Future[Array]"]


class Batcher:
    """Collects images that wait while others are scored, and scores them in one call, at most `most` at once.

    No request waits for others to come: a lone image is scored at once, and batches grow with the load.
    """

    def __init__(self, score: Callable[[Array], Array], *, most: int) -> None:
        self._score = score
        self._most = most
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="score")
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to score."""
        self._worker = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; images that still wait are cancelled."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()[1].cancel()
        self._thread.shutdown(wait=True)

    async def score(self, pixels: Array) -> Array:
        """Return the scores of one image (H, W, C)."""
        found: asyncio.Future[Array] = asyncio.get_running_loop().create_future()
        await self._queue.put((pixels, found))
        return await found

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._most and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                scores = await loop.run_in_executor(
                    self._thread, self._score, np.stack([pixels for pixels, _ in batch])
                )
            except Exception as error:  # each request tells it
                _settle(batch, [error] * len(batch))
            else:
                _settle(batch, list(scores))


def _settle(batch: list[_Waiting], results: list[Any]) -> None:
    for (_, found), result in zip(batch, results, strict=True):
        if found.done():  # its client has gone
            continue
        if isinstance(result, Exception):
            found.set_exception(result)
        else:
            found.set_result(result)
