"""Run a model over rows without training it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.data.loading.batches import Batches
from automl.machine import Moment
from automl.records import DatasetInfo, Rows
from automl.training.hardware.out_of_memory import MicroBatch, parts_of
from automl.training.models.memory_format import at_once
from automl.training.plan import Precision, TrainPlan
from automl.training.steps.losses import in_units, loss, standardised
from automl.training.steps.metrics import compute

EVAL_BATCH = 256
PART_BATCH = 64  # small, to check the clock often


@dataclass(frozen=True)
class Answers:
    """What a model answered when it was scored: `logits` (n, n_outputs) and `targets` (n, ...) of these `rows` (n,)."""

    logits: Tensor
    targets: Tensor
    rows: npt.NDArray[np.int64]


@torch.inference_mode()
def predict_rows(
    model: nn.Module,
    rows: Rows,
    info: DatasetInfo,
    *,
    size: int,
    device: str = "cpu",
    precision: Precision = "fp32",
    share: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return logits (n, n_outputs) and targets of `rows`, in their order, on the CPU.

    With a `share` below 1, it is a fixed part of them, with its share of each class. A batch that does not fit into
    memory is processed in smaller parts.
    """
    model.eval()
    logits, targets = [], []
    micro_batch, fastest = MicroBatch(device), at_once(size, device, most=EVAL_BATCH)

    def forward(images: Tensor, most: int) -> Tensor:
        with autocast(device, precision):
            parts = images.tensor_split(parts_of(len(images), min(most, fastest)))
            return torch.cat([model(fit_size(part, size)).float().cpu() for part in parts])

    batches = Batches(
        rows, batch_size=EVAL_BATCH, info=info, shuffle=False, seed=0, device=device, share=share
    )
    for images, wanted in batches.epoch(0):
        logits.append(micro_batch.fit(len(images), partial(forward, images)))
        targets.append(wanted.cpu())
    return torch.cat(logits), torch.cat(targets)


@torch.inference_mode()
def predict_part(
    model: nn.Module, rows: Rows, info: DatasetInfo, *, size: int, plan: TrainPlan, until: Moment
) -> Answers:
    """Return the answers for random rows, as many as can be predicted before `until`.

    At least one batch is predicted.
    """
    model.eval()
    logits: list[Tensor] = []
    targets: list[Tensor] = []
    most = at_once(size, plan.device, most=PART_BATCH)
    batches = Batches(rows, batch_size=most, info=info, shuffle=True, seed=plan.seed, device=plan.device)
    chosen = batches.chosen(0)
    for images, wanted in batches.epoch(0):
        if logits and until.passed():
            break
        with autocast(plan.device, plan.precision):
            logits.append(model(fit_size(images, size)).float().cpu())
        targets.append(wanted.cpu())
    places = np.concatenate(chosen[: len(logits)])
    return Answers(torch.cat(logits), torch.cat(targets), batches.index[places])


def scored_rows(rows: Rows, info: DatasetInfo, *, share: float = 1.0) -> npt.NDArray[np.int64]:
    """Return the rows of the data (n,) that `predict_rows` answers for, in its order."""
    return Batches(
        rows, batch_size=EVAL_BATCH, info=info, shuffle=False, seed=0, device="cpu", share=share
    ).index


def score(logits: Tensor, targets: Tensor, info: DatasetInfo, metric: str) -> dict[str, float]:
    """Return the metric of logits against targets, in the units of the targets, and the loss."""
    scores: np.ndarray = in_units(logits, info).numpy()
    value = compute(metric, targets.numpy(), scores, info.task)
    return {metric: value, "val_loss": float(loss(logits, standardised(targets, info), info.task))}


def fit_size(images: Tensor, size: int) -> Tensor:
    """Return the batch (B, C, H, W) resized to `size` px, in channels_last."""
    if images.shape[-1] == size:
        return images
    resized = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    return resized.contiguous(memory_format=torch.channels_last)


def autocast(device: str, precision: Precision) -> torch.autocast:
    """Return the context of mixed precision.

    It has no cache of converted weights: threads would share that, and the autograd graph behind it.
    """
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(torch.device(device).type, dtype, enabled=precision != "fp32", cache_enabled=False)
