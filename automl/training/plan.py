"""What a training needs besides its configuration and its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from automl.machine import Moment
from automl.records import Mode

if TYPE_CHECKING:
    from automl.data.balance import Balance
    from automl.training.models.pretrained_weights import Weights

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class TrainPlan:
    """How a training runs; the same for every trial of a search.

    `epochs`: the planned length in rounds, over which schedules stretch. A round is an epoch, or `round_seconds` of
    work, validation included.
    `deadline`: the moment after which no batch starts.
    `reporting`: seconds before the deadline at which a trial without a report stops training and scores what it has.
    `seconds`: paces the schedule by time. The training ends after `epochs` or `seconds`, whichever comes first.
    `final`: the training of the delivered model. If time ends it, images may `grow` (progressive_resizing.py).
    `share`: the part of the training rows that is used by trainings from scratch (`data/loading/batches.py`).
    `balance`: what is done about rare classes.
    `weights`: pretrained weights, by model; `heads`: files with the linear heads that fine-tuning begins with,
    by `finetune.head_name`.
    `score_pretrained`: the part of the validation rows on which trials with pretrained weights are scored.
    `replicas`: threads that share each batch (CPU); each operator uses `threads`.
    """

    epochs: int
    metric: str
    mode: Mode
    seed: int = 0
    threads: int = 1
    replicas: int = 1
    device: str = "cpu"
    precision: Precision = "fp32"
    deadline: Moment | None = None
    reporting: float = 0.0
    seconds: float | None = None
    round_seconds: float | None = None
    final: bool = False
    grow: bool = True
    share: float = 1.0
    weights: Mapping[str, Weights] = field(default_factory=dict)
    heads: Mapping[str, Path] = field(default_factory=dict)
    score_pretrained: float = 1.0
    balance: Balance = "none"
