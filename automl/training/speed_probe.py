"""Measure before the search how fast this machine trains, and whether half precision helps."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from automl.cuda_graphs import SETTLED
from automl.machine import Moment
from automl.records import Config, SearchSplits
from automl.spaces.architectures.factories import create
from automl.torch_setup import set_threads
from automl.training.evaluate import autocast
from automl.training.hardware.half_precision import has_bf16
from automl.training.hardware.known_precision import recall, remember, work_key
from automl.training.hardware.memory_peak import Peak
from automl.training.hardware.out_of_memory import release
from automl.training.models.build import input_size
from automl.training.models.hyperparameters import Recipe
from automl.training.plan import Precision, TrainPlan
from automl.training.rounds import work_clock
from automl.training.trainer import Trainer

GAIN = 1.1  # a smaller gain of half precision is within the noise of so short a measurement
NEAR = 1.15  # gains that far from GAIN are measured again
AGAIN = 2  # times, and the middle one counts


@dataclass(frozen=True)
class Probe:
    """Images per second of one trial with `plan.threads` threads, in its `precision`.

    `memory` and `gpu_memory` are its peak in bytes, 0 if unknown.
    """

    images_per_second: float
    precision: Precision
    memory: int = 0
    gpu_memory: int = 0


@dataclass(frozen=True)
class Speed:
    """Images per second by the clock of `work_clock`, and per second of `work`: of all threads, on a CPU.

    Precisions are compared by their work, which other programs on the same cores do not change.
    """

    images_per_second: float
    per_work: float


def probe(
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    *,
    seconds: float = 0.7,
    precision: Precision | Literal["auto"] = "auto",
    until: Moment | None = None,
) -> Probe:
    """Train `config` for about `seconds` in the `precision`, or in fp32 and bf16 to find the faster one.

    A GPU with bf16 uses it unless it is slower here, because larger networks gain more. Without bf16, fp16 is tried.
    What was found is remembered for this machine, so that the same command trains in the same precision. Slow models
    take at least two steps each, however long that takes; after the moment `until` a step is enough, and no other
    precision is measured. What was not compared in time is not remembered.
    """
    with Peak(plan.device) as peak:
        if precision == "auto":
            found = _fastest(config, splits, plan, seconds, until)
        else:
            speed = _speed(config, splits, replace(plan, precision=precision), seconds, until)
            found = Probe(speed.images_per_second, precision)
    return replace(found, memory=peak.memory, gpu_memory=peak.gpu_memory)


def _fastest(
    config: Config, splits: SearchSplits, plan: TrainPlan, seconds: float, until: Moment | None
) -> Probe:
    halves = _half(plan.device)
    if not halves:
        speed = _speed(config, splits, replace(plan, precision="fp32"), seconds, until)
        return Probe(speed.images_per_second, "fp32")
    recipe = Recipe.from_config(config)
    key = work_key(
        plan.device,
        recipe.model,
        size=input_size(recipe, splits.info),
        batch_size=recipe.batch_size,
        threads=plan.threads * plan.replicas,
    )
    known = recall(key)
    if known is not None:
        speed = _speed(config, splits, replace(plan, precision=known), seconds, until)
        return Probe(speed.images_per_second, known)
    found = _compared(config, splits, plan, seconds, until)
    if until is None or not until.passed():
        remember(key, found.precision)
    return found


def _compared(
    config: Config, splits: SearchSplits, plan: TrainPlan, seconds: float, until: Moment | None
) -> Probe:
    full: dict[int, Speed] = {}

    def late() -> bool:
        return until is not None and until.passed()

    def gain(precision: Precision, turn: int) -> tuple[float, float]:
        if turn not in full:
            full[turn] = _speed(config, splits, replace(plan, precision="fp32"), seconds, until)
        speed = _speed(config, splits, replace(plan, precision=precision), seconds, until)
        return speed.per_work / full[turn].per_work, speed.images_per_second

    halves = _half(plan.device)
    if not on_gpu(plan):  # there, the first precision is the rule
        full[0] = _speed(config, splits, replace(plan, precision="fp32"), seconds, until)
    for precision in halves:
        if full and late():
            break
        needed = 1 / GAIN if on_gpu(plan) and precision == "bf16" else GAIN
        gains = [gain(precision, 0)]
        if needed / NEAR < gains[0][0] < needed * NEAR and not late():
            gains += [gain(precision, turn + 1) for turn in range(AGAIN)]
        middle, rate = sorted(gains)[len(gains) // 2]
        if middle > needed:
            return Probe(rate, precision)
    return Probe(statistics.median(speed.images_per_second for speed in full.values()), "fp32")


def on_gpu(plan: TrainPlan) -> bool:
    """Return whether the plan trains on a CUDA device."""
    return torch.device(plan.device).type == "cuda"


def scratch_rate(size: float, *, brief: bool = False) -> float:
    """Estimate the images of `size` px per second on which one core trains a narrow ResNet from scratch.

    It is measured once per process, at 64 px, in the faster precision; `brief`: on fewer images, in fp32 alone.
    """
    return _rate_at_64(brief) * (64 / size) ** 2


@functools.cache
def _rate_at_64(brief: bool) -> float:
    steps, n = (2, 16) if brief else (3, 64)
    set_threads(1)
    model = create("resnet10t", num_classes=10, channels=[16, 32, 64, 128], stem_width=8)
    images = torch.rand(n, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    rates = []
    for precision in ("fp32",) if brief else ("fp32", *_half("cpu")):
        for step in range(steps):
            if step == 1:  # the first step also pays for allocations
                begun = time.thread_time()
            with autocast("cpu", precision):
                model(images).float().logsumexp(dim=1).mean().backward()
        rates.append((steps - 1) * len(images) / max(time.thread_time() - begun, 1e-6))
    return max(rates)


def _half(device: str) -> tuple[Precision, ...]:
    """Return the half precisions worth measuring, the preferred one first."""
    bf16: tuple[Precision, ...] = ("bf16",) if has_bf16(device) else ()
    return (*bf16, "fp16") if torch.device(device).type == "cuda" else bf16


def _speed(
    config: Config, splits: SearchSplits, plan: TrainPlan, seconds: float, until: Moment | None = None
) -> Speed:
    trainer = Trainer(config, splits.info, splits.train, plan)
    speed = speed_of(trainer, seconds, until)
    trainer.gradients.close()
    del trainer
    if on_gpu(plan):
        release()  # so that the memory of the next precision is measured alone
    return speed


def speed_of(trainer: Trainer, seconds: float, until: Moment | None = None) -> Speed:
    """Return the speed of a training, of which some steps are taken: for about `seconds`, at least two.

    After the moment `until` one step is enough. The weights are of no use afterwards.
    """
    plan = trainer.plan
    trainer.model.train()
    alone = plan.threads == plan.replicas == 1
    clock = work_clock(plan.device, alone=alone, streamed=trainer.batches.streamed)
    work = clock if alone or on_gpu(plan) else time.process_time
    images = _endless(trainer)
    begun, worked, done = clock(), work(), 0
    for _ in range(SETTLED if on_gpu(plan) else 1):  # the first steps also pay for allocations
        trainer.train_step(*next(images))
        done += trainer.batches.batch_size
    if until is None or not until.passed():
        begun, worked, done = clock(), work(), 0
    while done < 2 * trainer.batches.batch_size or clock() - begun < seconds:
        if done and until is not None and until.passed():
            break
        batch, targets = next(images)
        trainer.train_step(batch, targets)
        done += len(batch)
    return Speed(done / (clock() - begun), done / max(1e-9, work() - worked))


def _endless(trainer: Trainer) -> Iterator[tuple[Tensor, Tensor]]:
    epoch = 0
    while True:
        yield from trainer.source.epoch(epoch)
        epoch += 1
