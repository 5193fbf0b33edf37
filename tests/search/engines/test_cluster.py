"""A Ray cluster of two nodes, both on this machine, joined by its address."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from automl.errors import EngineError
from automl.records import TrialState
from automl.search import search
from automl.search.engines.ray.engine import RayEngine
from automl.search.engines.ray.runtime import QUIET_ENVIRONMENT, RayRuntime, environment_set
from tests.search.toy import Counter, ToySpace, settings
from tests.waiting import until

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="automl-two-", dir="/tmp") as folder:
        # A dead node is to be noticed in seconds, and nothing is to be left in /tmp/ray.
        environment = {
            **QUIET_ENVIRONMENT,
            "RAY_TMPDIR": folder,
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "2",
        }
        with environment_set(environment):
            node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
            head = {**node, "include_dashboard": False}
            made = import_module("ray.cluster_utils").Cluster(initialize_head=True, head_node_args=head)
            made.second = made.add_node(**node)
            yield made
            made.shutdown()


@pytest.fixture(scope="module")
def runtime(cluster: Any) -> Iterator[RayRuntime]:
    with RayRuntime(cluster.address) as found:
        found.wait()
        yield found


def test_room_of_a_cluster_is_known_by_node(runtime: RayRuntime) -> None:
    room = RayEngine(runtime).resources()
    assert room is not None
    assert [node.cpus for node in room.nodes] == [1, 1]
    assert room.trials_at_once(1.0, 0.0) == 2 and room.trials_at_once(0.5, 0.0) == 4
    with pytest.raises(EngineError, match="one trial needs 2 CPU, but the largest node of 2 has 1"):
        room.check(2.0, 0.0)


def test_trials_run_on_both_nodes_and_go_on_when_one_is_killed(
    cluster: Any, runtime: RayRuntime, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"

    def both_at_work() -> bool:
        return notes.exists() and len({line.split()[2] for line in notes.read_text().splitlines()}) == 2

    def kill() -> None:
        until(both_at_work, limit=60.0)
        cluster.remove_node(cluster.second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    chosen = settings(
        engine="ray",
        address=cluster.address,
        storage=f"sqlite:///{tmp_path}/study.db",
        directory=tmp_path,
        n_trials=8,
        policy="none",
    )
    found = search(partial(Counter, notes=notes, pause=0.15), ToySpace(), chosen, engine=RayEngine(runtime))
    killer.join()
    assert [trial.number for trial in found.trials] == list(range(8))
    assert {trial.state for trial in found.trials} == {TrialState.COMPLETE}
