"""Choose the device of a trial, and how many run at once, by cores, GPUs and measured memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from automl.config import StudyConfig
from automl.config.sizes import format_size
from automl.data.sources.base import counted
from automl.errors import ConfigError
from automl.machine import cores as usable_cores
from automl.machine import free_memory
from automl.pipeline.plan.constants import (
    MAX_SHARES,
    MEMORY_SPARE,
    PACKING,
    SCALING,
    USABLE,
)
from automl.records import Observer
from automl.search.engines.cluster_resources import ClusterResources
from automl.training.speed_probe import Probe


@dataclass(frozen=True)
class Device:
    """The device of a trial. `parallel` trials run at once, each batch is split between `replicas` threads.

    `gpus` is the number of this machine's GPUs, 0 if none is used.
    """

    kind: str
    threads: int
    parallel: int
    all_threads: int
    replicas: int = 1
    gpus_per_trial: float = 0.0
    gpus: int = 0

    @property
    def speedup(self) -> float:
        """How much faster the retrain is than a trial: it has all cores, or a GPU alone."""
        if self.kind != "cpu":
            return self.slowdown
        return self.cores_together / (1 + SCALING * (self.replicas - 1))

    @property
    def slowdown(self) -> float:
        """How much slower a trial is because others share its GPU."""
        shares = int(1 / self.gpus_per_trial + 1e-9) if 0 < self.gpus_per_trial < 1 else 1
        return max(1.0, shares / PACKING)

    @property
    def cores_together(self) -> float:
        """How many times faster than one core all cores train one network."""
        return 1 + SCALING * (self.all_threads - 1)


def choose_device(config: StudyConfig, room: ClusterResources | None = None) -> Device:
    """Choose one trial per GPU, or without GPUs one per core, each with one thread: that trains the most images.

    `room` is the cluster that trials run on, None for this machine alone. Raises ConfigError if the cluster has GPUs
    but this machine, which retrains, has none.
    """
    import torch

    cores = usable_cores()
    share = 1.0 if config.gpus_per_trial in (None, "auto") else float(config.gpus_per_trial or 0.0)
    if (
        room is not None
        and share > 0
        and any(node.gpus for node in room.nodes)
        and not torch.cuda.is_available()
    ):
        raise ConfigError(
            "the cluster has GPUs but this machine, which runs the retrain, has none: start automl on a node with a "
            "GPU, or use no GPUs with --gpus-per-trial 0"
        )
    if torch.cuda.is_available() and share > 0:
        gpus = torch.cuda.device_count()
        parallel = config.parallel or (
            room.trials_at_once(config.cpus_per_trial or 1.0, share)
            if room
            else max(1, whole_trials(gpus, share))
        )
        threads = max(1, int(config.cpus_per_trial or 1)) if room else max(1, cores // parallel)
        return Device("cuda", threads, parallel, cores, gpus_per_trial=share, gpus=gpus)
    if config.engine == "local":  # one process runs trials one after the other, on all cores
        return Device("cpu", 1, config.parallel or 1, cores, replicas=cores)
    threads = max(1, int(config.cpus_per_trial or 1))
    there = room.trials_at_once(threads, 0.0) if room else cores // threads
    return Device("cpu", threads, config.parallel or max(1, there), cores)


def packed(config: StudyConfig, device: Device, measured: Probe, observer: Observer) -> Device:
    """Return the device with as many parallel trials as the measured memory of one allows."""
    if config.gpus_per_trial == "auto" and device.gpus and config.parallel is None:
        import torch

        total = torch.cuda.get_device_properties(0).total_memory
        device = pack_gpus(device, measured.gpu_memory, total)
    if config.engine == "ray" and config.address is None:  # on other machines, Ray itself controls the memory
        chosen = config.parallel is not None
        device, note = within_memory(device, measured.memory, limit=config.memory_limit, chosen=chosen)
        if note:
            observer.note(note)
    if idle := idle_gpus(device):
        observer.note(idle)
    return device


def whole_trials(gpus: int, share: float) -> int:
    """Return how many trials fit on `gpus`, if each takes a `share` of one, or several whole ones.

    >>> whole_trials(4, 0.3), whole_trials(4, 0.25), whole_trials(4, 2), whole_trials(1, 2)
    (12, 16, 2, 0)
    """
    return int(gpus / share + 1e-9) if share >= 1 else gpus * int(1 / share + 1e-9)


def within_memory(device: Device, trial: int, *, limit: int | None, chosen: bool) -> tuple[Device, str]:
    """Return the device with as many parallel trials as fit into memory, and a note if those are fewer.

    `trial` is the memory of one trial (bytes, 0: unknown), `limit` the memory limit of all. Without a limit it is the
    free memory, unless the user has `chosen` the number. Raises ConfigError for a limit below one trial.
    """
    if trial <= 0 or (limit is None and chosen):
        return device, ""
    each = int(trial * MEMORY_SPARE)
    if limit is not None and limit < each:
        raise ConfigError(
            f"--memory-limit must hold one trial, which takes {format_size(each)} here, got {format_size(limit)}: "
            "raise it, or choose a smaller --img-size or --space"
        )
    there = limit if limit is not None else int(USABLE * free_memory())
    held = max(1, there // each)
    if held >= device.parallel:
        return device, ""
    why = "--memory-limit" if limit is not None else "the free memory"
    note = f"{counted(held, 'trial')} at once instead of {device.parallel}"
    note = f"{note}: no more fit into {why} of {format_size(there)}"
    return replace(device, parallel=held), f"{note}, with {format_size(each)} each."


def pack_gpus(device: Device, trial: int, total: int) -> Device:
    """Return the device with as many trials per GPU as its memory (`total` bytes) and the cores allow.

    `trial` is the peak GPU memory of the measured trial (bytes, 0: unknown, which changes nothing).
    """
    if trial <= 0 or device.gpus == 0:
        return device
    by_memory = int(USABLE * total / (trial * MEMORY_SPARE))
    by_cores = device.all_threads // device.gpus
    shares = max(1, min(by_memory, by_cores, MAX_SHARES))
    parallel = shares * device.gpus
    threads = max(1, device.all_threads // parallel)
    return replace(device, gpus_per_trial=1.0 / shares, parallel=parallel, threads=threads)


def idle_gpus(device: Device) -> str:
    """Return a note if the search leaves GPUs of this machine idle, else ""."""
    if device.gpus == 0:
        return ""
    used = min(device.gpus, int(-(-device.parallel * device.gpus_per_trial // 1)))
    if used == device.gpus:
        return ""
    return f"The search uses {used} of {device.gpus} GPUs; raise --parallel to use all."


def ray_cpus(config: StudyConfig) -> int:
    """Return the CPUs for Ray on this machine: the cores, or more if the user wants more parallel trials."""
    wanted = (config.parallel or 1) * max(1, int(config.cpus_per_trial or 1))
    return max(usable_cores(), wanted)
