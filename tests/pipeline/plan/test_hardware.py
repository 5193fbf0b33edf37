"""How many trials run at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl import config as configuration
from automl import pipeline
from automl.config import StudyConfig
from automl.errors import ConfigError, EngineError
from automl.pipeline.plan.hardware import (
    Device,
    choose_device,
    idle_gpus,
    pack_gpus,
    whole_trials,
    within_memory,
)
from automl.pipeline.setup import load_space
from automl.search.engines.cluster_resources import ClusterResources, NodeResources

GIB = 2**30
CPU = Device("cpu", 1, 8, 8)
GPUS = Device("cuda", 4, 4, 32, gpus_per_trial=1.0, gpus=4)


def options(**changes: object) -> StudyConfig:
    return StudyConfig(**{"data": "digits", "n_trials": 1, **changes})


@pytest.mark.parametrize(
    ("device", "size", "preset"),
    [(CPU, 32, "cpu"), (CPU, 224, "cpu"), (GPUS, 32, "small"), (GPUS, 64, "small"), (GPUS, 65, "default")],
)
def test_space_follows_from_the_device_and_the_size_of_the_images(
    device: Device, size: int, preset: str
) -> None:
    assert load_space(options(), device, img_size=size).name == preset
    assert load_space(options(space="mobile"), device, img_size=size).name == "mobile"


@pytest.mark.parametrize(("limit", "parallel"), [(12 * GIB, 8), (6 * GIB, 5), (int(1.2 * GIB), 1)])
def test_memory_limit_decides_how_many_trials_run(limit: int, parallel: int) -> None:
    device, note = within_memory(CPU, GIB, limit=limit, chosen=False)
    assert device.parallel == parallel
    assert bool(note) == (parallel < 8)
    assert within_memory(CPU, GIB, limit=limit, chosen=True)[0] == device


def test_memory_limit_below_one_trial_is_refused_with_what_one_takes() -> None:
    with pytest.raises(ConfigError, match="--memory-limit must hold one trial, which takes .* here, got 1G"):
        within_memory(CPU, GIB, limit=GIB, chosen=False)


def test_free_memory_counts_unless_the_person_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.pipeline.plan.hardware.free_memory", lambda: 4 * GIB)
    device, note = within_memory(CPU, GIB, limit=None, chosen=False)
    assert device.parallel == 3 and note.startswith(
        "3 trials at once instead of 8: no more fit into the free memory of"
    )
    assert within_memory(CPU, GIB, limit=None, chosen=True) == (CPU, "")
    assert within_memory(CPU, 0, limit=None, chosen=False) == (CPU, "")  # the system does not tell


@pytest.mark.parametrize(
    ("trial", "total", "shares"),
    [(10 * GIB, 80 * GIB, 6), (30 * GIB, 80 * GIB, 2), (70 * GIB, 80 * GIB, 1), (GIB // 8, 80 * GIB, 8)],
)
def test_gpus_are_packed_by_what_one_trial_took(trial: int, total: int, shares: int) -> None:
    device = pack_gpus(GPUS, trial, total)
    assert device.parallel == 4 * shares and device.gpus_per_trial == pytest.approx(1 / shares)
    assert device.threads * device.parallel <= device.all_threads
    assert whole_trials(4, device.gpus_per_trial) == device.parallel


@pytest.mark.parametrize(("share", "slower"), [(1.0, 1.0), (0.25, 4 / 1.2), (0.9, 1.0), (2.0, 1.0)])
def test_retrain_has_a_gpu_for_itself_that_trials_may_share(share: float, slower: float) -> None:
    device = replace(GPUS, gpus_per_trial=share)
    assert device.slowdown == device.speedup == pytest.approx(slower)
    assert replace(CPU, gpus_per_trial=0.0).slowdown == 1.0


def test_gpus_are_not_packed_beyond_the_cores() -> None:
    assert pack_gpus(replace(GPUS, all_threads=8), GIB, 80 * GIB).parallel == 8
    assert pack_gpus(CPU, GIB, 80 * GIB) == CPU and pack_gpus(GPUS, 0, 80 * GIB) == GPUS


def test_idle_gpus_are_reported() -> None:
    assert idle_gpus(GPUS) == "" == idle_gpus(CPU)
    assert idle_gpus(replace(GPUS, parallel=1)).startswith("The search uses 1 of 4 GPUs")
    assert idle_gpus(replace(GPUS, parallel=4, gpus_per_trial=0.25)).startswith("The search uses 1 of 4 GPUs")


def test_auto_is_what_leaving_out_means_and_half_gpus_beyond_one_are_refused() -> None:
    assert options(parallel="auto") == options()
    assert options(gpus_per_trial="auto").gpus_per_trial == "auto"
    assert options(gpus_per_trial="0.25").gpus_per_trial == 0.25
    for wrong in (1.5, -1, "many", True):
        with pytest.raises(ConfigError, match="gpus_per_trial must be 'auto', a share such as 0.25"):
            options(gpus_per_trial=wrong)


def test_cluster_says_how_many_trials_run() -> None:
    room = ClusterResources((NodeResources("a", 8, 0, 0), NodeResources("b", 3, 0, 0)))
    assert choose_device(options(), room).parallel == 11
    assert choose_device(options(cpus_per_trial=2), room).parallel == 5
    assert choose_device(options(parallel=4), room).parallel == 4


def test_trial_lies_on_one_machine_and_a_share_on_one_gpu() -> None:
    room = ClusterResources((NodeResources("a", 8, 2, 0), NodeResources("b", 8, 1, 0)))
    assert (
        room.trials_at_once(1, 0.4) == 6
        and room.trials_at_once(1, 2) == 1
        and room.trials_at_once(4, 0.25) == 4
    )
    with pytest.raises(EngineError, match="Ray has no living node any more"):
        ClusterResources(()).check(1, 0)
    with pytest.raises(EngineError, match="one trial needs 3 GPU, but the largest node of 2 has 2"):
        room.check(1, 3)
    with pytest.raises(EngineError, match="on one machine, but no node has both"):
        ClusterResources((NodeResources("a", 8, 0, 0), NodeResources("b", 1, 1, 0))).check(2, 1)


def test_memory_limit_is_refused_where_it_could_not_be_kept(tmp_path: Path) -> None:
    data = (np.zeros((8, 8, 8), dtype=np.uint8), np.arange(8) % 2)
    wanted = configuration.load(data, directory=tmp_path, study="s", memory_limit="8G", engine="local")
    with pytest.raises(ConfigError, match="--memory-limit works only for --engine ray on this machine"):
        pipeline.fit(wanted)
