"""Processes that decode, one a core: Python's lock lets threads decode small pictures hardly faster than one alone.

They are started as plain programs, not by fork (Ray comes up in another thread meanwhile) nor by multiprocessing's
spawn, which would run the script or notebook that called us once more in each of them.
"""

from __future__ import annotations

import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from automl.data.decoding.convert import ColourFound, Told
from automl.data.decoding.pool_worker import LENGTH, READY, Errand, Load
from automl.data.readers import Place
from automl.errors import RunError
from automl.machine import cores

# One that is decoded, and one that waits for it to be done.
_LOADS_IN_HAND = 2
_ROOT = str(Path(__file__).resolve().parents[3])


class NoCrewError(Exception):
    """No process could be started here; nothing was done."""


def convert_all(
    errand: Errand, place: Place, parts: Sequence[range]
) -> Generator[tuple[range, Told], None, None]:
    """Have the rows of each part converted, by as many processes as `cores`; yields the parts as they are done.

    Raises NoCrewError before anything was done where processes cannot be started, ColourFound as `Conversion.convert`
    does, and RunError where a process ends or fails. However this ends, its processes have ended before it does.
    """
    waiting = deque(parts)
    with _crew(min(cores(), len(parts)), errand) as members, selectors.DefaultSelector() as selector:
        for member in members:
            selector.register(member.answers, selectors.EVENT_READ, member)
        for _ in range(_LOADS_IN_HAND):
            for member in members:
                member.load(waiting, place)
        while any(member.parts for member in members):
            for key, _ in selector.select():
                yield key.data.answer()
                key.data.load(waiting, place)


class _Member:
    """A process, and the parts that it has in hand."""

    def __init__(self) -> None:
        code = (
            f"import sys; sys.path[:] = {json.dumps([_ROOT, *map(str, sys.path)])}; "
            "from automl.data.decoding.pool_worker import main; main()"
        )
        # The path is that of this process, so that nothing else that Python does at its start is needed.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._orders, self.answers = self._process.stdin, self._process.stdout
        self.parts: deque[range] = deque()

    def begin(self, errand: Errand) -> None:
        """Wait until it is up, and say what there is to do. Raises NoCrewError if it does not come up."""
        try:
            if self._hear() != READY:
                raise NoCrewError("an unknown answer")
            self._send(errand)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise NoCrewError(str(error)) from error

    def load(self, waiting: deque[range], place: Place) -> None:
        """Hand over the next part, if there is one."""
        if not waiting:
            return
        rows = waiting.popleft()
        self.parts.append(rows)
        try:
            self._send(Load(rows.start, place.spots(rows)))
        except OSError as error:
            raise self._gone() from error

    def answer(self) -> tuple[range, Told]:
        """The next answer, and what it is about."""
        try:
            answer = self._hear()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._gone() from error
        if isinstance(answer, ColourFound):
            raise answer
        if not isinstance(answer, Told):
            raise RunError(f"decoding must not fail as a whole, but it did ({answer}): please report this")
        return self.parts.popleft(), answer

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._orders, self.answers):
            try:
                pipe.close()
            except OSError:
                continue  # what was not read by the process that has ended

    def _send(self, order: Errand | Load) -> None:
        pickle.dump(order, self._orders, protocol=pickle.HIGHEST_PROTOCOL)
        self._orders.flush()

    def _hear(self) -> Any:
        """The next answer. Raises EOFError where the process has ended."""
        return pickle.loads(self._read(LENGTH.unpack(self._read(LENGTH.size))[0]))

    def _read(self, size: int) -> bytes:
        parts = []
        while size:
            part = os.read(self.answers.fileno(), size)
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _gone(self) -> RunError:
        code = self._process.wait()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return RunError(
            f"processes that decode must not be ended from outside, but one was ({how}), perhaps for want of memory: "
            "run the same again; the images are decoded anew"
        )


@contextmanager
def _crew(n: int, errand: Errand) -> Iterator[list[_Member]]:
    members: list[_Member] = []
    try:
        try:
            members += [_Member() for _ in range(n)]
        except (OSError, ValueError, TypeError) as error:
            raise NoCrewError(str(error)) from error
        for member in members:
            member.begin(errand)
        yield members
    finally:
        for member in members:
            member.end()


def can_start() -> bool:
    """Whether processes can be started and waited for here."""
    return bool(sys.executable) and sys.platform != "win32"
