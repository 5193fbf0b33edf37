"""Commands that read a study tell its damaged files in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def reads_study(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Wrap a command that only reads the study named `study`, so that it raises StudyError for damaged files."""

    @wraps(command)
    def wrapped(*args: Parameters.args, **options: Parameters.kwargs) -> Result:
        from automl.review.studies import damage_told  # not for --help

        with damage_told(str(options.get("study", ""))):
            return command(*args, **options)

    return wrapped
