"""One training by several workers: processes on the machines of Ray, in one process group of torch."""

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

LOOK_S = 0.25
START_S = 90.0  # until the first worker is heard of
OVERDUE_S = 20.0  # beyond the time that the work may take


class Link(Protocol):
    """What a worker knows of the others, and its line to the process that started them."""

    rank: int
    size: int
    device: str

    def exchange(self, progress: float) -> bool:
        """Tell how far the work is (0 to 1); whether it is asked to stop. Never waits."""


@dataclass(frozen=True)
class WorkerGroup:
    """How many workers, whether each has a GPU, how long the work may take (seconds), and a folder that all share.

    `address` and `cpus` are for Ray, where it is not up yet.
    """

    workers: int
    gpu: bool
    seconds: float | None
    folder: Path
    address: str | None = None
    cpus: int | None = None


@dataclass(frozen=True)
class Monitor:
    """Called while the workers work: told the progress (0 to 1), and asked whether they shall stop."""

    progress: Callable[[float], None]
    asked_to_stop: Callable[[], bool]


def run_together(work: Callable[[Link, int], None], party: WorkerGroup, watch: Monitor) -> float:
    """Call `work(link, cores)` in every worker and wait for all; the progress that the first one told last.

    Raises EngineError where Ray or Ray Train is missing, the machines have no room, or a worker breaks or dies: the
    others are ended then.
    """
    try:
        train, train_torch = import_module("ray.train"), import_module("ray.train.torch")
    except ImportError as error:
        raise EngineError(
            f"Ray Train must be installed for several workers, and is not ({error}); run `pip install 'automl[train]'`"
        ) from error
    with RayRuntime(party.address, cpus=party.cpus) as runtime:
        runtime.wait(party.seconds)
        return _train(work, party, watch, (train, train_torch))


def _train(
    work: Callable[[Link, int], None], party: WorkerGroup, watch: Monitor, modules: tuple[Any, Any]
) -> float:
    ray: Any = import_module("ray")
    train, train_torch = modules
    cores = cores_each(current_resources(), party)
    board = _board().remote()
    trainer = train_torch.TorchTrainer(
        lambda: work(_WorkerLink(board), cores),
        scaling_config=train.ScalingConfig(
            num_workers=party.workers,
            use_gpu=party.gpu,
            resources_per_worker={"CPU": cores, **({"GPU": 1} if party.gpu else {})},
        ),
        run_config=train.RunConfig(name="retrain", storage_path=str(party.folder)),
    )
    try:
        return _wait(trainer, board, party, watch)
    finally:
        ray.kill(board)


def cores_each(room: ClusterResources, party: WorkerGroup) -> int:
    """As many whole cores as each worker can have. Raises EngineError where one each is too much."""
    gpus = 1.0 if party.gpu else 0.0
    most = int(max((node.cpus for node in room.nodes), default=0))
    for cores in range(most, 0, -1):
        if room.trials_at_once(cores, gpus) >= party.workers:
            return cores
    there = room.trials_at_once(1, gpus)
    needed = "a core and a GPU each" if party.gpu else "a core each"
    raise EngineError(f"{party.workers} workers need {needed}, and there is room for {there}")


def _wait(trainer: Any, board: Any, party: WorkerGroup, watch: Monitor) -> float:
    """Until the work is done. Ray Train has a thread of its own, because it would wait without looking at anything."""
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
            thread.join(LOOK_S)
            done = max(done, ray.get(board.look.remote(watch.asked_to_stop())))
            watch.progress(done)
            _check_late(done, time.monotonic() - begun, party)
    if failed:
        raise EngineError(f"one of {party.workers} workers broke: {_reason(failed[0])}") from failed[0]
    return float(max(done, ray.get(board.look.remote(False))))


def _check_late(done: float, spent: float, party: WorkerGroup) -> None:
    if done == 0.0 and spent > START_S:
        raise EngineError(f"{party.workers} workers did not begin within {START_S:.0f} s")
    if party.seconds is not None and spent > party.seconds + OVERDUE_S:
        raise EngineError(f"{party.workers} workers did not come to their end in time")


def _reason(error: BaseException) -> str:
    """The last line of what Ray Train says, which wraps the error of a worker in its own."""
    failures = getattr(error, "worker_failures", None) or {}
    inner = next(iter(failures.values()), error)
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    return lines[-1] if lines else type(inner).__name__


def _board() -> Any:
    ray: Any = import_module("ray")
    return ray.remote(num_cpus=0)(ProgressActor)


class ProgressActor:
    """A small actor between the first worker and the process that started it."""

    def __init__(self) -> None:
        self._progress, self._stop = 0.0, False

    def tell(self, progress: float) -> bool:
        """From the worker: how far it is; whether to stop."""
        self._progress = progress
        return self._stop

    def look(self, stop: bool) -> float:
        """From the other side: whether to stop; how far the worker is."""
        self._stop = self._stop or stop
        return self._progress


class _WorkerLink:
    """The link in a worker of Ray Train."""

    def __init__(self, board: Any) -> None:
        context = import_module("ray.train").get_context()
        self.rank, self.size = int(context.get_world_rank()), int(context.get_world_size())
        self.device = str(import_module("ray.train.torch").get_device())
        self._ray: Any = import_module("ray")
        self._board, self._stop = board, False
        self._asked: Any = None

    def exchange(self, progress: float) -> bool:
        """Answers come when they come: a step never waits for one. The end of the work is told in any case."""
        if progress >= 1.0:
            self._stop = bool(self._ray.get(self._board.tell.remote(1.0)))
        elif self._asked is None:
            self._asked = self._board.tell.remote(max(1e-6, progress))
        elif self._ray.wait([self._asked], timeout=0)[0]:
            self._stop = self._stop or bool(self._ray.get(self._asked))
            self._asked = None
        return self._stop
