"""What a search is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl.errors import ConfigError, unknown_name
from automl.machine import Moment
from automl.records import Attributes, Config, HeadTrial, Mode, OnFailure
from automl.search.round_time import Expect
from automl.search.space import CONTROL_KEYS

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from automl.search.policy import Significance
    from automl.search.storage.sql.study_owner import Owner

MAX_FAILURES = 5
PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class SearchSettings:
    """What `search` is asked to do.

    Limits: `n_trials` counts all runs of the study, `time_limit` (seconds) this run, and `deadline` is a moment. The
    search ends at whichever comes first. `max_rounds` is the full length of a trial.

    Parts: `policy` is a name or one of Optuna's pruners, `sampler` a name or one of Optuna's samplers, `portfolio` the
    configurations to try first (None: the space's own). `address` is a Ray cluster's; None starts Ray here.

    Storage: `storage` is a SQLAlchemy URL, None a database in memory. `directory` is for the trials' logs and
    checkpoints; None makes a temporary folder. `keeps_prints`: what the objective prints is kept beside them, and
    shown. `identity` holds what else must be equal when a study is continued, and `owner` whose it is, in a database
    that others use as well.

    Failures: `on_failure` says what happens to a trial that fails. `max_failures` in a row end the search as long as no
    trial has succeeded, and with `stop` at any time. `patience` is how many seconds a trial may always be silent; only
    engines with processes of their own can end one that hangs. `deliver_anyway`: if no trial has a value in time, the
    result is the first configuration, with the value NaN, instead of an error.

    Values: `objectives` are further numbers that every round reports, and whether more ("max") or less ("min") is
    better. They are stored with the trials and decide nothing. When they are over, the `keep_best` best trials keep
    their checkpoints, beside those on the front of value and objectives. `significance` tells what a difference of
    metric values is worth, to the policy and in the choice of the best (`incumbent.py`); None: every difference counts.
    `size_limits` returns whether a sampler may suggest a configuration; None: any. `expect` returns how long a round of
    a configuration should take; None: as long as the others. `attributes` returns what people are told of a
    configuration beside its values; None: nothing.

    Heads: `heads` are linear models that stand already. They become trials of the study, and decide nothing in the
    search. With any, a search that is stopped before any trial has a value has a result, as with `deliver_anyway`.
    """

    metric: str
    max_rounds: int
    mode: Mode = "max"
    n_trials: int | None = None
    time_limit: float | None = None
    deadline: Moment | None = None
    parallel: int = 1
    engine: str = "ray"
    policy: str | BasePruner = "auto"
    sampler: str | BaseSampler = "auto"
    portfolio: Sequence[Config] | None = None
    seed: int = 0
    study: str = "search"
    storage: str | None = field(default=None, repr=False)  # may hold a password
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
    significance: Significance | None = field(default=None, repr=False, compare=False)
    heads: Sequence[HeadTrial] = field(default=(), repr=False, compare=False)
    size_limits: Callable[[Config], bool] | None = field(default=None, repr=False, compare=False)
    attributes: Attributes | None = field(default=None, repr=False, compare=False)
    identity: Mapping[str, Any] = field(default_factory=dict)
    owner: Owner | None = None
    keeps_prints: bool = False
    objectives: Mapping[str, Mode] = field(default_factory=dict)
    keep_best: int = 0

    def __post_init__(self) -> None:
        """Raise ConfigError with all problems, one sentence each. `run.py` checks the names of parts."""
        choices = (
            ("mode", self.mode, ("max", "min")),
            ("on_failure", self.on_failure, tuple(OnFailure)),
        )
        problems = [
            *(unknown_name(kind, given, valid) for kind, given, valid in choices if given not in valid),
            *_wrong_numbers(self),
            *_wrong_portfolio(self.portfolio),
            *_missing_limits(self),
            *_wrong_objectives(self),
        ]
        if problems:
            raise ConfigError("; ".join(problems))


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
    seed: Any = settings.seed
    if isinstance(seed, bool) or not isinstance(seed, Integral) or int(seed) < 0:
        problems.append(f"seed must be a whole number of at least 0, got {seed!r}")
    return problems


def _wrong_portfolio(given: object) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        return [f"portfolio must be a list of configurations such as [{{'lr': 0.1}}], got {given!r}"]
    return [
        f"each configuration of the portfolio must be a dict such as {{'lr': 0.1}}, got {config!r}"
        for config in given
        if not isinstance(config, Mapping)
    ]


def _wrong_objectives(settings: SearchSettings) -> list[str]:
    given: Any = settings.objectives
    if not isinstance(given, Mapping):
        return [f"objectives must be a mapping such as {{'seconds_per_image': 'min'}}, got {given!r}"]
    problems = []
    for name, mode in given.items():
        if not isinstance(name, str) or name == settings.metric or name in CONTROL_KEYS:
            taken = ", ".join(sorted(CONTROL_KEYS))
            problems.append(
                f"objectives must have other names than the metric {settings.metric!r} and the keys {taken}, "
                f"got {name!r}: report it under another name"
            )
        if mode not in ("max", "min"):
            problems.append(f"objectives.{name} must be 'max' or 'min', got {mode!r}")
    return problems


def _missing_limits(settings: SearchSettings) -> list[str]:
    if settings.n_trials is None and settings.time_limit is None and settings.deadline is None:
        return ["a search needs n_trials or time_limit: give at least one of them"]
    if settings.engine == "simulated" and settings.deadline is not None:
        return ["the simulated engine has its own clock: give time_limit in place of deadline"]
    return []
