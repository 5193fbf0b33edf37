"""What one trial computes on, and how many run at once: by cores, GPUs and measured memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from automl.config import StudyConfig
from automl.config.sizes import format_size
from automl.errors import ConfigError
from automl.machine import cores as usable_cores
from automl.machine import free_memory
from automl.search.engines.cluster_resources import ClusterResources

SPARE = 1.2  # a configuration may take more than the one that was measured
USABLE = 0.9  # of the memory that is there: the system and the driver need some too
MAX_SHARES = 8  # trials on one GPU; with more, they only wait for each other
PACKING = (
    1.2  # what trials that share a GPU train together, to one alone (benchmarks/gpu.py, four small networks)
)
SCALING = 0.75  # of another core that shares the batches: what it adds to the images a second


@dataclass(frozen=True)
class Device:
    """What one trial computes on; `parallel` trials run at once, each batch shared by `replicas` threads.

    `gpus` is how many this machine has, 0 where none is used.
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
        """How much faster the retrain is than a trial: on a CPU it has all cores, a trial those of its replicas; on a
        GPU it is alone.
        """
        if self.kind != "cpu":
            return self.slowdown
        return self.cores_together / (1 + SCALING * (self.replicas - 1))

    @property
    def slowdown(self) -> float:
        """How much slower a trial is among those that share its GPU than alone."""
        shares = int(1 / self.gpus_per_trial + 1e-9) if 0 < self.gpus_per_trial < 1 else 1
        return max(1.0, shares / PACKING)

    @property
    def cores_together(self) -> float:
        """How many times faster than one core all of them train one network."""
        return 1 + SCALING * (self.all_threads - 1)


def choose_device(config: StudyConfig, room: ClusterResources | None = None) -> Device:
    """One thread a trial and a trial a core, as that trains the most images; or a trial a GPU where there is one.

    `room` is the cluster that trials run on, None for this machine alone. Raises ConfigError where the cluster has
    GPUs and this machine, which retrains, has none.
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
            "the cluster has GPUs but this machine, which retrains the best, has none: start automl on a node with a "
            "GPU, or leave them out with --gpus-per-trial 0"
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
    if config.engine == "local":  # this process alone: one trial after the other, each on all cores
        return Device("cpu", 1, config.parallel or 1, cores, replicas=cores)
    threads = max(1, int(config.cpus_per_trial or 1))
    there = room.trials_at_once(threads, 0.0) if room else cores // threads
    return Device("cpu", threads, config.parallel or max(1, there), cores)


def whole_trials(gpus: int, share: float) -> int:
    """Trials that fit on so many GPUs, each with `share` of one, or with several whole ones.

    >>> whole_trials(4, 0.3), whole_trials(4, 0.25), whole_trials(4, 2), whole_trials(1, 2)
    (12, 16, 2, 0)
    """
    return int(gpus / share + 1e-9) if share >= 1 else gpus * int(1 / share + 1e-9)


def within_memory(device: Device, trial: int, *, limit: int | None, chosen: bool) -> tuple[Device, str]:
    """The device with as many trials at once as memory holds, and a sentence where that are fewer.

    `trial` is what one takes (bytes, 0: unknown), `limit` what all may take together; without one it is what this
    machine has left, unless the person has `chosen` how many run. Raises ConfigError for a limit below one trial.
    """
    if trial <= 0 or (limit is None and chosen):
        return device, ""
    each = int(trial * SPARE)
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
    note = f"{held} trials at once instead of {device.parallel}: {why} of {format_size(there)} holds no more"
    return replace(device, parallel=held), f"{note} of {format_size(each)} each."


def packed(device: Device, trial: int, total: int) -> Device:
    """The device with as many trials on each GPU as its memory (`total` bytes) and the cores hold.

    `trial` is the most GPU memory that the measured one took (bytes, 0: unknown, which changes nothing).
    """
    if trial <= 0 or device.gpus == 0:
        return device
    by_memory = int(USABLE * total / (trial * SPARE))
    by_cores = device.all_threads // device.gpus
    shares = max(1, min(by_memory, by_cores, MAX_SHARES))
    parallel = shares * device.gpus
    threads = max(1, device.all_threads // parallel)
    return replace(device, gpus_per_trial=1.0 / shares, parallel=parallel, threads=threads)


def idle_gpus(device: Device) -> str:
    """A sentence where a search leaves GPUs of this machine idle; empty where it does not."""
    if device.gpus == 0:
        return ""
    used = min(device.gpus, int(-(-device.parallel * device.gpus_per_trial // 1)))
    if used == device.gpus:
        return ""
    return f"{used} of {device.gpus} GPUs are used by the search: raise --parallel to use all."


def ray_cpus(config: StudyConfig) -> int:
    """What Ray is told to have on this machine: the cores, or more where the person asks for more trials at once."""
    wanted = (config.parallel or 1) * max(1, int(config.cpus_per_trial or 1))
    return max(usable_cores(), wanted)
