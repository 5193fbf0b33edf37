"""Workers of Ray Train make of a batch what one process makes of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor, nn

from automl.data.cache.node_cache import DataOrigin
from automl.errors import EngineError
from automl.final.distributed_retrain import RetrainWorkers, distributed_retrain, has_checkpoint
from automl.final.retrain import Retrain, join_rows
from automl.records import Config, ReadOptions, SearchSplits, Silent
from automl.search.engines.cluster_resources import ClusterResources, NodeResources
from automl.search.engines.ray import cleanup_process as ray_watcher
from automl.search.engines.ray.distributed_training import WorkerGroup, cores_each
from automl.search.engines.ray.runtime import FOLDER, RayRuntime
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer
from tests.training.conftest import config, splits
from tests.waiting import until

__all__ = ["config", "splits"]  # fixtures
# Ray Data, which Ray Train imports, warns of options of its own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
ORIGIN = DataOrigin(None, ReadOptions(), 32, 3, None)


def plain(chosen: Config) -> Config:
    """A configuration without what makes parts of a batch differ from the whole: batch norm comes with the model."""
    return {**chosen, "model": "test_vit", "batch_size": 32, "drop_path": 0.0, "opt": "sgd", "lr": 0.05}


def plan_of(**changes: Any) -> TrainPlan:
    return replace(TrainPlan(epochs=2, metric="accuracy", mode="max", seed=3), **changes)


def vector(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])


def _part(rank: int, place: str, chosen: Config, data: SearchSplits, plan: TrainPlan, out: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    trainer = Trainer(chosen, data.info, data.train, plan)
    trainer.join()
    trainer.train_round()
    if rank == 0:
        torch.save({"weights": trainer.model.state_dict(), "steps": trainer.steps}, out)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_workers_take_the_steps_of_one(
    config: Config,
    splits: SearchSplits,
    tmp_path: Path,
) -> None:
    chosen, plan = plain(config), plan_of(final=True)
    alone = Trainer(chosen, splits.info, splits.train, plan)
    before = {name: tensor.clone() for name, tensor in alone.model.state_dict().items()}
    alone.train_round()
    out = str(tmp_path / "out.pt")
    fresh = multiprocessing.get_context("spawn")
    both = [
        fresh.Process(target=_part, args=(rank, str(tmp_path / "meet"), chosen, splits, plan, out))
        for rank in (0, 1)
    ]
    for worker in both:
        worker.start()
    for worker in both:
        worker.join()
    found = torch.load(out, weights_only=True)
    assert found["steps"] == alone.steps > 2
    moved = max(float((a - before[n]).abs().max()) for n, a in alone.model.state_dict().items())
    for name, tensor in alone.model.state_dict().items():
        assert torch.allclose(tensor, found["weights"][name], atol=1e-3 * moved), name


@pytest.fixture(scope="module")
def runtime() -> Any:
    with RayRuntime(cpus=2) as found:
        found.wait()
        yield found


@pytest.mark.ray
def test_workers_of_ray_train_give_the_model_of_one_process(
    config: Config,
    splits: SearchSplits,
    tmp_path: Path,
    runtime: RayRuntime,
) -> None:
    chosen, plan = plain(config), plan_of()
    alone = Retrain(chosen, splits, plan, work_dir=tmp_path).train(Silent())
    group = RetrainWorkers(2, ORIGIN, tmp_path / ".retrain")
    both = distributed_retrain(chosen, splits, plan, group=group, observer=Silent())
    assert (both.epochs, both.n_train, both.images_trained) == (
        alone.epochs,
        alone.n_train,
        alone.images_trained,
    )
    assert both.progress == 1.0 and has_checkpoint(group)
    assert torch.allclose(vector(alone.model), vector(both.model), atol=2e-4)


@pytest.mark.ray
def test_worker_that_dies_ends_the_others_and_leaves_a_checkpoint_to_go_on_from(
    config: Config,
    splits: SearchSplits,
    tmp_path: Path,
    runtime: RayRuntime,
) -> None:
    group = RetrainWorkers(2, ORIGIN, tmp_path / ".retrain")
    plan = plan_of(epochs=100_000, seconds=160.0)

    def kill() -> None:
        until(lambda: has_checkpoint(group), limit=150.0)
        os.kill(_workers()[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    begun = time.monotonic()
    with pytest.raises(EngineError, match="one of 2 workers failed"):
        distributed_retrain(plain(config), splits, plan, group=group, observer=Silent())
    killer.join()
    assert time.monotonic() - begun < 150
    last = replace(plan, seconds=1.0)
    rest = Retrain(plain(config), splits, last, work_dir=tmp_path, checkpoint=group.checkpoint).train(
        Silent()
    )
    assert rest.epochs > 1  # at least one of the workers', and what a second held


def _workers() -> list[int]:
    (session,) = Path("/tmp").glob(f"{FOLDER}{os.getpid()}-*")
    found = []
    for pid in ray_watcher.of_session(session):
        if any("RayTrainWorker" in word for word in psutil.Process(pid).cmdline()):
            found.append(pid)
    return sorted(found)


def test_each_worker_gets_as_many_cores_as_all_can_have() -> None:
    room = ClusterResources((NodeResources("a", 8, 2, 0), NodeResources("b", 4, 1, 0)))
    assert cores_each(room, WorkerGroup(1, False, None, Path())) == 8
    assert cores_each(room, WorkerGroup(3, False, None, Path())) == 4
    assert cores_each(room, WorkerGroup(3, True, None, Path())) == 4
    with pytest.raises(EngineError, match="4 workers need a core and a GPU each, and there is room for 3"):
        cores_each(room, WorkerGroup(4, True, None, Path()))


def test_joined_rows_are_those_of_both_parts(splits: SearchSplits, tmp_path: Path) -> None:
    assert len(join_rows(splits.train, splits.val, tmp_path / "index.npy")) == 192
