"""What a trial must know besides its configuration and its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from automl.records import Mode

if TYPE_CHECKING:
    from automl.data.balance import Balance
    from automl.training.models.pretrained_weights import Weights

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class TrainPlan:
    """How one training is run; the same for every trial of a search.

    `epochs` is the planned length in rounds, which schedules are stretched over; a round is an epoch, or what
    `round_seconds` of work hold, validation included. `deadline` is a moment of `time.time()` (the
    clock that processes of one node share) after which no batch is started. `seconds`, if given, paces the
    schedule by time: it ends after `epochs` or after that many seconds, whichever is first. `final` is the training of
    the model that is delivered, which nobody cuts short; where time ends it, pictures may `grow` (`growth.py`).
    `reporting` are the seconds before the deadline at which a trial that has never reported stops to train and
    validates what it has.
    `share` is the part of the training rows that are learned from (`data/loading/batches.py`).
    `balance` is what is done about rare classes.
    `weights` are those that configurations with `pretrained` start from, by model.
    `replicas` threads share each batch (CPU), and each operator uses `threads`.
    """

    epochs: int
    metric: str
    mode: Mode
    seed: int = 0
    threads: int = 1
    replicas: int = 1
    device: str = "cpu"
    precision: Precision = "fp32"
    deadline: float | None = None
    reporting: float = 0.0
    seconds: float | None = None
    round_seconds: float | None = None
    final: bool = False
    grow: bool = True
    share: float = 1.0
    weights: Mapping[str, Weights] = field(default_factory=dict)
    balance: Balance = "none"
