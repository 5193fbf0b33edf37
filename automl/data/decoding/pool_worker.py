"""A process that decodes rows, started by `process_pool` and ended with it.

It loads only Pillow and NumPy, opens the files itself, and writes into arrays that it maps from files. Jobs and results
are pickles on its standard input and output.
"""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.decoding.convert import ColourFound, Conversion, Findings
from automl.data.decoding.pixel_range import PixelRange
from automl.data.readers import Location, open_reader
from automl.interrupt import SIGNALS

if TYPE_CHECKING:  # a process that decodes must start quickly
    from automl.records import Resize

READY = "ready"


@dataclass(frozen=True)
class WorkerSetup:
    """What all jobs of a worker share: `kind` and `path` of a `ReaderSpec`, and where the results go.

    `images` is the file of the pixels, None if they are not kept; `folder` holds the files of `Findings`.
    """

    kind: str
    path: str
    size: int
    channels: int
    images: str | None
    folder: str
    resize: Resize = "crop"
    pixel_range: PixelRange = ()


def main() -> None:
    """Serve until the standard input ends, which also happens when the parent process is killed."""
    # Ctrl-C, a terminal that closes and batch systems reach all processes of a group; only the parent handles it.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    jobs, results = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # keeps what a library prints out of the results
    with contextlib.suppress(BrokenPipeError, EOFError):  # the parent is gone
        _serve(jobs, results)
    os._exit(0)  # skips the slow cleanup of the interpreter: everything is written


def _serve(jobs: Any, results: Any) -> None:
    results.send(READY)
    setup: WorkerSetup = jobs.recv()
    locations: dict[int, Location] = {}
    conversion: Conversion | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            rows, listed = jobs.recv()
            locations.clear()
            locations.update(zip(rows, listed, strict=True))
            try:
                conversion = conversion or _prepare(setup, locations)
                result: Any = conversion.convert(rows)
            except ColourFound as error:
                result = error
            except Exception as error:  # the parent reports it
                result = f"{type(error).__name__}: {error}"
            results.send(result)


def _prepare(setup: WorkerSetup, locations: dict[int, Location]) -> Conversion:
    reader = open_reader(setup.kind, setup.path)
    return Conversion(
        read=lambda row: reader.read(locations[row]),
        size=setup.size,
        channels=setup.channels,
        images=None if setup.images is None else np.load(setup.images, mmap_mode="r+"),
        findings=Findings.open(setup.folder),
        resize=setup.resize,
        pixel_range=setup.pixel_range,
    )
