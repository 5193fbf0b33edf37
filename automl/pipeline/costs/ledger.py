"""The costs of a study over all its commands, also of those that were killed: `costs.json` in its folder."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_json
from automl.log import get_logger
from automl.pipeline.clock import Clock
from automl.pipeline.costs.energy import LAST_S, NO_METER, Meter
from automl.pipeline.study_folder import write_text

COSTS_FILE = "costs.json"
EVERY_S = 5.0  # between two writes: a killed command loses no more of its costs
FORMAT = 1

logger = get_logger(__name__)


@dataclass(frozen=True)
class Costs:
    """What one command, or several, cost.

    `core_s`: seconds of processor cores that were set aside for the stages, used or not. `worker_s`: seconds of the
    workers of the search. `energy_kwh`: of the machine while it was measured, None if it was not.
    """

    seconds: float = 0.0
    core_s: float = 0.0
    worker_s: float = 0.0
    energy_kwh: float | None = None

    def __add__(self, other: Costs) -> Costs:
        energies = [one for one in (self.energy_kwh, other.energy_kwh) if one is not None]
        return Costs(
            self.seconds + other.seconds,
            self.core_s + other.core_s,
            self.worker_s + other.worker_s,
            math.fsum(energies) if energies else None,
        )


class Ledger:
    """The costs of a study while a command of it runs: `before` of earlier commands, and this one's own so far.

    They are written every few seconds by a thread. A disk that is full costs the entry, not the study.
    """

    def __init__(self, root: Path, clock: Clock, *, before: Costs | None = None) -> None:
        """`root` is the study's folder. `before`: costs of commands that kept no ledger, if there is none in `root`."""
        self._path, self._clock = root / COSTS_FILE, clock
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._earlier = read_runs(self._path)
        if not self._earlier and before is not None:
            self._earlier = [{"began": None, **asdict(before)}]
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._cores, self._workers = 0.0, 0.0
        self._at = clock.elapsed()
        self._core_s = self._worker_s = 0.0
        self._settled: float | None = None
        self._meter: Meter = NO_METER

    @property
    def before(self) -> Costs:
        """The costs of earlier commands."""
        return sum(map(_costs, self._earlier), Costs())

    def holds(self, cores: float, *, workers: float = 0.0) -> None:
        """From now on, so many cores are set aside, and so many workers of the search run."""
        with self._lock:
            self._accrue()
            self._cores, self._workers = cores, workers

    def ends(self) -> None:
        """The end is near: no more energy is measured, so that the last number is there in time."""
        self._meter.stop()

    def worked(self, worker_s: float) -> None:
        """The workers of the search ran for so many seconds together: measured, in place of what was counted."""
        with self._lock:
            self._accrue()
            self._workers, self._worker_s = 0.0, worker_s

    def own(self) -> Costs:
        """Return the costs of this command so far."""
        with self._lock:
            self._accrue()
            seconds = self._clock.elapsed() if self._settled is None else self._settled
            return Costs(seconds, self._core_s, self._worker_s, self._meter.energy_kwh())

    def settle(self, seconds: float) -> Costs:
        """End the entry of this command, which took so many seconds, and return the costs of all commands."""
        self._meter.stop(LAST_S)
        with self._lock:
            self._accrue()
            self._settled = seconds
        self.write()
        return self.total()

    def total(self) -> Costs:
        """Return the costs of all commands of the study."""
        return self.before + self.own()

    def entry(self) -> dict[str, float | str | None]:
        """Return what result.json says of the costs of all commands."""
        found = self.total()
        energy = found.energy_kwh
        return {
            "seconds": round(found.seconds, 2),
            "core_hours": round(found.core_s / 3600, 4),
            "energy_kwh": None if energy is None else round(energy, 6),
            "energy_how": self._energy_how(),
        }

    def _energy_how(self) -> str:
        """Return how the energy was found, and which commands were not measured."""
        runs = [*map(_costs, self._earlier), self.own()]
        known = sum(run.energy_kwh is not None for run in runs)
        if not 0 < known < len(runs):
            return self._meter.how
        how = self._meter.how if runs[-1].energy_kwh is not None else "codecarbon"
        return f"{how}; {known} of {len(runs)} commands were measured"

    def write(self) -> None:
        """Write the costs so far."""
        own = asdict(self.own())
        rounded = {name: value if value is None else round(value, 6) for name, value in own.items()}
        document = {"format": FORMAT, "runs": [*self._earlier, {"began": self._began, **rounded}]}
        try:
            with self._writing:
                write_text(self._path, json.dumps(document, indent=2) + "\n")
        except OSError as error:
            logger.warning("the costs of the study could not be written: %s", error)

    @contextmanager
    def keeping(self, meter: Meter = NO_METER) -> Iterator[None]:
        """Write the costs from time to time inside of the block, and at its end."""
        self._meter = meter
        done = threading.Event()

        def run() -> None:
            while not done.wait(EVERY_S):
                self.write()

        self.write()
        thread = threading.Thread(target=run, name="automl-costs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(EVERY_S)
            self.write()

    def _accrue(self) -> None:
        now = self._clock.elapsed()
        if self._settled is None:
            self._core_s += self._cores * (now - self._at)
            self._worker_s += self._workers * (now - self._at)
        self._at = now


def costs_of_result(result: Mapping[str, Any] | None, plan: Mapping[str, Any] | None) -> Costs | None:
    """Return what the result of a version without ledgers says, with the plan of its search; None without a result."""
    if result is None:
        return None
    time, work, known = result.get("time") or {}, result.get("work") or {}, plan or {}
    workers = float(known.get("parallel") or 1)
    worker_s = float(work.get("worker_s") or workers * float(time.get("search_s") or 0.0))
    seconds = float(time.get("all_runs_s") or time.get("used_s") or 0.0)
    return Costs(seconds, worker_s * float(known.get("threads_per_trial") or 1), worker_s)


def read_runs(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a ledger; [] without one, or for a damaged one: its study goes on without it."""
    try:
        document = read_json(path)
        runs = [dict(run) for run in document["runs"]]
        for run in runs:
            _costs(run)
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return runs


def _costs(run: Mapping[str, Any]) -> Costs:
    known = {one.name: run.get(one.name) for one in fields(Costs)}
    energy = known.pop("energy_kwh")
    found = Costs(**{name: float(value or 0.0) for name, value in known.items()})
    return found if energy is None else Costs(found.seconds, found.core_s, found.worker_s, float(energy))
