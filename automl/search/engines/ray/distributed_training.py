"""Data-parallel training: worker processes on the machines of Ray, in one process group of torch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from automl.errors import EngineError
from automl.search.engines.cluster_resources import ClusterResources
from automl.search.engines.ray.engine import current_resources
from automl.search.engines.ray.runtime import RayRuntime, quiet_ray

POLL_S = 0.25
START_S = 90.0  # until the first worker reports
OVERDUE_S = 20.0  # beyond the time that the work may take


class Link(Protocol):
    """A worker's rank among the others, and its connection to the process that started them."""

    rank: int
    size: int
    device: str

    def exchange(self, progress: float) -> bool:
        """Report the progress (0 to 1). Return whether to stop. Never waits."""


@dataclass(frozen=True)
class WorkerGroup:
    """How many workers, whether each has a GPU, how many seconds the work may take, and a folder that all share.

    `address` and `cpus` are for Ray, if it is not up yet.
    """

    workers: int
    gpu: bool
    seconds: float | None
    folder: Path
    address: str | None = None
    cpus: int | None = None


@dataclass(frozen=True)
class Monitor:
    """Callbacks while the workers run: one takes the progress (0 to 1), one returns whether they should stop."""

    progress: Callable[[float], None]
    asked_to_stop: Callable[[], bool]


def run_together(work: Callable[[Link, int], None], group: WorkerGroup, monitor: Monitor) -> float:
    """Call `work(link, cores)` in every worker, wait for all, and return the last progress of the first one.

    Raises EngineError where Ray or Ray Train is missing, the machines have no room, or a worker fails, which ends the
    others.
    """
    try:
        train, train_torch = import_module("ray.train"), import_module("ray.train.torch")
    except ImportError as error:
        raise EngineError(
            f"several workers need Ray Train, which is not installed ({error}): run `pip install 'automl[train]'`"
        ) from error
    with RayRuntime(group.address, cpus=group.cpus) as runtime:
        runtime.wait(group.seconds)
        return _train(work, group, monitor, (train, train_torch))


def _train(
    work: Callable[[Link, int], None], group: WorkerGroup, monitor: Monitor, modules: tuple[Any, Any]
) -> float:
    ray: Any = import_module("ray")
    train, train_torch = modules
    cores = cores_each(current_resources(), group)
    actor = ray.remote(num_cpus=0)(ProgressActor).remote()
    trainer = train_torch.TorchTrainer(
        lambda: work(_WorkerLink(actor), cores),
        scaling_config=train.ScalingConfig(
            num_workers=group.workers,
            use_gpu=group.gpu,
            resources_per_worker={"CPU": cores, **({"GPU": 1} if group.gpu else {})},
        ),
        run_config=train.RunConfig(name="retrain", storage_path=str(group.folder)),
    )
    try:
        return _wait(trainer, actor, group, monitor)
    finally:
        ray.kill(actor)


def cores_each(room: ClusterResources, group: WorkerGroup) -> int:
    """Return how many whole cores each worker can have. Raises EngineError if there is not one for each."""
    gpus = 1.0 if group.gpu else 0.0
    most = int(max((node.cpus for node in room.nodes), default=0))
    for cores in range(most, 0, -1):
        if room.trials_at_once(cores, gpus) >= group.workers:
            return cores
    there = room.trials_at_once(1, gpus)
    needed = "a core and a GPU each" if group.gpu else "a core each"
    raise EngineError(f"{group.workers} workers need {needed}, and there is room for {there}")


def _wait(trainer: Any, actor: Any, group: WorkerGroup, monitor: Monitor) -> float:
    """Wait until the work is done. Ray Train runs in a thread, because it blocks."""
    ray: Any = import_module("ray")
    failed: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:
            failed.append(error)

    done = 0.0
    with quiet_ray():
        thread = threading.Thread(target=fit, name="automl-retrain", daemon=True)
        thread.start()
        begun = time.monotonic()
        while thread.is_alive():
            thread.join(POLL_S)
            done = max(done, ray.get(actor.look.remote(monitor.asked_to_stop())))
            monitor.progress(done)
            _check_late(done, time.monotonic() - begun, group)
    if failed:
        raise EngineError(f"one of {group.workers} workers failed: {_reason(failed[0])}") from failed[0]
    return float(max(done, ray.get(actor.look.remote(False))))


def _check_late(done: float, spent: float, group: WorkerGroup) -> None:
    if done == 0.0 and spent > START_S:
        raise EngineError(f"{group.workers} workers did not begin within {START_S:.0f} s")
    if group.seconds is not None and spent > group.seconds + OVERDUE_S:
        raise EngineError(f"{group.workers} workers did not finish in time")


def _reason(error: BaseException) -> str:
    """Return the last line of the worker's error, which Ray Train wraps in its own."""
    failures = getattr(error, "worker_failures", None) or {}
    inner = next(iter(failures.values()), error)
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    return lines[-1] if lines else type(inner).__name__


class ProgressActor:
    """An actor between the first worker and the process that started it."""

    def __init__(self) -> None:
        self._progress, self._stop = 0.0, False

    def tell(self, progress: float) -> bool:
        """Take the worker's progress. Return whether to stop."""
        self._progress = progress
        return self._stop

    def look(self, stop: bool) -> float:
        """Take whether to stop. Return the worker's progress."""
        self._stop = self._stop or stop
        return self._progress


class _WorkerLink:
    """The link in a worker of Ray Train."""

    def __init__(self, actor: Any) -> None:
        context = import_module("ray.train").get_context()
        self.rank, self.size = int(context.get_world_rank()), int(context.get_world_size())
        self.device = str(import_module("ray.train.torch").get_device())
        self._ray: Any = import_module("ray")
        self._actor, self._stop = actor, False
        self._asked: Any = None

    def exchange(self, progress: float) -> bool:
        """Report without waiting for the answer, except at the end of the work."""
        if progress >= 1.0:
            self._stop = bool(self._ray.get(self._actor.tell.remote(1.0)))
        elif self._asked is None:
            self._asked = self._actor.tell.remote(max(1e-6, progress))
        elif self._ray.wait([self._asked], timeout=0)[0]:
            self._stop = self._stop or bool(self._ray.get(self._asked))
            self._asked = None
        return self._stop
