"""The training loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from automl.cuda_graphs import SETTLED, Pace
from automl.data.balance import class_weights
from automl.data.loading.augment import Augment
from automl.data.loading.batches import Batches
from automl.data.loading.mixup_cutmix import mix
from automl.errors import TrialError
from automl.records import Config, DatasetInfo, Rows
from automl.torch_setup import set_threads
from automl.training import checkpoint
from automl.training.distillation.lesson import Lesson
from automl.training.evaluate import autocast, fit_size
from automl.training.frozen_part import KeptOutputs
from automl.training.hardware.data_parallel import DataParallel
from automl.training.hardware.out_of_memory import MicroBatch
from automl.training.models.build import build_model, input_size
from automl.training.models.finetune import begin_with_head, head_name
from automl.training.models.hyperparameters import Recipe
from automl.training.models.memory_format import at_once, channels_last
from automl.training.models.pretrained_weights import normalised, weights_for
from automl.training.plan import TrainPlan
from automl.training.rounds import WARM, Round, work_clock
from automl.training.snapshot import LastGood
from automl.training.steps.batch_norm import MOST, learning_norms, recompute, rows_wanted
from automl.training.steps.ema import Average
from automl.training.steps.gradients import Gradients, autotuned
from automl.training.steps.losses import loss, standardised
from automl.training.steps.optimizer_step import OptimizerStep
from automl.training.steps.optimizers import make_optimizer
from automl.training.steps.progressive_resizing import may_grow, side_at
from automl.training.steps.schedules import schedule_of

CHECK_STEPS = 16  # steps between two checks that the loss is finite; on a GPU each check waits
STATES = 5  # copies of the weights in memory: weights, gradients, two moments, an average


class Trainer:
    """Trains one configuration a round at a time. Between rounds it can be saved, and continue in another process.

    A round is an epoch, or `plan.round_seconds` of work. `rounds` counts them.
    """

    def __init__(self, config: Config, info: DatasetInfo, rows: Rows, plan: TrainPlan) -> None:
        set_threads(plan.threads)
        torch.manual_seed(plan.seed)  # initial weights, dropout and drop path
        self.recipe = recipe = Recipe.from_config(config)
        self.pretrained = weights_for(recipe, plan.weights)
        if recipe.pretrained:
            info = info.detailed
        self.info, self.plan = normalised(info, self.pretrained), plan
        self.size = self.seen = input_size(recipe, info)  # the side of images at the end, and now
        self.grows = plan.grow and plan.final and plan.seconds is not None and may_grow(recipe, self.size)
        model = build_model(recipe, info, weights=self.pretrained)
        head = None if self.pretrained is None else plan.heads.get(head_name(recipe, self.pretrained))
        if head is not None:
            begin_with_head(model, head)
        self.model = channels_last(model, plan.device)
        self.optimizer = make_optimizer(self.model, recipe)
        self.update = OptimizerStep(
            self.model,
            self.optimizer,
            clip_grad=recipe.clip_grad,
            precision=plan.precision,
            device=plan.device,
        )
        self.batches = _batches(recipe, self.info, rows, plan)
        self.gradients = Gradients(
            self.model,
            self._loss,
            plan.replicas,
            micro_batch=_micro_batch(self.model, recipe, plan, self.batches.batch_size, self.size),
            scale=self.update.scale,
            # Chosen by timing, and it changes the values a little: only where time counts.
            autotune=autotuned()
            if plan.final and plan.device == "cpu" and plan.seconds is not None
            else None,
            record=torch.device(plan.device).type == "cuda",
        )
        self.ema = Average(self.model, recipe.ema) if recipe.ema > 0.0 else None
        self._norms = learning_norms(self.model, self.averaged)
        self.weights_of_classes = (
            torch.tensor(class_weights(info), device=plan.device) if plan.balance == "loss" else None
        )
        self.schedule, self.warmup = schedule_of(recipe)
        alone = plan.threads == plan.replicas == 1
        self.round = Round(
            len(self.batches),
            seconds=plan.round_seconds,
            rows=self.batches.batch_size,
            n_val=info.n_val,
            clock=work_clock(plan.device, alone=alone, streamed=self.batches.streamed),
            warm=WARM if self.gradients.recorder is None else SETTLED,
        )
        self.pace = Pace(plan.device)
        self.rounds = self.steps = 0
        self.spent = 0.0  # seconds of training so far
        self.deadline = plan.deadline
        self.should_stop: Callable[[], bool] = lambda: False
        self.lr_scale = 1.0  # halved once, where the loss stopped being finite
        self.last_good = LastGood(plan.device)
        self.data_parallel: DataParallel | None = None
        self.kept: KeptOutputs | None = None
        self.lesson: Lesson | None = None  # of a student: then there are no labels

    def batches_of(self, rows: Rows) -> Batches:
        """Return the batches of other rows, as those that this training has."""
        return _batches(self.recipe, self.info, rows, self.plan)

    def join(self) -> None:
        """Train together with the other workers of torch's process group, which all call this before the first step."""
        self.data_parallel = DataParallel(self.model, self.averaged, self.plan.device)
        torch.manual_seed(self.plan.seed + self.data_parallel.rank)  # other rows, another dropout

    def keep_outputs(self) -> None:
        """From now on, compute the frozen part of the network a few times for each image, not in every step.

        It is done on a CPU, where the network can be divided, images are not mixed, and memory suffices. An image is
        then seen in fewer views, and a checkpoint would not know them, so this is for the final training.
        """
        recipe, plan = self.recipe, self.plan
        frozen = recipe.pretrained and recipe.freeze != "none" and not (recipe.mixup or recipe.cutmix)
        if not frozen or torch.device(plan.device).type != "cpu" or self.batches.streamed or self.grows:
            return
        self.kept = KeptOutputs.of(
            self.model, self.batches, size=self.size, precision=plan.precision, threads=plan.replicas
        )
        if self.kept is not None and recipe.grad_accum_steps == 1:
            self.gradients.micro_batch.rows = None  # it was small for the layers that are left out

    def drop_outputs(self) -> None:
        """Free what `keep_outputs` keeps."""
        if self.kept is not None:
            self.kept.close()
            self.kept = None

    def train_round(self) -> float | None:
        """Train one round. Return the mean training loss, or None if the deadline or `should_stop` ended it early.

        If the loss becomes infinite or NaN, the training returns to its last copy, at the start of this round or a few
        rounds before, and continues with half the lr. That is done once in a training; after that TrialError is raised.
        """
        begun, goal = time.perf_counter(), self.rounds + 1
        self.last_good.keep(self, self.steps)
        while self.rounds < goal:
            first = self.steps
            total, whole = self._run_round(begun)
            if not math.isfinite(total):
                self._recover(total)
                continue
            if not whole:
                self.spent += time.perf_counter() - begun
                return None
            self.rounds += 1
        self.spent += time.perf_counter() - begun
        return total / (self.steps - first)

    def train_step(self, images: Tensor, targets: Tensor) -> Tensor:
        """Train on a batch (B, C, H, W) with its targets; return the loss, on the device."""
        targets = standardised(targets, self.info)
        if self.kept is not None:
            with self.kept.part.skipped():
                return self._updated(self.gradients(images, targets))
        if self.lesson is None:
            images = fit_size(images, self.seen)
        alphas = self.recipe.mixup, self.recipe.cutmix
        if any(alphas):
            rng = np.random.default_rng(
                [self.plan.seed, self.steps]
            )  # by step, so that checkpoints need no generator
            images, targets = mix(images, targets, alphas=alphas, n_outputs=self.info.n_outputs, rng=rng)
        if self.data_parallel is None:
            value = self.gradients(images, targets)
        else:
            value = self.data_parallel.gradient(self.gradients, images, targets)
        return self._updated(value)

    def _updated(self, value: Tensor) -> Tensor:
        """Take the step of the gradients that are there; return the loss."""
        self.update()
        if self.ema is not None:
            self.ema.update(self.steps)
        return value

    def progress(self, begun: float | None = None) -> float:
        """Return the share of the planned training that is done, by steps or by time, whichever is larger."""
        by_steps = self.steps / max(1, self.plan.epochs * self.round.steps)
        if self.plan.seconds is None:
            return min(1.0, by_steps)
        spent = self.spent + (time.perf_counter() - begun if begun is not None else 0.0)
        return min(1.0, max(by_steps, spent / max(1e-9, self.plan.seconds)))

    @property
    def source(self) -> Batches | KeptOutputs:
        """What the next steps train on."""
        return self.lesson.batches if self.lesson is not None else self.kept or self.batches

    @property
    def averaged(self) -> nn.Module:
        """The model to evaluate: the moving average of the weights if there is one."""
        return self.model if self.ema is None else self.ema.module

    def settle(self, seconds: float = math.inf) -> None:
        """Give the model to evaluate batch norm statistics that belong to its weights (steps/batch_norm.py).

        They come from the rows that the training looks at next, so that they need no generator of their own; from
        fewer of them, at least one batch, if they take more than `seconds`.
        """
        if not self._norms:
            return
        round_rows = self.round.steps * self.batches.batch_size
        wanted = MOST if self.plan.final else rows_wanted(round_rows)
        with (
            closing(self._next_images(wanted, seconds)) as images,
            autocast(self.plan.device, self.plan.precision),
        ):
            recompute(self._norms, self.averaged, images)

    @property
    def epochs(self) -> float:
        """Passes through the training rows so far."""
        return self.steps / len(self.batches)

    @property
    def micro_batch(self) -> int:
        """Rows that go through the model at once: a batch, or fewer if memory or the configuration requires it."""
        return min(self.batches.batch_size, self.gradients.micro_batch.rows or self.batches.batch_size)

    def save(self, directory: Path) -> None:
        """Write a checkpoint."""
        checkpoint.write(directory, self.weights(), self.state())

    def load(self, directory: Path) -> None:
        """Continue from a checkpoint. Raises StorageError if it is damaged."""
        self.restore(*checkpoint.read(directory))
        self.last_good.forget()

    def weights(self) -> dict[str, Tensor]:
        """Return weights and buffers of the model and of its average."""
        found = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.ema is not None:
            found |= {f"ema.{k}": v for k, v in self.ema.module.state_dict().items()}
        return found

    def state(self) -> dict[str, Any]:
        """Return what a training needs besides its weights to continue exactly: tensors, numbers and texts."""
        cuda = torch.device(self.plan.device).type == "cuda"
        return {
            "optimizer": self.optimizer.state_dict(),
            "update": self.update.state(),
            "rounds": self.rounds,
            "steps": self.steps,
            "spent": self.spent,
            "round": self.round.known,
            "lr_scale": self.lr_scale,
            "rows": self.gradients.micro_batch.rows,
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.plan.device) if cuda else None,
        }

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from `weights` and `state`."""
        self.model.load_state_dict({k[6:]: v for k, v in weights.items() if k.startswith("model.")})
        if self.ema is not None:
            self.ema.module.load_state_dict({k[4:]: v for k, v in weights.items() if k.startswith("ema.")})
        self.optimizer.load_state_dict(state["optimizer"])
        self.update.restore(state["update"])
        self.rounds, self.steps, self.spent = state["rounds"], state["steps"], state["spent"]
        self.round.known = state["round"]
        self.lr_scale, self.gradients.micro_batch.rows = state["lr_scale"], state["rows"]
        torch.set_rng_state(state["torch"])
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self.plan.device)

    def _run_round(self, begun: float) -> tuple[float, bool]:
        """Take the steps of one round; return the sum of their losses, and whether all were taken."""
        self.model.train()
        total, first = torch.zeros((), device=self.plan.device), self.steps
        with closing(self._batches_from_here(self.source)) as batches:
            for images, targets in batches:
                over, progress = self._over(begun), self.progress(begun)
                if self.data_parallel is not None:
                    over, progress = self.data_parallel.sync(over, progress)
                if over:
                    return float(total), False
                self._set_lr(progress)
                if self.grows:
                    self.seen = side_at(progress, self.size)
                total += self.train_step(images, targets)
                self.steps += 1
                self.pace.step()
                if self.round.ends(self.steps - first):
                    break
                if self.steps % CHECK_STEPS == 0 and not math.isfinite(total):
                    break
        return float(total), True

    def _batches_from_here(
        self, source: Batches | KeptOutputs
    ) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Yield the batches that follow the steps taken so far, epoch after epoch."""
        epoch, done = divmod(self.steps, len(self.batches))
        while True:
            yield from source.epoch(epoch, skip=done)
            epoch, done = epoch + 1, 0

    def _next_images(self, rows: int, seconds: float) -> Generator[Tensor, None, None]:
        """Yield so many training images, at the side of the end, in batches that fit into memory."""
        seen, begun = 0, time.perf_counter()
        with closing(self._batches_from_here(self.batches)) as batches:
            for images, _ in batches:
                part = fit_size(images[: rows - seen], self.size)
                yield from part.split(self.micro_batch)
                seen += len(part)
                if seen >= rows or time.perf_counter() - begun > seconds:
                    return

    def _recover(self, total: float) -> None:
        """Return to the last copy with half the lr; raise TrialError if that was done before."""
        unit = "epoch" if self.plan.round_seconds is None else "round"
        problem = f"the training loss became {total} in {unit} {self.rounds + 1}"
        if self.lr_scale < 1.0:
            raise TrialError(f"{problem}, also with half the lr; use a lower lr")
        rows, steps, spent = self.gradients.micro_batch.rows, self.round.known, self.spent
        self.last_good.restore_to(self)
        self.lr_scale, self.gradients.micro_batch.rows, self.round.known = 0.5, rows, steps
        self.spent = spent  # what is repeated costs time too
        logging.getLogger(__name__).info(
            "%s; repeated from round %d with half the lr", problem, self.rounds + 1
        )

    def _loss(self, images: Tensor, targets: Tensor) -> Tensor:
        with autocast(self.plan.device, self.plan.precision):
            if self.lesson is not None:
                return self.lesson.loss(self.model, images, targets, size=self.seen)
            logits = self.model(images)
        smoothing, focal = self.recipe.label_smoothing, self.recipe.focal
        return loss(logits, targets, self.info.task, smoothing, self.weights_of_classes, focal=focal)

    def _over(self, begun: float) -> bool:
        if self.should_stop() or (self.deadline is not None and self.deadline.passed()):
            return True
        return self.plan.seconds is not None and self.progress(begun) >= 1.0

    def _set_lr(self, progress: float) -> None:
        factor = self.schedule(progress, self.warmup) * self.lr_scale
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr * factor * float(group.get("lr_scale", 1.0))


def _batches(recipe: Recipe, info: DatasetInfo, rows: Rows, plan: TrainPlan) -> Batches:
    share = 1.0 if recipe.pretrained else plan.share  # fine-tuning makes few epochs
    return Batches(
        rows,
        batch_size=min(recipe.batch_size, max(1, int(share * len(rows)))),
        info=info,
        augment=Augment(
            strength=recipe.augment,
            hflip=recipe.hflip,
            rand_augment=recipe.rand_augment,
            rot90=recipe.rot90,
        ),
        shuffle=True,
        seed=plan.seed,
        device=plan.device,
        drop_last=True,  # a last batch of one or two rows would upset batch norm
        balanced=plan.balance == "sampler",
        share=share,
    )


def _micro_batch(model: nn.Module, recipe: Recipe, plan: TrainPlan, batch_size: int, size: int) -> MicroBatch:
    """Return a micro-batch of the whole batch, or of a part if the recipe has `grad_accum_steps`.

    Where a CPU only runs most layers forward, it is small enough for the caches. The gradient is the same, unless batch
    norms learn.
    """
    rows = -(-batch_size // recipe.grad_accum_steps)
    if recipe.pretrained and recipe.freeze in ("stages", "head") and recipe.freeze_norm:
        rows = at_once(size, plan.device, most=rows, threads=plan.replicas)
    own = STATES * sum(p.numel() * p.element_size() for p in model.parameters())
    return MicroBatch(plan.device, rows=rows if rows < batch_size else None, own=own)
