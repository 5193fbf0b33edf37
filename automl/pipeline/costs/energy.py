"""The energy of a study, by codecarbon in a process of its own, if that is installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

from automl.documents.json_file import parse_json
from automl.log import get_logger

LEAST_S = (
    300.0  # a study with a shorter limit is not measured, one without a limit from then on: decision 173
)
LAST_S = 0.5  # that the result waits for the last number
END_S = 2.0  # that the end of the process waits for it
NOT_INSTALLED = "not measured: codecarbon is not installed (pip install 'automl[codecarbon]')"
TOO_SHORT = f"not measured: the time limit is below {LEAST_S:.0f} s"
NO_NUMBER = "not measured: codecarbon gave no number before the end"
_PROCESS = Path(__file__).with_name("codecarbon_process.py")

logger = get_logger(__name__)


class Meter(Protocol):
    """Measures energy while a study runs. `how` says how it was found, or why it was not measured."""

    @property
    def how(self) -> str:
        """A sentence without full stop."""

    def energy_kwh(self) -> float | None:
        """Return the kilowatt-hours so far, None if they are not known."""

    def stop(self, wait: float = 0.0) -> None:
        """Measure no more, and wait at most so many seconds for the last number."""


class NoMeter:
    """Measures nothing."""

    def __init__(self, how: str = NOT_INSTALLED) -> None:
        self.how = how

    def energy_kwh(self) -> float | None:
        """Return None."""
        return None

    def stop(self, wait: float = 0.0) -> None:
        """Do nothing."""


class CodecarbonMeter:
    """Reads what a process with codecarbon in offline mode says. Whatever happens to it, the study goes on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self._known = process, threading.Lock()
        self._kwh: float | None = None
        self._how = NO_NUMBER
        assert process.stdout is not None, "it was opened with a pipe"
        self._thread = threading.Thread(
            target=self._read, args=(process.stdout,), name="automl-energy", daemon=True
        )
        self._thread.start()

    @property
    def how(self) -> str:
        """How the last number was found."""
        with self._known:
            return self._how

    def energy_kwh(self) -> float | None:
        """Return the last number."""
        with self._known:
            return self._kwh

    def stop(self, wait: float = 0.0) -> None:
        """Measure no more: the process then says its last number, and ends."""
        assert self._process.stdin is not None, "it was opened with a pipe"
        with suppress(OSError):
            self._process.stdin.close()  # also if this process is killed
        self._thread.join(wait)

    def close(self) -> None:
        """End the process, after a moment for its last number."""
        self.stop(END_S)
        try:
            self._process.wait(0.0 if self._thread.is_alive() else END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(END_S)  # a program that it had started may hold the pipe

    def _read(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                try:
                    said = parse_json(line)
                    kwh, how = float(said["kwh"]), str(said["how"])
                except (ValueError, LookupError, TypeError):  # something else that was printed
                    continue
                with self._known:
                    self._kwh, self._how = kwh, how


NO_METER = NoMeter()


@contextmanager
def metering(limit: float | None) -> Iterator[Meter]:
    """Measure inside of the block, for a study with so many seconds; a meter that measures nothing where it cannot."""
    if limit is not None and limit < LEAST_S:
        yield NoMeter(TOO_SHORT)
        return
    if importlib.util.find_spec("codecarbon") is None:
        yield NO_METER
        return
    with tempfile.TemporaryDirectory(prefix="automl-energy-") as folder:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", str(_PROCESS), f"{LEAST_S if limit is None else 0.0:g}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                text=True,
                start_new_session=True,  # Ctrl-C is for the study, which ends it
            )
        except OSError as error:
            logger.warning("the energy is not measured: %s", error)
            yield NoMeter(NO_NUMBER)
            return
        meter = CodecarbonMeter(process)
        try:
            yield meter
        finally:
            meter.close()
