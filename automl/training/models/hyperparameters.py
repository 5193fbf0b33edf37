"""The hyperparameters of a training, with their types and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import NoneType
from typing import Any, get_args, get_type_hints

from automl.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """Every hyperparameter of a training. Defaults apply to what a configuration lacks.

    For None as `upscale`, `size`, `sched` or `warmup`, see `build.input_size` and `schedules.schedule_of`; as
    `global_pool` it is the network's own way.
    """

    model: str
    lr: float

    # Optimizer
    opt: str = "adamw"
    weight_decay: float = 0.0
    momentum: float = 0.9  # of `sgd`, `momentum` and the other optimizers of timm that have one
    batch_size: int = 64
    grad_accum_steps: int = 1
    clip_grad: float = 5.0  # far above the norm of a normal step, to limit rare explosions; 0 turns it off
    ema: float = 0.99  # the largest decay of the moving average of the weights; 0 turns it off

    # Schedule
    sched: str | None = None
    warmup: float | None = None  # as a share of the training
    patience: int = 0  # in rounds; 0 turns it off

    # Loss and augmentation
    label_smoothing: float = 0.0
    focal: float = 0.0
    augment: float = 0.0
    rand_augment: float = 0.0
    hflip: bool = False
    rot90: bool = False
    mixup: float = 0.0
    cutmix: float = 0.0

    # Network
    width: float = 1.0
    upscale: float | None = None
    size: int | None = None  # side in pixels of the input of a pretrained network
    global_pool: str | None = None  # of a transformer's tokens: one of POOLS
    drop_path: float = 0.0
    depths: int = 0  # of a linear head: it sees features of each so-manieth layer; 0: of the last one alone

    # Fine-tuning
    pretrained: bool = False
    freeze: str = "none"
    freeze_norm: bool = False  # batch norms keep the statistics of the weights
    layer_decay: float = 1.0
    head_lr: float = 1.0

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> Recipe:
        """Return the hyperparameters of a configuration. Keys that are not hyperparameters, such as `family`, are
        ignored.

        Raises ConfigError if `model` or `lr` is missing, or a value has the wrong type.
        """
        missing = [name for name in _REQUIRED if name not in config]
        if missing:
            raise ConfigError(f"a configuration must have {' and '.join(missing)}, got {dict(config)!r}")
        values = {name: _converted(name, config[name]) for name in _TYPES if name in config}
        return Recipe(**values)


_REQUIRED = tuple(field.name for field in fields(Recipe) if field.default is MISSING)
_TYPES: dict[str, type] = {
    name: next(kind for kind in get_args(hint) or (hint,) if kind is not NoneType)
    for name, hint in get_type_hints(Recipe).items()
}

_OPTIONAL = frozenset(field.name for field in fields(Recipe) if field.default is None)

# The parameters that a search space may have.
PARAMETERS = frozenset(_TYPES) - {"model", "depths"}


def _converted(name: str, value: Any) -> Any:
    if value is None and name in _OPTIONAL:
        return None
    try:
        return _TYPES[name](value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} must be of the type {_TYPES[name].__name__}, got {value!r}") from error
