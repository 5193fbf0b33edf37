"""Ctrl-C during a search: the first ends it in order, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = "interrupted by Ctrl-C"


@contextmanager
def ctrl_c_asks(request_stop: Callable[[str], None]) -> Iterator[None]:
    """In this block the first SIGINT calls `request_stop`; the next does what it did before.

    Signals belong to the main thread: in any other, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        request_stop(INTERRUPTED)

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
