"""What belongs to the caller's process and not to a study: random states, environment, warnings, threads, folder."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

TORCH_SEED = 67_280_421_310_721  # of torch's generator before anybody seeds it
RAYS = "RAY_"  # Ray may still go down in the background, with its token in the environment


def leaves_no_trace(call: Callable[P, R]) -> Callable[P, R]:
    """Return a function that leaves the state of this process as it was."""

    @wraps(call)
    def kept(*args: P.args, **keywords: P.kwargs) -> R:
        with process_state_kept():
            return call(*args, **keywords)

    return kept


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Restore at the end of the block what belongs to the caller.

    That is: random states, the number of torch's threads, environment, filters of warnings, the current folder.

    The random states are those of random, numpy and torch. If torch was not loaded before, its generator is as in a
    process that loads it only then.
    """
    environment, restores = dict(os.environ), [*_random_states(), *_current_folder()]
    fresh = "torch" not in sys.modules
    with warnings.catch_warnings():
        try:
            yield
        finally:
            for restore in restores:
                restore()
            if fresh and "torch" in sys.modules:
                sys.modules["torch"].default_generator.manual_seed(TORCH_SEED)
            _restore(environment)


def _random_states() -> Iterator[Callable[[], Any]]:
    """Yield functions that restore what can be drawn from now."""
    yield partial(random.setstate, random.getstate())
    if (numpy := sys.modules.get("numpy")) is not None:
        yield partial(numpy.random.set_state, numpy.random.get_state())
    if (torch := sys.modules.get("torch")) is not None:
        yield partial(torch.set_num_threads, torch.get_num_threads())
        yield partial(torch.set_rng_state, torch.get_rng_state())
        if torch.cuda.is_initialized():
            yield partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())


def _current_folder() -> Iterator[Callable[[], Any]]:
    """Yield a function that restores the current folder, unless that was removed."""
    try:
        here = Path.cwd()
    except OSError:
        return

    def restore() -> None:
        if here.is_dir():
            os.chdir(here)

    yield restore


def _restore(environment: dict[str, str]) -> None:
    for name in [*os.environ]:
        if name not in environment and not name.startswith(RAYS):
            os.environ.pop(name, None)
    os.environ.update({name: text for name, text in environment.items() if os.environ.get(name) != text})
