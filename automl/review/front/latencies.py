"""Latencies of a study's networks: measured when they are asked for, and kept in a file of the study."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_object
from automl.errors import SpaceError
from automl.final.cost.latency import measure_latency, on_device
from automl.final.cost.network import Network
from automl.machine import Moment, cores
from automl.review.studies import StudyFolder

FILE = "latencies.json"  # in the study's folder
FORMAT = 2  # of the file; the first one also kept what was measured on a busy machine
SECONDS = 60.0  # for all measurements of a command


@dataclass(frozen=True)
class Measured:
    """Milliseconds of one image through a network, and `where` they were measured.

    `busy`: other programs held the cores, so it is measured again the next time.
    """

    milliseconds: float
    where: str
    busy: bool = False


@dataclass
class Latencies:
    """Milliseconds of one image through a network, in float32 on this machine.

    A network is measured once a machine, device and number of threads, and no more after the moment `until`. `file`
    keeps the measurements, but none of a busy machine; one that cannot be read or written is as none. `searched` are
    what the search measured, by network: they count where a network is not measured here.
    """

    file: Path
    device: str = "cpu"
    threads: int = field(default_factory=cores)
    until: Moment = field(default_factory=lambda: Moment.now().later(SECONDS))
    searched: Mapping[str, Measured] = field(default_factory=dict)
    _known: dict[str, float] = field(default_factory=dict)
    _busy: dict[str, Measured] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = _read(self.file)

    @staticmethod
    def of_study(study: StudyFolder, *, until: Moment | None = None) -> Latencies:
        """Return the latencies of a study's networks; none is measured after `until`, by default a minute from now."""
        until = Moment.now().later(SECONDS) if until is None else until
        return Latencies(study.path / FILE, until=until, searched=_searched(study.plan))

    def of(
        self, network: Network, channels: int, note: Callable[[str], None] = lambda text: None
    ) -> Measured | None:
        """Return the latency of a network; None if nobody had time to measure it, or it cannot be built.

        `note` is told before it is measured.
        """
        if (known := self._known.get(f"{network.key} {self.where}")) is not None:
            return Measured(known, self.where)
        if network.key not in self._busy and not self.until.passed():
            note(f"measuring {network.words}")
            found = self._measured(network, channels)
            if found is None or not found.busy:
                return found
            self._busy[network.key] = found
        return self._busy.get(network.key, self.searched.get(network.key))

    def _measured(self, network: Network, channels: int) -> Measured | None:
        """Measure a network, and keep that unless the machine was busy; None if the network cannot be built."""
        try:
            built = network.build()
        except (SpaceError, RuntimeError, TypeError, ValueError):  # a user's function may be gone
            return None
        found = measure_latency(
            built, channels=channels, side=network.side, threads=self.threads, device=self.device
        )
        milliseconds = round(found.p50, 3)
        if not found.busy:
            self._known[f"{network.key} {self.where}"] = milliseconds
            self._write()
        return Measured(milliseconds, self.where, found.busy)

    @property
    def where(self) -> str:
        """Where latencies are measured, such as `cpu with 2 threads on host`."""
        return f"{on_device(self.device, self.threads)} on {platform.node() or 'this machine'}"

    def _write(self) -> None:
        draft = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        document = {"format": FORMAT, "milliseconds": self._known}
        try:
            draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            draft.replace(self.file)
        except OSError:  # a study that is only read: it is measured again the next time
            return


def _read(file: Path) -> dict[str, float]:
    found = read_object(file)
    if found.get("format") != FORMAT or not isinstance(found.get("milliseconds"), dict):
        return {}
    rows = found["milliseconds"].items()
    return {str(key): float(value) for key, value in rows if isinstance(value, int | float)}


def _searched(plan: Mapping[str, Any]) -> dict[str, Measured]:
    """Return what the search measured for a limit of the latency, by plan.json; nothing if that is damaged."""
    try:
        limits = plan.get("limits") or {}
        where = f"{on_device(str(limits.get('device', 'cpu')), int(limits.get('threads', 1)))}, by the search"
        return {
            Network(str(row["model"]), str(row["keywords"]), int(row["side"])).key: Measured(
                float(row["latency_ms"]), where
            )
            for row in limits.get("networks", ())
            if row["latency_ms"] is not None
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
