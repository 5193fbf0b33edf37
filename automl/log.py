"""Logging: all records go to the logger `automl`. Only the command line sends them to stderr."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from automl.terminal.masking import mask_passwords
from automl.terminal.printable import printable_lines


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module of this package. `name` is its `__name__`."""
    return logging.getLogger(name)


def configure(verbosity: int) -> None:
    """Send records of this package to stderr: -1 errors, 0 warnings, 1 info, 2 debug. Called by the CLI only."""
    level = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    root = logging.getLogger("automl")
    root.setLevel(level)
    root.handlers.clear()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.propagate = False


class _Formatter(logging.Formatter):
    """Masks passwords, and escapes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(mask_passwords(super().format(record)))


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna below errors in this block."""
    import optuna  # here, since every command imports this module

    before = optuna.logging.get_verbosity()
    if before < optuna.logging.ERROR:  # setting a level clears the caches of all loggers
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Warnings about experimental interfaces matter to developers, not to those who run a search.
            warnings.simplefilter("ignore")
            yield
    finally:
        if before < optuna.logging.ERROR:
            optuna.logging.set_verbosity(before)
