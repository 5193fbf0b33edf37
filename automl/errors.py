"""All errors that automl raises on purpose.

    AutomlError
    ├── UsageError                the input cannot be used; nothing was written              (exit code 2)
    │   ├── ConfigError           options, study.yaml, unknown names
    │   ├── SpaceError            a search space that cannot be built
    │   ├── DataError             data that are missing, unreadable or too few
    │   ├── StudyError            a study that does not exist, or exists with other settings
    │   ├── ModelError            a model name or model folder that cannot be used
    │   └── TimeLimitError        a time limit that cannot hold one trial
    └── RunError                  the run failed                                             (exit code 1)
        ├── TrialError            trials failed, with their common cause
        ├── StorageError          the study's database cannot be read or written
        ├── EngineError           Ray (or another engine) did not start or died
        ├── OutputError           stdout cannot be written
        │   └── ReaderGoneError   whoever read stdout went away                 (exit code 141)
        └── HoldoutError          the sealed holdout was opened a second time

Each message is one sentence: what must hold, what was given (`!r`), what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from automl.terminal.masking import mask_passwords

MOST_NAMES = 60  # that one message lists
LONGEST_REASON = 200  # characters of another library's message
LONGEST_MESSAGE = 5000
MOST_PROBLEMS, LONGEST_PROBLEM = 20, 400  # that one message lists, and characters of each


class AutomlError(Exception):
    """Base of all errors of this package; `exit_code` is what the command line returns for it.

    Passwords of URLs in the message are masked.
    """

    exit_code = 1

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(mask_passwords(part) if isinstance(part, str) else part for part in arguments))

    def __str__(self) -> str:
        """Return the message; what a file holds may be quoted in it, so it ends after some thousand characters."""
        text = super().__str__()
        return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."


class UsageError(AutomlError):
    """The input cannot be used; nothing was written."""

    exit_code = 2


class ConfigError(UsageError):
    """An option or a configuration file is wrong."""


class SpaceError(UsageError):
    """A search space cannot be built."""


class DataError(UsageError):
    """The data are missing, unreadable or too few."""


class StudyError(UsageError):
    """A study does not exist, or exists with other settings."""


class ModelError(UsageError):
    """A model name or a model folder cannot be used."""


class TimeLimitError(UsageError):
    """A time limit cannot hold one trial."""


class RunError(AutomlError):
    """The run failed."""


class TrialError(RunError):
    """Trials failed, with their common cause."""


class StorageError(RunError):
    """The study's database cannot be read or written."""


class EngineError(RunError):
    """An engine did not start, or died."""


class OutputError(RunError):
    """Stdout cannot be written."""


class ReaderGoneError(OutputError):
    """Whoever read stdout went away, such as `head`; the exit code is a shell's for the end by SIGPIPE, 128 + 13."""

    exit_code = 141


class HoldoutError(RunError):
    """The sealed holdout was opened a second time."""


def unknown_name(kind: str, given: str, valid: Iterable[str]) -> str:
    """Return the message for an unknown name: the closest match first, then all valid names.

    >>> unknown_name("metric", "acuracy", ["accuracy", "f1"])
    "unknown metric 'acuracy': did you mean 'accuracy'? Valid names: accuracy, f1"
    """
    import difflib

    names = sorted(valid)
    close = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    if len(names) > MOST_NAMES:
        return f"unknown {kind} {given!r}: {hint}There are {len(names)} valid names, from {names[0]} to {names[-1]}"
    return f"unknown {kind} {given!r}: {hint}Valid names: {', '.join(names)}"


def text_of(error: BaseException) -> str:
    """Return what an error says; nothing where its own code cannot say it."""
    try:
        return str(error)
    except Exception:  # whatever the code of a stranger's error raises
        return ""


def reason_of(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind if it has none."""
    lines = text_of(error).splitlines()
    return lines[0][:LONGEST_REASON] if lines and lines[0].strip() else type(error).__name__


def listed(problems: Sequence[str]) -> list[str]:
    """Return problems for one message: the first 20 of them, with at most 400 characters each."""
    shown = [
        text if len(text) <= LONGEST_PROBLEM else f"{text[: LONGEST_PROBLEM - 3]}..."
        for text in problems[:MOST_PROBLEMS]
    ]
    more = len(problems) - len(shown)
    return [*shown, f"and {more} more"] if more else shown
