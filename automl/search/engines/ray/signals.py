"""Signals: which of them reach Ray's processes, and which Ray must leave to this one."""

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

    Ray's core replaces Python's handler by one that prints the stack and aborts, so that a study could not stop in
    order. Python sets handlers in the main thread only, and Ray starts in another. So this block saves and restores the
    system's own record with `sigaction`, where libc has it.
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

    Otherwise a signal to the process group (Ctrl-C in a terminal, a batch system's SIGTERM) would end Ray before this
    process has stopped its search in order, and the search would wait a minute for Ray's answers.
    """
    # Private to Ray: `ray._private.services.ConsolePopen`. Ray has no option for this. Without it, Ray's processes stay
    # in the group: Ctrl-C in a terminal ends Ray first, and the search waits a minute before it stops.
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
