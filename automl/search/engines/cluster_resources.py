"""The machines of a cluster, and how many trials fit on them."""

from __future__ import annotations

from dataclasses import dataclass

from automl.errors import EngineError

ROUNDING = 1e-9


@dataclass(frozen=True)
class NodeResources:
    """A machine: its name, and the cores, GPUs and memory (bytes) that Ray may use."""

    name: str
    cpus: float
    gpus: float
    memory: float

    def trials(self, cpus: float, gpus: float) -> int:
        """Return how many trials fit on this machine. A share of a GPU must lie on one GPU."""
        fits = int(self.cpus / cpus + ROUNDING)
        if gpus <= 0:
            return fits
        by_gpu = int(self.gpus / gpus + ROUNDING) if gpus >= 1 else int(self.gpus) * int(1 / gpus + ROUNDING)
        return min(fits, by_gpu)


@dataclass(frozen=True)
class ClusterResources:
    """All machines of a cluster."""

    nodes: tuple[NodeResources, ...]

    def trials_at_once(self, cpus: float, gpus: float) -> int:
        """Return how many trials run at once if each gets so many cores and GPUs of one machine."""
        return sum(node.trials(cpus, gpus) for node in self.nodes)

    def check(self, cpus: float, gpus: float) -> None:
        """Raise EngineError if no machine has room for one trial."""
        if self.trials_at_once(cpus, gpus) > 0:
            return
        if not self.nodes:
            raise EngineError(
                "Ray has no living node any more, because one of its own processes ended: start again to continue"
            )
        for kind, wanted, there in (
            ("CPU", cpus, max(node.cpus for node in self.nodes)),
            ("GPU", gpus, max(node.gpus for node in self.nodes)),
        ):
            if wanted > there:
                raise EngineError(
                    f"one trial needs {wanted:g} {kind}, but Ray has {there:g}: ask for less, or give Ray more"
                    if len(self.nodes) == 1
                    else f"one trial needs {wanted:g} {kind}, but the largest node of {len(self.nodes)} has "
                    f"{there:g}: ask for less, or give Ray more"
                )
        raise EngineError(
            f"one trial needs {cpus:g} CPU and {gpus:g} GPU on one machine, but no node has both: ask for less"
        )
