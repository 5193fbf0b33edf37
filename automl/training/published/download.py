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
    """Download weights with allowed `licences` from the hub into its cache, for `seconds`.

    `models` are names with their millions of parameters, the most wanted first. The next file is always the first that
    would finish in time, by the speed so far. One whose speed shows that it would not is given up for a smaller one.
    Failed downloads are ignored; the caller sees which are missing. `progress` is called with the bytes that arrived
    and those of the current file and all before it.
    """
    begun = time.monotonic()
    if seconds <= 0:
        return Downloaded()
    work = _Work(begun, seconds, licences)
    # A request can hang longer than its timeout says, so it runs in a thread that is abandoned if it does.
    thread = threading.Thread(target=work.run, args=(list(models),), daemon=True, name="weights")
    thread.start()
    while thread.is_alive() and not work.is_over():
        thread.join(_LOOK_EVERY)
        work.give_up_if_slow()
        if progress is not None and work.expected:
            progress(work.arrived, max(work.expected, work.arrived))
    work.stopped = thread.is_alive()
    return Downloaded(dict(work.found), work.finished, time.monotonic() - begun)


class _StoppedError(Exception):
    """The time for downloads is over, or too short for this file."""


class _Work:
    """Downloads one file after the other in a thread. Only the thread writes, apart from `stopped` and `given_up`."""

    def __init__(self, begun: float, seconds: float, licences: str) -> None:
        self._begun, self._seconds, self._licences = begun, seconds, licences
        self.found: dict[str, Weights] = {}
        self.arrived = self.finished = 0  # bytes of all files, and of whole ones
        self.expected = 0.0  # bytes of the files until the current one
        self.stopped = False  # all downloads,
        self.given_up = False  # and the current one
        self.received = 0  # bytes, also of files that were given up
        self._asked = math.inf  # the moments of the first request and of the current one
        self._asked_now = math.inf

    def is_over(self) -> bool:
        """Return whether the time is over."""
        return self._left() <= 0

    def give_up_if_slow(self) -> None:
        """Give the current file up if the time would be over before it is finished."""
        # The client counts in steps of megabytes: no byte yet is no sign of a slow hub.
        asking = time.monotonic() - self._asked_now
        if self.arrived > self.finished and asking > _MEASURED_AFTER * self._seconds:
            self.given_up = self.expected - self.arrived > self._left() * self._rate()

    def _left(self) -> float:
        return self._begun + self._seconds - time.monotonic()

    def _rate(self) -> float:
        """Return the bytes in a second so far, an assumed number before the first."""
        asking = time.monotonic() - self._asked
        return self.received / asking if self.received and asking > 0 else _BYTES_PER_SECOND

    def run(self, models: list[tuple[str, float]]) -> None:
        left = dict(models)
        while left and not self.stopped:
            within = self._left() * self._rate() / BYTES_PER_WEIGHT / 1e6
            model = next((name for name, millions in left.items() if millions <= within), None)
            if model is None:
                return
            size = left.pop(model) * 1e6 * BYTES_PER_WEIGHT
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
        self._asked_now, self.given_up = time.monotonic(), False
        self._asked = min(self._asked, self._asked_now)
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
                work.received += int(n or 0)
                if work.stopped or work.given_up:
                    raise _StoppedError
                return None

        return Meter
