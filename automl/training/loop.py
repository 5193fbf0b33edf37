"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from automl.data.augment import Augment
from automl.data.balance import class_weights
from automl.data.batches import Batches
from automl.data.mix import mix
from automl.errors import TrialError
from automl.records import Config, DatasetInfo, Rows
from automl.torch_setup import import_timm, set_threads
from automl.training import checkpoint
from automl.training.evaluate import autocast, fit_size
from automl.training.gradients import Gradients
from automl.training.losses import loss, standardised
from automl.training.models import build_model, input_size
from automl.training.optimizers import make_optimizer
from automl.training.plan import TrainPlan
from automl.training.schedules import SCHEDULES
from automl.training.weights import normalised, used_by

if TYPE_CHECKING:
    from timm.utils.model_ema import ModelEmaV3

CLIP_NORM = 5.0  # far above the norms of a healthy step; it only catches the rare explosion


class Trainer:
    """Trains one configuration, an epoch a call, and can be saved between epochs and go on elsewhere."""

    def __init__(self, config: Config, info: DatasetInfo, rows: Rows, plan: TrainPlan) -> None:
        set_threads(plan.threads)
        torch.manual_seed(plan.seed)  # initial weights, dropout and drop path
        self.pretrained = used_by(config, plan.weights)
        self.config, self.info, self.plan = config, normalised(info, self.pretrained), plan
        self.size = input_size(config, info)
        model = build_model(config, info, weights=self.pretrained)
        self.model = model.to(device=plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks this form
        self.optimizer = make_optimizer(self.model, config)
        self.gradients = Gradients(self.model, self._loss, plan.replicas)
        self.ema = _make_ema(self.model, float(config.get("ema", 0.0)))
        self.batches = Batches(
            rows,
            batch_size=min(int(config.get("batch_size", 64)), len(rows)),
            info=self.info,
            augment=Augment(
                strength=float(config.get("augment", 0.0)),
                hflip=bool(config.get("hflip", False)),
                rand_augment=float(config.get("rand_augment", 0.0)),
            ),
            shuffle=True,
            seed=plan.seed,
            device=plan.device,
            drop_last=True,  # a last batch of one or two rows would upset batch norm
            balanced=plan.balance == "sampler",
        )
        self.weights = (
            torch.tensor(class_weights(info), device=plan.device) if plan.balance == "loss" else None
        )
        self.schedule = SCHEDULES[str(config.get("sched", "cosine"))]
        self.epoch = self.steps = 0
        self.spent = 0.0  # seconds of training so far
        self.deadline = plan.deadline
        self.asked_to_stop: Callable[[], bool] = lambda: False

    def train_epoch(self) -> float | None:
        """One epoch; the mean training loss, or None when the deadline or `asked_to_stop` cut it short.

        Raises TrialError when the loss is not finite.
        """
        self.model.train()
        total, begun = torch.zeros(()), time.perf_counter()
        for images, targets in self.batches.epoch(self.epoch):
            if self._over(begun):
                return None
            self._set_lr(begun)
            total += self.train_step(images, targets)
            self.steps += 1
        mean = float(total) / len(self.batches)
        if not math.isfinite(mean):
            raise TrialError(
                f"the training loss became {mean} in epoch {self.epoch + 1}; a lower lr would help"
            )
        self.epoch += 1
        self.spent += time.perf_counter() - begun
        return mean

    def train_step(self, images: Tensor, targets: Tensor) -> Tensor:
        """One step on a batch (B, C, H, W) with its targets; returns the loss."""
        images, targets = fit_size(images, self.size), standardised(targets, self.info)
        alphas = float(self.config.get("mixup", 0.0)), float(self.config.get("cutmix", 0.0))
        if any(alphas):
            rng = np.random.default_rng(
                [self.plan.seed, self.steps]
            )  # by step, so that nothing has to be saved
            images, targets = mix(images, targets, alphas=alphas, n_outputs=self.info.n_outputs, rng=rng)
        value = self.gradients(images, targets)
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM, foreach=True)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.model, step=self.steps)
        return value.cpu()

    def _loss(self, images: Tensor, targets: Tensor) -> Tensor:
        with autocast(self.plan.device, self.plan.precision):
            logits = self.model(images)
        smoothing = float(self.config.get("label_smoothing", 0.0))
        return loss(logits, targets, self.info.task, smoothing, self.weights)

    def progress(self, begun: float | None = None) -> float:
        """Share of the planned training that is done, by steps or by time, whichever is further."""
        by_steps = self.steps / max(1, self.plan.epochs * len(self.batches))
        if self.plan.seconds is None:
            return min(1.0, by_steps)
        spent = self.spent + (time.perf_counter() - begun if begun is not None else 0.0)
        return min(1.0, max(by_steps, spent / max(1e-9, self.plan.seconds)))

    def _over(self, begun: float) -> bool:
        if self.asked_to_stop() or (self.deadline is not None and time.time() >= self.deadline):
            return True
        return self.plan.seconds is not None and self.progress(begun) >= 1.0

    def _set_lr(self, begun: float) -> None:
        factor = self.schedule(self.progress(begun), float(self.config.get("warmup", 0.0)))
        for group in self.optimizer.param_groups:
            group["lr"] = float(self.config["lr"]) * factor * float(group.get("lr_scale", 1.0))

    @property
    def averaged(self) -> nn.Module:
        """The model to evaluate: the moving average of the weights where there is one."""
        return self.model if self.ema is None else cast(nn.Module, self.ema.module)

    def save(self, directory: Path) -> None:
        """Write a checkpoint."""
        weights = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.ema is not None:
            weights |= {f"ema.{k}": v for k, v in self.ema.module.state_dict().items()}
        state = {
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "steps": self.steps,
            "spent": self.spent,
            "torch": torch.get_rng_state(),
        }
        checkpoint.write(directory, weights, state)

    def load(self, directory: Path) -> None:
        """Go on from a checkpoint. Raises StorageError when it is damaged."""
        weights, state = checkpoint.read(directory)
        self.model.load_state_dict({k[6:]: v for k, v in weights.items() if k.startswith("model.")})
        if self.ema is not None:
            self.ema.module.load_state_dict({k[4:]: v for k, v in weights.items() if k.startswith("ema.")})
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.steps, self.spent = state["epoch"], state["steps"], state["spent"]
        torch.set_rng_state(state["torch"])


def _make_ema(model: nn.Module, decay: float) -> ModelEmaV3 | None:
    """timm's moving average of the weights, with its warm-up so that a short training is not ruled by its start."""
    if decay <= 0.0:
        return None
    import_timm()
    from timm.utils.model_ema import ModelEmaV3

    return ModelEmaV3(model, decay=decay, use_warmup=True, foreach=True)
