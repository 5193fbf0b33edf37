"""What a search is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import ConfigError, unknown_name
from automl.records import Config, Mode, OnFailure
from automl.search.round_time import Expect
from automl.search.space import CONTROL_KEYS

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

MAX_FAILURES = 5
PATIENCE = 60.0


@dataclass(frozen=True)
class SearchSettings:
    """What `search` is asked to do.

    `n_trials` is a total over all runs of the study; `time_limit` (seconds) is for this run, and `deadline` a
    moment of `time.time()`; whichever comes first ends it. `storage` is a SQLAlchemy URL, or None for a
    database in memory. `directory` is where trials keep logs and checkpoints, or None for a temporary folder.
    `identity` holds what else must be equal when a study is continued, such as the fingerprint of its data.
    `policy` is a name or one of Optuna's pruners, `sampler` a name or one of Optuna's samplers. `objectives` are
    further numbers that every round reports, and whether more ("max") or less ("min") of each is better; they are kept
    with the trials, and decide nothing.
    `deliver_anyway`: where the time ended before any trial had a value, the result names the first configuration,
    with the value NaN, instead of an error.
    `on_failure` says what is done about trials that break; `max_failures` of them in a row end the search when no
    trial has succeeded yet, and with `stop` at any time. `patience` is the least number of seconds without a report
    after which a trial may count as hanging; only engines with processes of their own can end one.
    `noise` gives the standard error of a value of the metric: configurations of the portfolio that lie within one are
    not told apart (`incumbent.py`). None: every difference counts.
    `size_limits` says which configurations a sampler may suggest, beside the space's own constraints; None: all.
    `expect` says how long a round of a configuration should take, so that none is begun in vain near the end; None: as
    long as the others. `portfolio` None takes the space's own. `address` is a Ray cluster's, None starts one here.
    """

    metric: str
    max_rounds: int
    mode: Mode = "max"
    n_trials: int | None = None
    time_limit: float | None = None
    deadline: float | None = None
    parallel: int = 1
    engine: str = "ray"
    policy: str | BasePruner = "auto"
    sampler: str | BaseSampler = "auto"
    portfolio: Sequence[Config] | None = None
    seed: int = 0
    study: str = "search"
    # It may hold a password.
    storage: str | None = field(default=None, repr=False)
    directory: Path | None = None
    max_disk: int | None = None
    address: str | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0
    max_failures: int = MAX_FAILURES
    on_failure: OnFailure = OnFailure.RETRY
    patience: float = PATIENCE
    deliver_anyway: bool = False
    expect: Expect | None = field(default=None, repr=False, compare=False)
    noise: Callable[[float], float] | None = field(default=None, repr=False, compare=False)
    size_limits: Callable[[Config], bool] | None = field(default=None, repr=False, compare=False)
    identity: Mapping[str, str] = field(default_factory=dict)
    objectives: Mapping[str, Mode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ConfigError with all problems, one sentence each. Names of parts are checked in `run.py`."""
        problems = [
            *_unknown_names(self),
            *_wrong_numbers(self),
            *_missing_limits(self),
            *_wrong_objectives(self),
        ]
        if problems:
            raise ConfigError("; ".join(problems))


def _unknown_names(settings: SearchSettings) -> list[str]:
    rows = (
        ("mode", settings.mode, ("max", "min")),
        ("on_failure", settings.on_failure, tuple(OnFailure)),
    )
    return [unknown_name(kind, given, valid) for kind, given, valid in rows if given not in valid]


def _wrong_numbers(settings: SearchSettings) -> list[str]:
    problems = []
    counts = {name: getattr(settings, name) for name in ("parallel", "n_trials", "max_failures")}
    for name, value in {"max_epochs": settings.max_rounds, **counts}.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and value >= 1):
            problems.append(f"{name} must be a whole number of at least 1, got {value!r}")
    for name in ("time_limit", "cpus_per_trial", "patience"):
        value = getattr(settings, name)
        if value is not None and not value > 0:
            problems.append(f"{name} must be above 0, got {value!r}")
    if not settings.gpus_per_trial >= 0:
        problems.append(f"gpus_per_trial must be at least 0, got {settings.gpus_per_trial!r}")
    return problems


def _wrong_objectives(settings: SearchSettings) -> list[str]:
    given: Any = settings.objectives
    if not isinstance(given, Mapping):
        return [f"objectives must be a mapping such as {{'seconds_per_image': 'min'}}, got {given!r}"]
    problems = []
    for name, mode in given.items():
        if not isinstance(name, str) or name == settings.metric or name in CONTROL_KEYS:
            taken = ", ".join(sorted(CONTROL_KEYS))
            problems.append(
                f"objectives must name numbers beside the metric {settings.metric!r} and the words of a round "
                f"({taken}), got {name!r}: report it under another name"
            )
        if mode not in ("max", "min"):
            problems.append(f"objectives.{name} must be 'max' or 'min', got {mode!r}")
    return problems


def _missing_limits(settings: SearchSettings) -> list[str]:
    if settings.n_trials is None and settings.time_limit is None and settings.deadline is None:
        return ["a search needs an end, got neither n_trials nor time_limit: give at least one of them"]
    if settings.engine == "simulated" and settings.deadline is not None:
        return ["the simulated engine has a clock of its own: give time_limit in place of deadline"]
    return []
