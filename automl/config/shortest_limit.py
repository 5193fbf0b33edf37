"""Say at once which time limit is too short for any result."""

from __future__ import annotations

import sys
from time import process_time

from automl.config.durations import format_duration
from automl.config.study import StudyConfig
from automl.errors import TimeLimitError
from automl.machine import Moment, slowdown

# Seconds of work of a study that only fits the linear head: loading the libraries, and all else. Decision 0077.
LOADING_S, WORKING_S = 4.0, 4.0
SPARE = 1.2
# The limit that a refusal names is so many times what is needed now: the next command finds another load on the
# machine, and looks at some images. Decision 0130.
RECOMMENDED = 1.5


def check_time_limit(config: StudyConfig, started: Moment) -> None:
    """Raise TimeLimitError if the limit cannot hold the start of the libraries and the smallest useful work.

    It is called before anything is loaded. How busy this machine is counts, as far as it delayed this process and does
    so now: a short burst of other work refuses nothing.
    """
    done = (config.study_dir / "result.json").is_file() and not config.overwrite
    if config.time_limit is None or done:  # then there may be nothing to do
        return
    slower = min(slowdown(), max(1.0, -started.left() / max(1e-3, process_time())))
    loading = 0.0 if "timm" in sys.modules else LOADING_S
    refuse_shorter(config, started, needed=SPARE * slower * (loading + WORKING_S), slower=slower)


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
