"""Ctrl-C and SIGTERM: the first ends what runs in order, the second at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = "interrupted by Ctrl-C"


@contextmanager
def ctrl_c_asks(request_stop: Callable[[str], None]) -> Iterator[None]:
    """In this block the first SIGINT or SIGTERM calls `request_stop`; the next leaves, as KeyboardInterrupt.

    Signals belong to the main thread: in any other, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before[signal.SIGINT])
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        request_stop(INTERRUPTED)

    try:
        for number in before:
            signal.signal(number, ask)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_leaves() -> Iterator[None]:
    """In this block SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that nothing is left behind.

    Only in the main thread, and only where nobody else handles the signal.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
