"""Choose the view of a run: live in a terminal, a block in a notebook, plain lines elsewhere, none with --quiet."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TextIO, cast

from automl.config import StudyConfig, resolve_metric
from automl.config.durations import parse_duration
from automl.config.metrics import METRICS
from automl.config.options import TuneOptions
from automl.machine import Moment
from automl.records import Observer, Silent
from automl.review.plain_lines import PlainView
from automl.review.run_state import ViewHeader
from automl.terminal.streams import UntilBroken, takes_symbols

__all__ = ["ViewHeader", "open_view", "view_of"]


def view_of(
    config: StudyConfig, stream: TextIO, *, started: Moment, quiet: bool = False, python: bool = False
) -> AbstractContextManager[Observer]:
    """Return the view of a study that `started` at a moment, for a `with` statement that yields the observer.

    `python`: it runs from Python, perhaps in a notebook.
    """
    # A guess: only the data tell the task. `Observer.metric` corrects it later.
    task = config.fixed_task or METRICS.get(config.metric, METRICS["accuracy"]).tasks[0]
    metric = resolve_metric(config.metric, task)
    header = ViewHeader(
        title=config.study,
        metric=metric.name,
        mode=metric.mode,
        time_limit=config.time_limit,
        before=max(0.0, -started.left()),
    )
    return open_view(header, stream, quiet=quiet, python=python)


def view_in_python(
    config: StudyConfig, observer: Observer | None, *, started: Moment, progress: bool
) -> AbstractContextManager[Observer]:
    """Return the view of a study that runs from Python, unless there is an `observer`.

    It is on stderr, so that a program's own output stays alone; in a notebook it is a block below the cell.
    """
    if observer is not None:
        return nullcontext(observer)
    stream = _stream_in_python()
    return (
        nullcontext(Silent())
        if stream is None
        else view_of(config, stream, started=started, quiet=not progress, python=True)
    )


def tune_view(
    name: str, options: TuneOptions, observer: Observer | None, *, progress: bool
) -> AbstractContextManager[Observer]:
    """Return the view of `automl.tune` with this name and these options, on the stream of `view_in_python`."""
    stream = _stream_in_python()
    if observer is not None or stream is None or not progress:
        return nullcontext(observer or Silent())
    try:
        limit = None if (given := options.get("time_limit")) is None else parse_duration(given)
    except ValueError:  # the search says so
        return nullcontext(Silent())
    mode = options.get("mode", "max")
    header = ViewHeader(name, options["metric"], mode, limit, stages=("search",))
    return open_view(header, stream, python=True)


def _stream_in_python() -> TextIO | None:
    """Return stderr, in a notebook stdout; None in a program without a console."""
    found: TextIO | None = sys.stdout if "ipykernel" in sys.modules else sys.stderr
    return found


def open_view(
    header: ViewHeader, stream: TextIO, *, quiet: bool = False, python: bool = False
) -> AbstractContextManager[Observer]:
    """Return the view for a stream, or with `python` that of a notebook, for a `with` statement.

    The statement yields the observer.
    """
    if quiet:
        return nullcontext(Silent())
    if python and "ipykernel" in sys.modules:
        from automl.review.notebook.view import NotebookView, notebook_display

        if (show := notebook_display()) is not None:
            return NotebookView(header, show)
    if (
        stream.isatty()
        and takes_symbols(stream.encoding)
        and os.environ.get("TERM", "") not in ("dumb", "unknown")
    ):
        from rich.console import Console

        from automl.review.live import LiveView

        file = cast(TextIO, UntilBroken(stream))  # a terminal that is closed ends no study
        return LiveView(header, Console(file=file, highlight=False))
    return PlainView(header, stream)
