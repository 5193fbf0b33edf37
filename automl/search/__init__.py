"""The search: policies decide, Optuna samples and remembers, engines run trials.

    control/    the coordinator, the only object that engines talk to, and what it uses
    policy/     pure decisions: continue, pause, stop, and what to run next
    sampling/   what proposes configurations: Optuna's samplers, the curve model, the portfolio
    engines/    ray, local, simulated: where trials run
    storage/    the Optuna study and this package's own tables, in one database
    reasons.py  why something happens to a trial, as codes; their sentences
    replay.py   a recorded study through a fresh policy
    run.py      `search`, the stage of the pipeline
    tune.py     `tune`, over any training loop

A trial has one form for each reader: StoredTrial is what the database knows, LiveTrial what a running search keeps,
TrialView what a policy sees, and TrialRow (`automl.records`) what tables show.

Names are imported when they are first used: importing this package imports neither Optuna nor Ray.
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
