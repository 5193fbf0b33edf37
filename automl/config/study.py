"""StudyConfig: everything that decides what a study does, in one frozen record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from automl.config.checks import (
    MOST_SHARE,
    as_data,
    as_directory,
    as_path,
    as_space,
    auto_is_none,
    check_address,
    check_gpus,
    check_img_size,
    check_loss,
    check_metric,
    check_pretrained,
    check_val,
    check_weights_licence,
    folds_of,
    no_bool,
)
from automl.config.durations import format_duration, parse_duration, parse_latency
from automl.config.messages import problems
from automl.config.metrics import METRICS, resolve_metric
from automl.config.names import check_study_name, default_study_name
from automl.config.sizes import parse_count, parse_size
from automl.config.storage import check_storage
from automl.errors import ConfigError
from automl.records import ReadOptions, Task
from automl.remote import is_remote, local_root
from automl.terminal.masking import mask_password

DEFAULT_TIME_LIMIT = 600.0

Count = Annotated[int, BeforeValidator(no_bool), Field(ge=1)]
Share = Annotated[float, BeforeValidator(no_bool), Field(gt=0, le=MOST_SHARE, allow_inf_nan=False)]
Loss = Annotated[float, BeforeValidator(check_loss)]
Seconds = Annotated[float, BeforeValidator(parse_duration)]
Bytes = Annotated[int, BeforeValidator(parse_size)]
Milliseconds = Annotated[float, BeforeValidator(parse_latency)]


class StudyConfig(BaseModel):
    """The options of a study, one field each; `automl.fit(...)`, flags and study.yaml all build this record.

    Durations become seconds, sizes bytes and latencies milliseconds (`"10m"` -> 600.0, `"20G"` -> 21474836480,
    `"0.02s"` -> 20.0). `study` defaults to the data's name, and `time_limit` to ten minutes unless `n_trials` is given.
    `data` is a path, `"digits"`, `(images, labels)`, a DataFrame or a Dataset. Raises ConfigError that names every
    problem at once.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        arbitrary_types_allowed=True,
        coerce_numbers_to_str=True,
    )

    data: Annotated[Any, BeforeValidator(as_data)]
    study: Annotated[str, BeforeValidator(lambda name: check_study_name(str(name)))]
    directory: Annotated[str, BeforeValidator(as_directory)] = "studies"
    overwrite: bool = False

    space: Annotated[str | dict[str, Any], BeforeValidator(as_space)] = "auto"
    metric: Annotated[str, BeforeValidator(check_metric)] = "auto"
    task: Literal["auto", "classification", "multilabel", "regression"] = "auto"
    target: str | None = None
    image_column: str | None = None
    group_column: str | None = None

    time_limit: Seconds | None = None
    n_trials: Count | None = None
    epochs: Count | None = None
    max_latency: Milliseconds | None = None
    max_size: Bytes | None = None
    max_params: Annotated[float, BeforeValidator(parse_count)] | None = None
    deliver: Literal["single", "auto", "soup", "ensemble", "small"] = "single"
    max_loss: Loss | None = None
    balance: Literal["auto", "none", "loss", "sampler"] = "auto"
    seed: Annotated[int, BeforeValidator(no_bool), Field(ge=0, lt=2**32)] = 0
    pretrained: Annotated[str, BeforeValidator(check_pretrained)] = "auto"
    weights_licence: Annotated[str, BeforeValidator(check_weights_licence)] = "permissive"
    warm_start: Annotated[str, AfterValidator(as_path)] = "auto"
    img_size: Annotated[int | Literal["auto"], BeforeValidator(check_img_size)] = "auto"
    resize: Literal["auto", "crop", "squeeze"] = "auto"  # records.Resize, or by a look at the data
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    holdout: Share = 0.2
    val: Annotated[float | str, BeforeValidator(check_val)] = 0.2  # or `cv`, `cv:K`
    on_bad_image: Literal["skip", "error"] = "skip"
    on_group_leak: Literal["keep", "drop", "redraw"] = "keep"  # the values of data.labelled_rows.OnGroupLeak
    on_failure: Literal["retry", "skip", "stop"] = "retry"  # the values of records.OnFailure

    parallel: Annotated[Count | None, BeforeValidator(auto_is_none)] = None
    cpus_per_trial: Annotated[float, BeforeValidator(no_bool), Field(gt=0, allow_inf_nan=False)] | None = None
    gpus_per_trial: Annotated[float | Literal["auto"] | None, BeforeValidator(check_gpus)] = None
    retrain_workers: Count = 1
    memory_limit: Bytes | None = None
    max_disk: Bytes = 20 * 1024**3

    storage: Annotated[str, BeforeValidator(lambda url: check_storage(str(url)))] | None = None
    address: Annotated[str | None, BeforeValidator(check_address)] = None
    engine: Literal["ray", "local"] = "ray"
    policy: str = "auto"
    sampler: str = "auto"

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(problems(error, tuple(type(self).model_fields))) from None

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "data" not in values:
            return values
        filled = dict(values)
        if filled.get("study") is None:
            data = filled["data"]
            filled["study"] = default_study_name(os.fspath(data) if isinstance(data, os.PathLike) else data)
        if filled.get("time_limit") is None and filled.get("n_trials") is None:
            filled["time_limit"] = DEFAULT_TIME_LIMIT
        return filled

    @model_validator(mode="after")
    def _metric_fits_task(self) -> StudyConfig:
        if self.task != "auto":
            try:
                resolve_metric(self.metric, self.task)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _max_loss_has_a_use(self) -> StudyConfig:
        if self.max_loss is not None and self.deliver != "small":
            raise ValueError(f"max_loss is for deliver='small', got deliver={self.deliver!r}: leave it out")
        task = self.fixed_task
        spec = METRICS.get(self.metric) or (resolve_metric("auto", task) if task else None)
        if self.max_loss is not None and spec is not None:  # else it is checked once the data are open
            try:
                spec.require_loss(self.max_loss)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def study_dir(self) -> Path:
        """The study's folder on this machine: `directory/study`, or the local copy of a study at an address."""
        return (
            local_root(self.directory) if is_remote(self.directory) else Path(self.directory)
        ) / self.study

    @property
    def folds(self) -> int:
        """The number of folds if trials are scored by cross-validation, else 0."""
        return folds_of(self.val)

    @property
    def val_share(self) -> float:
        """The share of the images outside of the holdout that scores a network: under cross-validation, a fold."""
        return self.val if isinstance(self.val, float) else 1.0 / self.folds

    @property
    def read_options(self) -> ReadOptions:
        """How the data are to be read."""
        return ReadOptions(self.target, self.task, self.image_column, self.group_column)

    @property
    def fixed_task(self) -> Task | None:
        """The task, or None if the data decide."""
        return None if self.task == "auto" else self.task

    def changed(self, **changes: Any) -> StudyConfig:
        """Return a copy with some fields changed and everything validated again. Raises ConfigError."""
        return StudyConfig(**{**{name: getattr(self, name) for name in type(self).model_fields}, **changes})

    def __repr__(self) -> str:
        shown = {
            "study": repr(self.study),
            "data": repr(self.data) if isinstance(self.data, str) else "<arrays>",
        }
        if self.time_limit is not None:
            shown["time_limit"] = repr(format_duration(self.time_limit))
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name not in shown and value != field.default:
                shown[name] = repr(
                    mask_password(value) if name in ("storage", "directory", "address") and value else value
                )
        return f"StudyConfig({', '.join(f'{name}={value}' for name, value in shown.items())})"

    __str__ = __repr__
