"""Choose the view of a run: live in a terminal, plain lines elsewhere, none with --quiet."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO

from automl.records import Observer, Silent
from automl.review.plain_lines import PlainView
from automl.review.run_state import ViewHeader

__all__ = ["ViewHeader", "open_view"]


def open_view(header: ViewHeader, stream: TextIO, *, quiet: bool = False) -> AbstractContextManager[Observer]:
    """Return the view for a stream, for a `with` statement that yields the observer."""
    if quiet:
        return nullcontext(Silent())
    if stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown"):
        from rich.console import Console

        from automl.review.live import LiveView

        return LiveView(header, Console(file=stream, highlight=False))
    return PlainView(header, stream)
