"""Logging: everything goes to the logger `automl`, on stderr, and only when the command line asks for it."""

from __future__ import annotations

import logging
import sys


def get_logger(name: str) -> logging.Logger:
    """The logger of a module of this package; `name` is its `__name__`."""
    return logging.getLogger(name)


def configure(verbosity: int) -> None:
    """Send records of this package to stderr: -1 errors, 0 warnings, 1 info, 2 debug. Called by the CLI only."""
    level = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    root = logging.getLogger("automl")
    root.setLevel(level)
    root.handlers.clear()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.propagate = False
