"""Bringing an engine up in the background, while the data are still being read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from automl.search.engines.base import Engine
from automl.search.engines.registry import load_engine
from automl.search.run import check_names


class EngineOptions(Protocol):
    """The options that say which engine runs where; a StudyConfig has them."""

    @property
    def engine(self) -> str:
        """The engine's name."""

    @property
    def address(self) -> str | None:
        """The Ray cluster to join; None starts Ray on this machine."""


@contextmanager
def warm_up(options: EngineOptions, *, cpus: int | None = None, begin: bool = True) -> Iterator[Engine]:
    """The engine that the options name, on its way up, for `search(..., engine=...)`; the block's end stops
    it.

    `cpus` is how many processors Ray may use (None: all). Without `begin` it comes up only when a trial is run.
    What goes wrong while it starts is raised by the search. Raises ConfigError for an unknown engine.
    """
    check_names(engine=options.engine)
    if options.engine != "ray" or not begin:
        yield load_engine(options.engine)()
        return
    from threadpoolctl import threadpool_limits

    from automl.search.engines.ray.engine import RayEngine
    from automl.search.engines.ray.runtime import RayRuntime

    # Its end waits until Ray is down: a program that ended while Ray starts or stops would hang and lose its words.
    # BLAS keeps to one thread meanwhile: Ray starts its processes by fork in a thread of its own, and OpenBLAS shuts
    # its threads down at a fork, whoever waits for one of them: a matrix product in this thread would never return.
    with threadpool_limits(limits=1, user_api="blas"), RayRuntime(options.address, cpus=cpus) as runtime:
        yield RayEngine(runtime)
