"""A pool of processes that decode, one per core: Python's lock lets threads decode small images hardly faster.

The processes are plain programs. Forks are unsafe while Ray starts in another thread, and multiprocessing's spawn would
run the calling script or notebook again. loky is slower (`docs/benchmarks/history.md`, "The data path").
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from automl.data.decoding.convert import ColourFound, Converted
from automl.data.decoding.pool_worker import READY, WorkerSetup
from automl.data.readers import ReaderSpec
from automl.errors import RunError
from automl.machine import cores

# The one that a worker decodes, and one that waits until it is done.
_JOBS_PER_WORKER = 2
LONGEST_END = 5.0  # seconds that a process has to end after it has closed its results
Part = Sequence[int]
_ROOT = str(Path(__file__).resolve().parents[3])


class PoolUnavailableError(Exception):
    """No process could be started here; nothing was done."""


def convert_all(
    setup: WorkerSetup, spec: ReaderSpec, parts: Iterable[Part]
) -> Generator[tuple[Part, Converted], None, None]:
    """Convert the rows of each part in one process per core, and yield the results as they arrive.

    The next part is taken when a worker has room for it, so `parts` may end where the time does.

    Raises PoolUnavailableError before anything is done if processes cannot be started, ColourFound like
    `Conversion.convert`, and RunError if a process ends or fails. All processes have ended when this generator ends.
    """
    waiting = iter(parts)
    with _workers(cores(), setup) as workers:
        for _ in range(_JOBS_PER_WORKER):
            for worker in workers:
                worker.submit(waiting, spec)
        while any(worker.parts for worker in workers):
            ready = wait([worker.results for worker in workers])
            for worker in workers:
                if worker.results in ready:
                    yield worker.result()
                    worker.submit(waiting, spec)


class _Worker:
    """A process, and the parts that it has not finished."""

    def __init__(self) -> None:
        code = (
            f"import sys; sys.path[:] = {json.dumps([_ROOT, *map(str, sys.path)])}; "
            "from automl.data.decoding.pool_worker import main; main()"
        )
        # -I and -S skip the rest of Python's start-up: the path is already that of this process.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._process.stdin as jobs, self._process.stdout as results:
            self._jobs = Connection(os.dup(jobs.fileno()), readable=False)
            self.results = Connection(os.dup(results.fileno()), writable=False)
        self.parts: deque[Part] = deque()

    def start(self, setup: WorkerSetup) -> None:
        """Wait until the process is up, and send the setup. Raises PoolUnavailableError if it does not come up."""
        try:
            if self.results.recv() != READY:
                raise PoolUnavailableError("an unknown answer")
            self._jobs.send(setup)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise PoolUnavailableError(str(error)) from error

    def submit(self, waiting: Iterator[Part], spec: ReaderSpec) -> None:
        """Send the next part, if there is one."""
        rows = next(waiting, None)
        if rows is None:
            return
        self.parts.append(rows)
        try:
            self._jobs.send((rows, spec.locations(rows)))
        except OSError as error:
            raise self._ended() from error

    def result(self) -> tuple[Part, Converted]:
        """Return the next part that is done, and its result."""
        try:
            result: Any = self.results.recv()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._ended() from error
        if isinstance(result, ColourFound):
            raise result
        if not isinstance(result, Converted):
            raise RunError(f"decoding must not fail as a whole, but it did ({result}): please report this")
        return self.parts.popleft(), result

    def kill(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.wait()
        self._jobs.close()
        self.results.close()

    def _ended(self) -> RunError:
        try:
            code = self._process.wait(LONGEST_END)
        except subprocess.TimeoutExpired:  # it lives, but what it sent is no result
            self._process.kill()
            code = self._process.wait()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return RunError(
            f"a process that decodes images ended unexpectedly ({how}), perhaps because memory ran out: run the same "
            "command again; the images are decoded anew"
        )


@contextmanager
def _workers(n: int, setup: WorkerSetup) -> Iterator[list[_Worker]]:
    workers: list[_Worker] = []
    try:
        try:
            workers += [_Worker() for _ in range(n)]
        except (OSError, ValueError, TypeError) as error:
            raise PoolUnavailableError(str(error)) from error
        for worker in workers:
            worker.start(setup)
        yield workers
    finally:
        for worker in workers:
            worker.kill()


def can_start() -> bool:
    """Return whether processes can be started and waited for here."""
    return bool(sys.executable) and sys.platform != "win32"
