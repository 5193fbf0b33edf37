"""Give cases to processes, and end those that take too long or too much memory."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.fuzz.case import Outcome

LONGEST, MOST_GROWN = 10.0, 2**30  # seconds and bytes of one case
_START = 180.0
_BUSY = 6  # times as long on the clock as on the CPU
_LOOK = 0.02  # seconds between two looks at the memory
ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """A process that tries cases of one reader."""

    def __init__(self, name: str, seed: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-")  # of the process, which may be killed
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzz.worker", name, str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": self._folder.name},
            text=True,
            bufsize=1,
        )
        if self._line(_START) != "ready":
            code = self._process.poll()
            self.close()
            raise SystemExit(f"the process for {name!r} did not start (exit code {code})")
        self._rss = self._memory()

    def alive(self) -> bool:
        """Return whether it can try another case."""
        return self._process.poll() is None

    def try_case(self, number: int) -> Outcome:
        """Return the outcome of a case; the process is dead afterwards if that took too long, or killed it."""
        assert self._process.stdin is not None
        begun = time.perf_counter()
        self._process.stdin.write(f"{number}\n")
        most, used = 0, self._used()
        while (seconds := time.perf_counter() - begun) < LONGEST + 1 or self._still_works(seconds, used):
            line = self._line(_LOOK)
            if line:
                outcome = Outcome(**json.loads(line))
                if outcome.seconds > LONGEST:
                    return Outcome("slow", outcome.text, outcome.seconds, True, outcome.grown)
                if outcome.grown > MOST_GROWN:
                    return Outcome("memory", outcome.text, outcome.seconds, True, outcome.grown)
                return outcome
            if not self.alive():
                return Outcome("died", f"exit code {self._process.returncode}", seconds, True, most)
            most = max(most, self._memory() - self._rss)
            if most > MOST_GROWN:
                self.close()
                return Outcome("memory", "", seconds, True, most)
        self.close()
        return Outcome("hang", "", seconds, True, most)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._folder.cleanup()

    def _still_works(self, seconds: float, used: float) -> bool:
        """Return whether a late process has had little of the CPU yet, as other work is in its way."""
        return self.alive() and seconds < _BUSY * LONGEST and self._used() - used < LONGEST

    def _used(self) -> float:
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def _line(self, seconds: float) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        return self._process.stdout.readline().strip() if ready else ""

    def _memory(self) -> int:
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0


def outcomes(name: str, seed: int, numbers: Iterator[int]) -> Iterator[tuple[int, Outcome]]:
    """Yield number and outcome of each case; a process that died is replaced."""
    worker = Worker(name, seed)
    try:
        for number in numbers:
            if not worker.alive():
                worker = Worker(name, seed)
            yield number, worker.try_case(number)
    finally:
        worker.close()
