"""Download weights from the Hugging Face hub into its cache, for a limited time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from automl.machine import HUB_SECONDS
from automl.training.models.pretrained_weights import Weights, describe_weights, licence_of
from automl.training.models.weight_sources import hub_file, published
from automl.training.published.licences import is_allowed

BYTES_PER_WEIGHT = 4
# Assumed speed of the network until bytes have arrived for a while, as a share of the time.
_BYTES_PER_SECOND = 5e6
_MEASURED_AFTER = 0.25
_LOOK_EVERY = 0.05


@dataclass(frozen=True)
class Downloaded:
    """The weights that arrived, by model; their bytes, and the seconds that all took."""

    weights: Mapping[str, Weights] = field(default_factory=dict)
    size: int = 0
    seconds: float = 0.0


def download(
    models: Sequence[tuple[str, float]],
    *,
    seconds: float,
    licences: str = "any",
    progress: Callable[[float, float], None] | None = None,
) -> Downloaded:
    """Download weights with allowed `licences` from the hub into its cache, in the given order, for `seconds`.

    `models` are names with their millions of parameters. A file that would not finish in time is not started, and is
    given up when its speed shows that. Failed downloads are ignored; the caller sees which are missing. `progress` is
    called with the bytes that arrived and those of the current file and all before it.
    """
    begun = time.monotonic()
    if seconds <= 0:
        return Downloaded()
    work = _Work(begun, seconds, licences)
    # A request can hang longer than its timeout says, so it runs in a thread that is abandoned if it does.
    thread = threading.Thread(target=work.run, args=(list(models),), daemon=True, name="weights")
    thread.start()
    while thread.is_alive() and not work.is_late():
        thread.join(_LOOK_EVERY)
        if progress is not None and work.expected:
            progress(work.arrived, max(work.expected, work.arrived))
    work.stopped = thread.is_alive()
    return Downloaded(dict(work.found), work.finished, time.monotonic() - begun)


class _StoppedError(Exception):
    """The time for downloads is over."""


class _Work:
    """Downloads one file after the other in a thread. Only the thread writes, apart from `stopped`."""

    def __init__(self, begun: float, seconds: float, licences: str) -> None:
        self._begun, self._seconds, self._licences = begun, seconds, licences
        self.found: dict[str, Weights] = {}
        self.arrived = self.finished = 0  # bytes of all files, and of whole ones
        self.expected = 0.0  # bytes of the files until the current one
        self.stopped = False
        self._asked = math.inf  # the moment of the first request

    def is_late(self) -> bool:
        """Return whether the time is over, or over before the current file would be finished."""
        now = time.monotonic()
        left, asking = self._begun + self._seconds - now, now - self._asked
        # The client counts in steps of megabytes: no byte yet is no sign of a slow hub.
        counted = self.arrived > self.finished and asking > _MEASURED_AFTER * self._seconds
        if left <= 0 or not counted:
            return left <= 0
        return (self.expected - self.arrived) * asking > left * self.arrived

    def run(self, models: list[tuple[str, float]]) -> None:
        for model, millions in models:
            now = time.monotonic()
            rate = self.arrived / (now - self._asked) if self.arrived else _BYTES_PER_SECOND
            size = millions * 1e6 * BYTES_PER_WEIGHT
            if self.stopped or now + size / rate > self._begun + self._seconds:
                continue
            allowed = (
                (name, cfg)
                for name, cfg in published(model).items()
                if cfg.hf_hub_id and is_allowed(licence_of(cfg), self._licences)
            )
            name, cfg = next(allowed, ("", None))
            if cfg is not None:
                self.expected = self.finished + size
                self._fetch(model, name, cfg)

    def _fetch(self, model: str, name: str, cfg: Any) -> None:
        from huggingface_hub import hf_hub_download

        repository, file, revision = hub_file(cfg)
        self._asked = min(self._asked, time.monotonic())
        try:
            path = hf_hub_download(
                repository,
                file,
                revision=revision,
                etag_timeout=min(HUB_SECONDS, self._seconds),
                tqdm_class=self._meter(),
            )
        except Exception:  # downloads fail with many types of errors
            self.arrived, self.expected = self.finished, self.finished
            return
        self.found[model] = describe_weights(name, Path(path), "hub")
        self.finished += Path(path).stat().st_size
        self.arrived, self.expected = self.finished, self.finished

    def _meter(self) -> type[Any]:
        """Return a class that the hub's client takes for its progress bar: it counts bytes, and ends late downloads."""
        from tqdm import tqdm

        work = self

        class Meter(tqdm):  # type: ignore[misc]  # tqdm has no types
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                if kwargs.get("total"):
                    work.expected = work.finished + float(kwargs["total"])
                super().__init__(*args, **{**kwargs, "disable": True})

            def update(self, n: float | None = 1) -> bool | None:
                work.arrived += int(n or 0)
                if work.stopped:
                    raise _StoppedError
                return None

        return Meter
