"""Signals: which of them reach Ray's processes, and which Ray must not take from this one."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

_LARGEST_ACTION = 512  # bytes; struct sigaction has 152 on Linux and 16 on macOS


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """After this block SIGTERM is handled as before it.

    Ray's core puts a handler of its own in the place of Python's, in the driver too: it prints the stack and aborts, so
    that a study could not stop in order. Python can set handlers in the main thread only, and Ray starts in another;
    so the system's own record is kept and put back. Where it cannot be reached, nothing is done.
    """
    sigaction = getattr(ctypes.CDLL(None), "sigaction", None)
    if sigaction is None:
        yield
        return
    before = ctypes.create_string_buffer(_LARGEST_ACTION)
    known = sigaction(int(signal.SIGTERM), None, before) == 0
    try:
        yield
    finally:
        if known:
            sigaction(int(signal.SIGTERM), before, None)


@contextmanager
def out_of_the_group() -> Iterator[None]:
    """Processes that Ray starts in this block get a session of their own.

    A signal for the whole group of this process (a terminal's Ctrl-C, a batch system's SIGTERM) would otherwise end
    Ray before this process has stopped its search in order, and it would then wait a minute for Ray's answers.
    """
    # `ray._private.services.ConsolePopen` is private, and Ray has no option for this. Where it is gone, Ray's processes
    # stay in the group: a Ctrl-C in a terminal ends Ray first, and the search then waits a minute before it stops.
    services: Any = import_module("ray._private.services")
    start = getattr(services, "ConsolePopen", None)
    if start is None:
        yield
        return
    services.ConsolePopen = partial(start, start_new_session=True)
    try:
        yield
    finally:
        services.ConsolePopen = start
