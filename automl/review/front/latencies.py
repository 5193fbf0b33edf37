"""Latencies of a study's networks: measured when they are asked for, and kept in a file of the study."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automl.documents.json_file import read_json
from automl.errors import SpaceError
from automl.final.cost.latency import measure_latency
from automl.final.cost.network import Network
from automl.machine import Moment, cores

FILE = "latencies.json"  # in the study's folder
SECONDS = 60.0  # for all measurements of a command


@dataclass
class Latencies:
    """Milliseconds of one image through a network, in float32 on this machine.

    A network is measured once a machine, device and number of threads, and no more after the moment `until`. `file`
    keeps the measurements; one that cannot be read or written is as none.
    """

    file: Path
    device: str = "cpu"
    threads: int = field(default_factory=cores)
    until: Moment = field(default_factory=lambda: Moment.now().later(SECONDS))
    _known: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = _read(self.file)

    def of(
        self, network: Network, channels: int, note: Callable[[str], None] = lambda text: None
    ) -> float | None:
        """Return the latency of a network; None if there was no time to measure it, or it cannot be built.

        `note` is told before it is measured.
        """
        key = f"{network.key} {self.where}"
        if key not in self._known:
            if self.until.passed():
                return None
            note(f"measuring {network.words}")
            try:
                built = network.build()
            except (SpaceError, RuntimeError, TypeError, ValueError):  # a user's function may be gone
                return None
            found = measure_latency(
                built, channels=channels, side=network.side, threads=self.threads, device=self.device
            )
            self._known[key] = round(found.p50, 3)
            self._write()
        return self._known[key]

    @property
    def where(self) -> str:
        """Where latencies were measured, such as `cpu with 2 threads on host`."""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return f"{self.device} with {threads} on {platform.node() or 'this machine'}"

    def _write(self) -> None:
        draft = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps(self._known, indent=1) + "\n", encoding="utf-8")
            draft.replace(self.file)
        except OSError:  # a study that is only read: it is measured again the next time
            return


def _read(file: Path) -> dict[str, float]:
    try:
        found: Any = read_json(file)
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): float(value) for key, value in found.items() if isinstance(value, int | float)}
