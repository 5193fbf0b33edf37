"""Say at once which time limit is too short for any result."""

from __future__ import annotations

import sys
import threading
from time import process_time

from automl.config.durations import format_duration
from automl.config.study import StudyConfig
from automl.errors import TimeLimitError
from automl.interrupt import current_command
from automl.machine import Moment, slowdown

# Seconds of work of a study that only fits the linear head: loading the libraries, and all else. Decision 0077.
LOADING_S, WORKING_S = 4.0, 4.0
SPARE = 1.2
# The limit that a refusal names is so many times what is needed now: the next command finds another load on the
# machine, and looks at some images. Decision 0130.
RECOMMENDED = 1.5
LOOK_EVERY = 0.5  # seconds between two looks at a start that is watched
_watched: list[threading.Event] = []


def check_time_limit(config: StudyConfig, started: Moment) -> None:
    """Raise TimeLimitError if the limit cannot hold the start of the libraries and the smallest useful work.

    It is called before anything is loaded. How busy this machine is counts, as far as it delayed this process and does
    so now: a short burst of other work refuses nothing.
    """
    done = (config.study_dir / "result.json").is_file() and not config.overwrite
    if config.time_limit is None or done:  # then there may be nothing to do
        return
    slower = min(slowdown(), _delayed(started))
    loading = 0.0 if "timm" in sys.modules else LOADING_S
    refuse_shorter(config, started, needed=SPARE * slower * (loading + WORKING_S), slower=slower)


def watch_start(config: StudyConfig, started: Moment) -> None:
    """On the command line, end the process as `check_time_limit` would when its limit can no longer be kept.

    Libraries load then, which nothing interrupts, and perhaps other programs slow the machine down only now. Whoever
    refuses limits after that calls `start_is_over`.
    """
    command, limit = current_command(), config.time_limit
    if command is None or limit is None or (config.study_dir / "result.json").is_file():
        return
    over, worked = threading.Event(), process_time()

    def watch() -> None:
        while not over.wait(LOOK_EVERY):
            work = max(0.0, LOADING_S - (process_time() - worked)) + WORKING_S
            try:
                if limit + started.left() < work * _delayed(started):  # else it is not worth a measurement
                    slower = min(slowdown(), _delayed(started))
                    refuse_shorter(config, started, needed=work * slower, slower=slower)
            except TimeLimitError as error:
                if not over.is_set():
                    command.end(error.exit_code, f"automl: {error}")

    _watched.append(over)
    threading.Thread(target=watch, name="automl-start", daemon=True).start()


def start_is_over() -> None:
    """End what `watch_start` began."""
    while _watched:
        _watched.pop().set()


def _delayed(started: Moment) -> float:
    """Return how many times longer this process took so far than it worked; at least 1."""
    return max(1.0, -started.left() / max(1e-3, process_time()))


def refuse_shorter(config: StudyConfig, started: Moment, *, needed: float, slower: float) -> None:
    """Raise TimeLimitError, with a limit that is long enough, if fewer than `needed` seconds are left."""
    limit, used = config.time_limit, -started.left()
    if limit is None or limit - used >= needed:
        return
    enough = format_duration(_rounded(RECOMMENDED * (used + needed)))
    busy = f", which other programs slow down {slower:.0f} times" if slower >= 2.0 else ""
    raise TimeLimitError(
        f"--time-limit must be at least {enough} on this machine{busy}, got {format_duration(limit)}: loading the "
        "libraries, reading some images and writing a result may take that long"
    )


def _rounded(seconds: float) -> float:
    """Return whole seconds, above a minute multiples of ten, not below `seconds`."""
    step = 1 if seconds <= 60 else 10
    return float(-(-seconds // step) * step)
