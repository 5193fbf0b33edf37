"""The retrain by several workers. Each processes a part of every batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from automl.data.cache.node_cache import DataOrigin, splits_on_this_node
from automl.final.retrain import SETTLING, Retrained, join_rows, make_trainer, retrained_model
from automl.machine import Moment
from automl.records import Config, Observer, SearchSplits
from automl.search.engines.ray.distributed_training import Link, Monitor, WorkerGroup, run_together
from automl.training.checkpoint import STATE
from automl.training.hardware.data_parallel import broadcast
from automl.training.plan import TrainPlan

CHECKPOINT_SECONDS = 20.0  # between two checkpoints


@dataclass(frozen=True)
class RetrainWorkers:
    """The workers of a retrain: the `origin` of their images, and a `folder` that all machines share.

    `address` and `cpus` are for Ray.
    """

    workers: int
    origin: DataOrigin
    folder: Path
    address: str | None = None
    cpus: int | None = None

    @property
    def checkpoint(self) -> Path:
        """The folder of the first worker's checkpoint."""
        return self.folder / "checkpoint"


def distributed_retrain(
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    *,
    group: RetrainWorkers,
    observer: Observer,
    should_stop: Callable[[], bool] = lambda: False,
) -> Retrained:
    """Retrain with `group.workers` processes of Ray. The batch size stays the same: each worker takes a part.

    Raises EngineError if the workers cannot start, or if one dies or fails (with its message);
    `group.checkpoint` then holds the progress, if there is any.
    """
    group.folder.mkdir(parents=True, exist_ok=True)
    rows = join_rows(splits.train, splits.val, group.folder.parent / "retrain_index.npy")
    start = Moment.now()
    job = RetrainJob(config, splits, rows.index, plan, group, start)
    gpu = torch.device(plan.device).type == "cuda"
    workers = WorkerGroup(group.workers, gpu, plan.seconds, group.folder, group.address, group.cpus)
    monitor = Monitor(lambda done: observer.progress(done, 1.0), should_stop)
    progress = run_together(partial(_work, job=job), workers, monitor)
    trainer = make_trainer(config, splits, rows, replace(plan, replicas=1, seconds=None))
    trainer.load(group.checkpoint)
    trainer.settle(SETTLING)
    return replace(retrained_model(trainer, -start.left(), len(rows)), progress=progress)


def has_checkpoint(group: RetrainWorkers) -> bool:
    """Return whether the workers left a checkpoint to continue from."""
    return (group.checkpoint / STATE).is_file()


@dataclass(frozen=True)
class RetrainJob:
    """What every worker gets. `index` names the rows; `start` is when the workers were requested."""

    config: Config
    splits: SearchSplits
    index: Path
    plan: TrainPlan
    group: RetrainWorkers
    start: Moment


def _work(link: Link, cores: int, *, job: RetrainJob) -> None:
    """Train in one worker. Only the first one saves checkpoints and watches the clock."""
    splits, plan, group = splits_on_this_node(job.splits, job.group.origin), job.plan, job.group
    rows = replace(splits.train, index=job.index, n=len(splits.train) + len(splits.val))
    on_cpu = torch.device(link.device).type == "cpu"
    if not on_cpu:
        torch.cuda.set_device(link.device)
    plan = replace(plan, device=link.device, replicas=cores if on_cpu else 1)
    if plan.seconds is not None:  # the start of the workers counts
        left = max(0.5, plan.seconds - max(0.0, -job.start.left()))
        plan = replace(plan, seconds=broadcast(left, link.device))
    trainer = make_trainer(job.config, splits, rows, plan)
    trainer.join()
    first = link.rank == 0
    if first:
        trainer.should_stop = lambda: link.exchange(min(0.999, trainer.progress()))
    before = trainer.steps
    saved = -CHECKPOINT_SECONDS  # save after the first round
    while trainer.rounds < plan.epochs and trainer.train_round() is not None:
        if first and time.monotonic() - saved > CHECKPOINT_SECONDS:
            trainer.save(group.checkpoint)
            saved = time.monotonic()
    if not first:
        return
    if trainer.steps == before:
        raise RuntimeError(
            "the time left for the retrain is too short for a single batch; raise --time-limit"
        )
    trainer.save(group.checkpoint)
    if not link.exchange(trainer.progress()):
        link.exchange(1.0)
