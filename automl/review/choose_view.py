"""Which view a run gets: live in a terminal, plain lines elsewhere, nothing where nobody wants to look."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from automl.records import Observer, Silent
from automl.review.plain_lines import PlainView
from automl.review.run_state import Look

__all__ = ["Look", "watch"]


def watch(look: Look, stream: TextIO, *, quiet: bool = False) -> AbstractContextManager[Observer]:
    """The view for a stream, to be used in a `with` statement whose value is the observer."""
    if quiet:
        return nullcontext(Silent())
    if stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown"):
        from rich.console import Console

        from automl.review.live import LiveView

        return LiveView(look, Console(file=stream, highlight=False))
    return PlainView(look, stream)
