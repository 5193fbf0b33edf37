"""The Ray engine: Ray Tune runs the trials, in processes that are reused."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

from automl.errors import ConfigError, EngineError, reason_of
from automl.log import get_logger
from automl.search.control.coordinator import Coordinator
from automl.search.engines.base import Clock
from automl.search.engines.cluster_resources import ClusterResources, NodeResources
from automl.search.engines.local import LocalEngine
from automl.search.engines.ray.runtime import TUNE_FOLDER, RayRuntime, environment_set, quiet_ray
from automl.search.objective import Objective
from automl.search.policy import NextKind
from automl.search.settings import SearchSettings

LOOK_SECONDS = 0.2  # between two looks whether the search was stopped, while Ray starts
PATIENT_SHARE = 0.25  # of the time left, for which a search waits for Ray
# Tune reads its settings from the environment.
TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_THRESHOLD_S": "1000000",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1000000",
    "RAY_AIR_NEW_OUTPUT": "0",
}


class RayEngine:
    """Runs trials as Ray actors: on this machine, or on the cluster at `settings.address`."""

    clock: Clock = staticmethod(time.monotonic)

    def __init__(
        self, runtime: RayRuntime | None = None, *, note: Callable[[str], None] | None = None
    ) -> None:
        """`runtime` is one that was started before. The caller stops it. `note` takes sentences for a person."""
        self._runtime = runtime
        self._note = note or get_logger(__name__).info

    def run(self, coordinator: Coordinator, objective: Objective, settings: SearchSettings) -> None:
        """Run the search. At the deadline, workers that are still busy are killed.

        If Ray on this machine is not up after a part of the time, the trials run in this process, one after the other.
        Raises EngineError if Ray does not start, has no room for one trial, or breaks.
        """
        if coordinator.next().kind is NextKind.FINISH:
            return  # nothing is left to do; Ray would take seconds to find out
        if self._runtime is not None:
            self._run_on(self._runtime, coordinator, objective, settings)
            return
        with RayRuntime(settings.address, cpus=_cpus(settings)) as runtime:
            self._run_on(runtime, coordinator, objective, settings)

    def _run_on(
        self, runtime: RayRuntime, coordinator: Coordinator, objective: Objective, settings: SearchSettings
    ) -> None:
        remaining = coordinator.time.remaining()
        on_cluster = settings.address is not None
        if _is_up(runtime, coordinator, remaining if on_cluster else PATIENT_SHARE * remaining):
            _run_tune(coordinator, objective, settings, runtime.failed_starts)
        elif coordinator.time.remaining() > 0 and coordinator.stop_reason is None:
            self._note(
                f"Ray has not started within {PATIENT_SHARE * remaining:.0f} s: the trials run in this process, one "
                "after the other."
            )
            LocalEngine().run(coordinator, objective, replace(settings, parallel=1))

    def resources(self) -> ClusterResources | None:
        """Return the machines of the cluster, None where Ray was not started before."""
        if self._runtime is None:
            return None
        self._runtime.wait()
        return current_resources()

    def release(self) -> None:
        """Let Ray go down in the background."""
        if self._runtime is not None:
            self._runtime.stop(wait=False)


def _is_up(runtime: RayRuntime, coordinator: Coordinator, seconds: float) -> bool:
    """Wait for Ray, for so many seconds, or until a person stops the search. Return whether it is up."""
    until = time.monotonic() + seconds
    while coordinator.stop_reason is None:
        left = until - time.monotonic()
        if runtime.wait(max(0.0, min(LOOK_SECONDS, left))):
            return True
        if left <= 0:
            return False
    return False


def _cpus(settings: SearchSettings) -> int:
    """Return how many processors Ray may use: as many as the trials need, whatever the machine has."""
    return max(1, math.ceil(settings.parallel * settings.cpus_per_trial))


def _run_tune(
    coordinator: Coordinator,
    objective: Objective,
    settings: SearchSettings,
    failed_starts: Callable[[], str | None],
) -> None:
    from ray import tune
    from ray.tune.error import TuneError

    from automl.search.engines.ray import tune_bridge
    from automl.search.engines.ray.trainable import RayTrial

    current_resources().check(settings.cpus_per_trial, settings.gpus_per_trial)
    trial_map = tune_bridge.TrialMap()
    resources = {"cpu": settings.cpus_per_trial, "gpu": settings.gpus_per_trial}
    _check_pickles(objective)
    coordinator.prefetch()
    trainable = tune.with_resources(
        tune.with_parameters(RayTrial, objective=objective, shows=settings.keeps_prints), resources
    )
    environment = {**TUNE_ENVIRONMENT, "TUNE_MAX_PENDING_TRIALS_PG": str(settings.parallel)}
    with (
        tempfile.TemporaryDirectory(prefix=f"{TUNE_FOLDER}{os.getpid()}-") as folder,
        quiet_ray(),
        environment_set(environment),
    ):
        try:
            tune.run(
                trainable,
                name="search",
                num_samples=-1,
                search_alg=tune_bridge.CoordinatorSearcher(coordinator, trial_map),
                scheduler=tune_bridge.CoordinatorScheduler(coordinator, trial_map),
                stop=tune_bridge.FinishStopper(coordinator, trial_map, failed_starts),
                callbacks=[tune_bridge.StartListener(coordinator, trial_map), tune_bridge.NoOutput()],
                storage_path=folder,
                trial_name_creator=tune_bridge.short_name,
                trial_dirname_creator=tune_bridge.short_name,
                reuse_actors=True,
                raise_on_failed_trial=False,
                verbose=0,
            )
        except TuneError as error:
            last = str(error).strip().splitlines()[-1]
            raise EngineError(f"Ray Tune failed while it ran the trials: {last}") from error


def current_resources() -> ClusterResources:
    """Return the machines of the Ray that this process is connected to."""
    ray: Any = import_module("ray")
    nodes = [node for node in ray.nodes() if node["Alive"]]
    return ClusterResources(
        tuple(
            NodeResources(
                node["NodeManagerHostname"],
                node["Resources"].get("CPU", 0.0),
                node["Resources"].get("GPU", 0.0),
                node["Resources"].get("memory", 0.0),
            )
            for node in nodes
        )
    )


def _check_pickles(objective: Objective) -> None:
    # Checked before Tune does: it would keep what it could not pickle, and fail again at the next start of Ray.
    cloudpickle: Any = import_module("ray.cloudpickle")
    try:
        cloudpickle.dumps(objective)
    except Exception as error:  # whatever the code of a stranger's object raises
        raise ConfigError(
            f"the objective cannot be pickled, as Ray needs: {objective!r} ({reason_of(error)}); "
            "define it in a module, or use engine='local'"
        ) from error
