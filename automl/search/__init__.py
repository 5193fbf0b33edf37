"""The search: policies decide, Optuna samples and remembers, engines run trials.

    policy/        pure decisions: continue, pause, stop, and what to run next
    samplers.py    Optuna's samplers by name
    reasons.py     why things happen to trials, as codes; their sentences
    store.py       the Optuna study and this package's own tables, in one database
    event_log.py   the log of a study: what was done with which trial and why
    suggestions.py what the next trial tries; forecast.py: how long its rounds take
    replay.py      a recorded study through a fresh policy
    coordinator.py the one object that engines talk to
    engines/       ray, local, simulated: where trials run
    run.py         `search`, the stage of the pipeline; tune.py: `tune`, over anybody's training loop

A trial has one form for each reader: StoredTrial is what the database knows, LiveTrial what a running search keeps,
TrialView what a policy sees, and TrialRow (`automl.records`) what tables show.

Names come when they are first used: importing this package imports neither Optuna nor Ray.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.search.engines.warmup import warm_up
    from automl.search.result import BestTrial, SearchResult
    from automl.search.run import search
    from automl.search.settings import SearchSettings

__all__ = ["BestTrial", "SearchResult", "SearchSettings", "search", "warm_up"]

_HOMES = {
    "BestTrial": "result",
    "SearchResult": "result",
    "SearchSettings": "settings",
    "search": "run",
    "warm_up": "engines.warmup",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
