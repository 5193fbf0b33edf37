"""The options of `automl.fit`, `resume`, `tune` and `inspect` as types, so that editors complete and check them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol, Required, TypedDict

from automl.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler


class SpaceLike(Protocol):
    """A search space in memory, as `automl.SearchSpace` is."""

    def to_dict(self) -> dict[str, Any]:
        """The definition of the space."""


class StudyOptions(TypedDict, total=False):
    """Options of both `fit` and `resume`: the fields of StudyConfig, with the values that it accepts."""

    overwrite: bool

    space: str | PathLike[str] | Mapping[str, Any] | SpaceLike
    metric: str
    task: Literal["auto", "classification", "multilabel", "regression"]
    target: str | None
    image_column: str | None
    group_column: str | None

    time_limit: float | str | None
    n_trials: int | None
    epochs: int | None
    max_latency: float | str | None
    max_size: int | str | None
    max_params: float | str | None
    deliver: Literal["single", "auto", "soup", "ensemble", "small"]
    max_loss: float | None
    balance: Literal["auto", "none", "loss", "sampler"]
    seed: int
    pretrained: str | PathLike[str]
    weights_licence: str | list[str]
    warm_start: str
    img_size: int | Literal["auto"]
    resize: Literal["auto", "crop", "squeeze"]
    precision: Literal["auto", "fp32", "bf16"]
    holdout: float
    val: float | str
    on_bad_image: Literal["skip", "error"]
    on_group_leak: Literal["keep", "drop", "redraw"]
    on_failure: Literal["retry", "skip", "stop"]

    parallel: int | Literal["auto"] | None
    cpus_per_trial: float | None
    gpus_per_trial: float | Literal["auto"] | None
    retrain_workers: int
    memory_limit: int | str | None
    max_disk: int | str

    storage: str | None
    address: str | None
    engine: Literal["ray", "local"]
    policy: str
    sampler: str


class FitOptions(StudyOptions, total=False):
    """The options of `automl.fit`."""

    study: str | None
    directory: str | PathLike[str]


class ResumeOptions(StudyOptions, total=False):
    """What `automl.resume` can change in a study; `data` is for data that have moved."""

    data: Any


class TuneOptions(TypedDict, total=False):
    """The options of `automl.tune` beside its own parameters, as `automl.search.tune.tune` has them."""

    metric: Required[str]
    max_epochs: Required[int]
    mode: Literal["max", "min"]
    n_trials: int | None
    time_limit: float | str | None
    parallel: int
    engine: str
    policy: str | BasePruner
    sampler: str | BaseSampler
    portfolio: Sequence[dict[str, Any]] | None
    seed: int
    storage: str | None
    objectives: Mapping[str, Literal["max", "min"]] | None
    directory: str | Path | None


class InspectOptions(TypedDict, total=False):
    """The options of `automl.inspect`."""

    target: str | None
    image_column: str | None
    group_column: str | None
    task: Literal["auto", "classification", "multilabel", "regression"]
    img_size: int | Literal["auto"]
    seed: int
    on_group_leak: Literal["keep", "drop", "redraw"]
    max_disk: int | str


def check_options(
    given: Mapping[str, Any], kind: type, *, own: Sequence[str] = (), needed: Sequence[str] = ()
) -> None:
    """Raise ConfigError for an unknown option, and for one of the `needed` that is missing.

    The valid ones are those of `kind`, one of the types above, and `own`, which the function takes by itself.
    """
    valid = [*kind.__annotations__, *own]
    problems = [
        *(unknown_name("option", name, valid) for name in given if name not in valid),
        *(f"{name} must be given" for name in needed if name not in given),
    ]
    if problems:
        raise ConfigError("; ".join(problems))
