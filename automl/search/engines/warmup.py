"""Starting an engine in the background, while the data are still being read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from automl.search.engines.base import Engine
from automl.search.engines.registry import load_engine
from automl.search.run import check_names

INTERRUPTED_S = 1.0  # that the end of the block may take after Ctrl-C


class EngineOptions(Protocol):
    """The options that choose an engine. A StudyConfig has them."""

    @property
    def engine(self) -> str:
        """The name of the engine."""

    @property
    def address(self) -> str | None:
        """The Ray cluster to join; None starts Ray on this machine."""


@contextmanager
def warm_up(
    options: EngineOptions,
    *,
    cpus: int | None = None,
    begin: bool = True,
    note: Callable[[str], None] | None = None,
    left: Callable[[], float | None] = lambda: None,
) -> Iterator[Engine]:
    """Start the engine that the options name, for `search(..., engine=...)`. The end of the block stops it.

    `cpus` is how many processors Ray may use (None: all). Without `begin` the engine starts with the first trial. The
    search raises the errors of the start. `note` takes a sentence if Ray does not start in time. `left` returns the
    seconds that the end of the block may take (None: any): after them Ray goes down in the background. Raises
    ConfigError for an unknown engine.
    """
    check_names(engine=options.engine)
    if options.engine != "ray" or not begin:
        yield load_engine(options.engine)()
        return
    from threadpoolctl import threadpool_limits

    from automl.search.engines.ray.engine import RayEngine
    from automl.search.engines.ray.runtime import RayRuntime

    # The end of the block waits until Ray is down, if there is time: Python hangs if it ends while Ray starts or stops.
    # BLAS keeps to one thread meanwhile: Ray forks its processes in a thread of its own, and OpenBLAS shuts its
    # threads down at a fork, so that a matrix product in this thread would never return.
    runtime = RayRuntime(options.address, cpus=cpus)
    with threadpool_limits(limits=1, user_api="blas"):
        interrupted = False
        try:
            yield RayEngine(runtime.start(), note=note)
        except KeyboardInterrupt:
            interrupted = True
            raise
        finally:
            runtime.stop(seconds=INTERRUPTED_S if interrupted else left())
