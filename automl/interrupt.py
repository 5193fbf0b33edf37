"""Ctrl-C, SIGTERM and SIGHUP: the first stops the work in order, the second at once.

A KeyboardInterrupt that is raised inside of an import may leave its lock taken for ever, so that another thread that
imports never goes on. Signals therefore wait for the end of an import.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

EXIT_INTERRUPTED = 130
# A terminal that closes sends SIGHUP; Windows has none. `nohup` and shells ignore some of them: those stay ignored.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
HANG_UP = getattr(signal, "SIGHUP", None)
ECHO = 0.5  # seconds in which shell and system both tell that a terminal has closed
LONGEST_IMPORT = 4.0  # seconds that a signal waits for the end of an import
LONGEST_CLEANUP = 4.0  # seconds from then to the end of a command that has not begun its search
LONGEST_SAVING = 60.0  # of one that has: what it found is written, perhaps to an address
LOOK_AGAIN = 0.05
SHOW_CURSOR = b"\x1b[?25h"
_IMPORTS = "<frozen importlib"  # how the names of the import system's files begin


class Command:
    """What a signal does to a command of the command line, which is a process of its own.

    Until something is begun that has to be put in order, it ends the process at once. Later it raises
    KeyboardInterrupt, and ends the process if that has not ended by itself after some seconds, or at the next signal.
    """

    def __init__(self) -> None:
        self.begun = False
        self.ending = False
        self.patience = LONGEST_CLEANUP
        self.last_words: Callable[[], str] = lambda: "stopped"
        self.before_exit: list[Callable[[], Any]] = []

    def end(self, code: int = EXIT_INTERRUPTED, words: str | None = None) -> None:
        """End the process at once, with a line on stderr: `words`, by default the last ones of a signal."""
        for call in self.before_exit:
            with suppress(Exception):  # nothing may keep the process alive
                call()
        with suppress(OSError):
            if os.isatty(1):
                os.write(1, SHOW_CURSOR)  # a live view hides it
            if words is None:  # of Ctrl-C, which the terminal shows
                words = f"\nautoml: {said}" if (said := self.last_words()) else ""
            os.write(2, f"{words}\n".encode(errors="replace") if words else b"")
        os._exit(code)


_command: Command | None = None
_since: list[float] = []  # the moment of a signal that waits for the end of an import
_hung_up: list[float] = []  # the moment of the last SIGHUP that did something


def as_command() -> Command:
    """Let Ctrl-C end this process as `Command` says, from now on, unless the process ignores it."""
    global _command
    if _command is None:
        _command = Command()
        if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = _raised_later(sys.unraisablehook)
    return _command


def current_command() -> Command | None:
    """Return the command that this process is, None for a program that uses the package."""
    return _command


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal: raise KeyboardInterrupt, but not inside of an import, unless that takes too long."""
    command = _command
    importing = _imports(frame)
    if _is_echo(number):
        return
    if command is not None and command.ending:
        _note_hang_up(number)
        _later(0.0, command.end)  # in a thread: this one may hold a lock that is needed for it
        return
    if command is not None and not command.begun and importing:
        command.end()
    if importing and _may_wait():
        _later(LOOK_AGAIN, lambda: _send(number))
        return
    _since.clear()
    _note_hang_up(number)
    if command is not None:
        command.ending = True
        _later(command.patience, command.end)
    raise KeyboardInterrupt


@contextmanager
def stop_on_interrupt(request_stop: Callable[[], object]) -> Iterator[None]:
    """In this block the first of the signals calls `request_stop`, and the next raises KeyboardInterrupt.

    Only the main thread can handle signals: in any other, nothing changes. Signals that are ignored stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: handler
        for number in SIGNALS
        if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }

    def ask(number: int, frame: FrameType | None) -> None:
        _note_hang_up(number)
        for each, handler in before.items():
            signal.signal(each, handler if each == signal.SIGINT else interrupt)
        request_stop()

    try:
        for number in before:
            signal.signal(number, ask)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def orderly_interrupts() -> Iterator[None]:
    """In this block the signals raise KeyboardInterrupt between imports, so that everything is cleaned up.

    Only in the main thread, and only where nobody else handles the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    plain = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: handler for number in SIGNALS if (handler := signal.getsignal(number)) in plain}
    for number in before:
        signal.signal(number, interrupt)
    if _command is not None:
        _command.begun = True
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def search_begins() -> None:
    """Give a command more time to end after a signal: from now on it has something to save."""
    if _command is not None:
        _command.patience = LONGEST_SAVING


def _raised_later(
    before: Callable[[sys.UnraisableHookArgs], object],
) -> Callable[[sys.UnraisableHookArgs], None]:
    """Return a hook that sends a signal again whose KeyboardInterrupt came while Python removed an object.

    Nothing can be raised from there: Python would print a traceback and go on.
    """

    def hook(lost: sys.UnraisableHookArgs) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            before(lost)
            return
        if _command is not None:
            _command.ending = False  # what comes again is not a second one
        _later(LOOK_AGAIN, lambda: _send(signal.SIGINT))

    return hook


def _imports(frame: FrameType | None) -> bool:
    """Return whether the main thread, which stands at `frame`, imports a module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTS):
            return True
        frame = frame.f_back
    return False


def _may_wait() -> bool:
    """Return whether the signal has not waited for long yet."""
    now = time.monotonic()
    if not _since:
        _since.append(now)
    return now - _since[0] < LONGEST_IMPORT


def _note_hang_up(number: int) -> None:
    if number == HANG_UP:
        _hung_up[:] = [time.monotonic()]


def _is_echo(number: int) -> bool:
    """Return whether the signal tells once more that the terminal has closed."""
    return number == HANG_UP and bool(_hung_up) and time.monotonic() - _hung_up[0] < ECHO


def _later(seconds: float, call: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def _send(number: int) -> None:
    """Send the signal to the main thread, also where that waits for a lock."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
