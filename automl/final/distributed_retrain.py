"""The retrain by several workers, each of which takes its part of every batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from automl.data.cache.node_cache import DataOrigin, splits_on_this_node
from automl.final.retrain import Retrained, join_rows, retrained, trainer_of
from automl.records import Config, Observer, Rows, SearchSplits
from automl.search.engines.ray.distributed_training import Link, Party, Watch, run_together
from automl.training.checkpoint import STATE
from automl.training.hardware.data_parallel import agreed
from automl.training.plan import TrainPlan

KEEP_S = 20.0  # between two checkpoints of the first worker


@dataclass(frozen=True)
class Place:
    """Where the workers are and meet: `origin` of the pictures, and a `folder` that all of their machines share.

    `address` and `cpus` are those of Ray.
    """

    workers: int
    origin: DataOrigin
    folder: Path
    address: str | None = None
    cpus: int | None = None

    @property
    def checkpoint(self) -> Path:
        """What the first worker saves, now and then and at the end."""
        return self.folder / "checkpoint"


def retrain_together(
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    *,
    place: Place,
    observer: Observer,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> Retrained:
    """As `retrain`, by `place.workers` processes of Ray. The batch stays as large as it was: each takes a part of it.

    Raises EngineError where they cannot be had or one of them dies; `place.checkpoint` then holds how far it came, if
    anything. TrialError where the loss is not finite comes as EngineError too, with its words.
    """
    place.folder.mkdir(parents=True, exist_ok=True)
    rows = join_rows(splits.train, splits.val, place.folder.parent / "retrain_index.npy")
    start = time.time()
    job = Job(config, splits, rows.index, plan, place, start)
    gpu = torch.device(plan.device).type == "cuda"
    party = Party(place.workers, gpu, plan.seconds, place.folder, place.address, place.cpus)
    watch = Watch(lambda done: observer.progress(done, 1.0), asked_to_stop)
    progress = run_together(partial(_work, job=job), party, watch)
    trainer = trainer_of(config, splits, rows, replace(plan, replicas=1, seconds=None))
    trainer.load(place.checkpoint)
    return replace(retrained(trainer, time.time() - start, len(rows)), progress=progress)


def has_begun(place: Place) -> bool:
    """Whether there is a checkpoint to go on from."""
    return (place.checkpoint / STATE).is_file()


@dataclass(frozen=True)
class Job:
    """What every worker is told. `index` names the rows, `start` (time.time()) is when the workers were asked for."""

    config: Config
    splits: SearchSplits
    index: Path
    plan: TrainPlan
    place: Place
    start: float


def _work(link: Link, cores: int, *, job: Job) -> None:
    """What one worker does. Only the first one saves, and looks at the clock for all."""
    splits, plan, place = splits_on_this_node(job.splits, job.place.origin), job.plan, job.place
    rows = Rows(splits.train.images, splits.train.targets, job.index, len(splits.train) + len(splits.val))
    on_cpu = torch.device(link.device).type == "cpu"
    if not on_cpu:
        torch.cuda.set_device(link.device)
    plan = replace(plan, device=link.device, replicas=cores if on_cpu else 1)
    if plan.seconds is not None:  # what the start of the workers took is not there any more
        left = max(0.5, plan.seconds - max(0.0, time.time() - job.start))
        plan = replace(plan, seconds=agreed(left, link.device))
    trainer = trainer_of(job.config, splits, rows, plan)
    trainer.join()
    first = link.rank == 0
    if first:
        trainer.asked_to_stop = lambda: link.exchange(min(0.999, trainer.progress()))
    before = trainer.steps
    kept = -KEEP_S  # the first epoch is kept in any case
    while trainer.epoch < plan.epochs and trainer.train_epoch() is not None:
        if first and time.monotonic() - kept > KEEP_S:
            trainer.save(place.checkpoint)
            kept = time.monotonic()
    if not first:
        return
    if trainer.steps == before:
        raise RuntimeError("the time left for the retrain did not hold a single batch; raise --time-limit")
    trainer.save(place.checkpoint)
    if not link.exchange(trainer.progress()):
        link.exchange(1.0)
