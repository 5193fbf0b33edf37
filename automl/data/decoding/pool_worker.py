"""A process that decodes rows and does nothing else; started by `crew`, which it outlives by nothing.

It loads Pillow and NumPy alone, opens the source by itself, and writes into arrays that it maps from files. What it is
told and what it answers are pickles on its standard input and output.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import sys
import warnings
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from automl.data.decoding.convert import ColourFound, Conversion, Findings
from automl.data.readers import Spot, open_reader

READY = "ready"
LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Errand:
    """What a worker does until it ends: paths of mapped arrays, and where the pictures lie.

    `images` is None where the pixels are not kept; `kind` and `path` are as in `places.Place`.
    """

    kind: str
    path: str
    size: int
    channels: int
    images: str | None
    digests: str
    sizes: str
    thumbs: str


@dataclass(frozen=True)
class Load:
    """Rows `start` and following, by their spots."""

    start: int
    spots: list[Spot]


def main() -> None:
    """Serve until the standard input ends, which it also does when the process at its other end is killed."""
    # Ctrl-C reaches all processes of a terminal; the one that started this one decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tell = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not end up among the answers
    with contextlib.suppress(BrokenPipeError, EOFError):  # nobody is there any more, for whom to go on
        _serve(sys.stdin.buffer, tell)
    os._exit(0)  # what is left to close is flushed already or of no use


def _serve(hear: BinaryIO, tell: BinaryIO) -> None:
    _say(tell, READY)
    errand: Errand = pickle.load(hear)
    spots: dict[int, Spot] = {}
    conversion: Conversion | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while True:
            load: Load = pickle.load(hear)
            rows = range(load.start, load.start + len(load.spots))
            spots.clear()
            spots.update(zip(rows, load.spots, strict=True))
            answer: Any
            try:
                conversion = conversion or _prepare(errand, spots)
                answer = conversion.convert(rows)
            except ColourFound as error:
                answer = error
            except Exception as error:  # told to the person there, not here
                answer = f"{type(error).__name__}: {error}"
            _say(tell, answer)


def _prepare(errand: Errand, spots: dict[int, Spot]) -> Conversion:
    reader = open_reader(errand.kind, errand.path)
    return Conversion(
        read=lambda row: reader.read(spots[row]),
        size=errand.size,
        channels=errand.channels,
        images=None if errand.images is None else _mapped(errand.images),
        findings=Findings(_mapped(errand.digests), _mapped(errand.sizes), _mapped(errand.thumbs)),
    )


def _mapped(path: str) -> Any:
    return np.load(path, mmap_mode="r+")


def _say(tell: BinaryIO, answer: Any) -> None:
    """Write an answer after its length, so that the other side reads just that: what a buffer has read ahead does not
    wake who waits for the pipe."""
    content = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    tell.write(LENGTH.pack(len(content)) + content)
    tell.flush()
