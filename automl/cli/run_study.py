"""Run a study from the command line: show its progress, and its result at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from automl.cli.options import State
from automl.cli.output import print_json, say, say_wrapped, terminal_width
from automl.config import StudyConfig
from automl.config.durations import format_duration
from automl.config.names import directory_flag
from automl.final.evidence.words import not_usable
from automl.records import Observer
from automl.review.choose_view import view_of
from automl.review.describe import aligned, dashboard_command, summary

EXIT_NOT_USABLE = 3


def run(config: StudyConfig, start: Callable[[Observer], Any], state: State) -> int:
    """Call `start` with an observer, then print the result (as JSON for `--json`); return the exit code.

    It is 3 if the model is not better than the trivial answer by more than chance explains.
    """
    state.begun = config.study_dir / "study.yaml"
    state.when_stopped = f"; resume with `automl resume {config.study}{directory_flag(config.directory)}`"
    # With --json, stdout is for the JSON object alone.
    stream = sys.stderr if state.json else sys.stdout
    with view_of(config, stream, started=state.started, quiet=state.quiet) as observer:
        result = start(observer)
    state.when_unwritten = (
        f"; the study is done, see `automl show {config.study}{directory_flag(config.directory)}`"
    )
    code = 0 if result.usable else EXIT_NOT_USABLE
    if state.json:
        print_json(result.to_json())
        return code
    if unusable := not_usable(result.to_json()):
        say_wrapped(unusable)
    command = dashboard_command(config.study, directory_flag(config.directory))
    rows = summary(result.to_json(), result.model_dir, command)
    if result.unchanged_after is not None:
        took = format_duration(result.unchanged_after)
        rows.append(("this run", f"{took}; it changed nothing, and the times above are of an earlier run"))
    for line in aligned(rows, terminal_width()):
        say(line)
    return code
