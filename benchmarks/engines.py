"""What the search itself costs: seconds a trial, with an objective that does nothing.

    python benchmarks/engines.py                 # 200 trials of 5 empty epochs, 2 in parallel
    python benchmarks/engines.py --trials 50 --skip-ray
    python benchmarks/engines.py --idle          # how long a free worker of Ray waits for the default sampler

"beyond start" leaves out what Ray takes until its first trial runs, which is told apart. The sampler draws at
random, so that the time is that of policy, store and engine; the rows with tpe say what suggestions add.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from automl.machine import Moment
from automl.records import Config
from automl.search import SearchSettings, search
from automl.search.control.coordinator import Coordinator
from automl.search.control.suggestions import Limit, Suggestion, Suggestions
from automl.search.engines.base import Engine
from automl.search.engines.ray.engine import RayEngine
from automl.search.engines.ray.runtime import RayRuntime
from automl.search.sampling.curve_gp.sampler import START_TRIALS
from automl.spaces import SearchSpace

SPACE = {
    "parameters": {
        "lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
        "batch_size": {"type": "categorical", "choices": [32, 64, 128]},
        "opt": {"type": "categorical", "choices": ["adamw", "sgd"]},
        "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"opt": "sgd"}},
    }
}
EPOCHS = 5


@dataclass(frozen=True)
class Row:
    """One line of the table; the target is in milliseconds a trial."""

    engine: str
    policy: str
    sampler: str
    storage: str
    target: float | None


ROWS = (
    Row("simulated", "none", "random", "memory", 10.0),
    Row("simulated", "asha", "random", "memory", 10.0),
    Row("simulated", "asha", "random", "sqlite", None),
    Row("simulated", "asha", "tpe", "memory", None),
    Row("local", "none", "random", "sqlite", None),
    Row("ray", "none", "random", "sqlite", 150.0),
    Row("ray", "asha", "random", "sqlite", 150.0),
)


def empty(config: Config) -> Iterator[dict[str, float]]:
    """Epochs that take no time."""
    for _ in range(EPOCHS):
        yield {"accuracy": config["lr"]}


def measure(row: Row, trials: int, parallel: int, engine: Engine | None) -> tuple[float, float]:
    """Seconds until the first report, and seconds after it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = SearchSettings(
            metric="accuracy",
            max_rounds=EPOCHS,
            n_trials=trials,
            parallel=parallel,
            engine=row.engine,
            policy=row.policy,
            sampler=row.sampler,
            storage=None if row.storage == "memory" else f"sqlite:///{folder}/study.db",
            directory=None if row.storage == "memory" else Path(folder),
        )
        begin, moment = time.perf_counter(), Moment.now()
        result = search(empty, SearchSpace.from_dict(SPACE), settings, engine=engine)
        total = time.perf_counter() - begin
    first = max(0.0, (result.first_report or moment).after(moment))
    return first, total - first


def sleepy(config: Config) -> Iterator[dict[str, float]]:
    """Epochs that take a while and no processor."""
    for epoch in range(1, EPOCHS + 1):
        time.sleep(0.3)
        yield {"accuracy": config["lr"] * epoch}


def idle(trials: int, parallel: int, engine: Engine, *, prefetch: bool) -> tuple[list[float], list[float]]:
    """Seconds between two trials of a worker, from the study's tables; and those that suggestions were waited for."""
    waited: list[float] = []
    take = Suggestions.take

    def timed(self: Suggestions, limit: Limit) -> Suggestion:
        begin = time.perf_counter()
        found = take(self, limit)
        waited.append(time.perf_counter() - begin)
        return found

    with tempfile.TemporaryDirectory() as folder:
        settings = SearchSettings(
            metric="accuracy",
            max_rounds=EPOCHS,
            n_trials=trials,
            parallel=parallel,
            sampler="curve-gp",
            storage=f"sqlite:///{folder}/study.db",
        )
        asking = Coordinator.prefetch if prefetch else lambda self: None
        with patch.object(Suggestions, "take", timed), patch.object(Coordinator, "prefetch", asking):
            search(sleepy, SearchSpace.from_dict(SPACE), settings, engine=engine)
        with sqlite3.connect(f"{folder}/study.db") as connection:
            rows = connection.execute("SELECT worker, started, ended FROM automl_runs ORDER BY id").fetchall()
        connection.close()
    gaps, last = [], dict[str, float]()
    for worker, started, ended in rows:
        if worker in last:
            gaps.append(started - last[worker])
        last[worker] = ended
    return gaps, waited[START_TRIALS:]


def show_idle(trials: int, parallel: int, engine: Engine) -> None:
    """Prints how long workers wait, with and without asking prefetch."""
    print(f"{trials} trials of {EPOCHS} epochs of 0.3 s under Ray, {parallel} in parallel, curve-gp")
    for prefetch in (False, True, False, True):
        gaps, waited = idle(trials, parallel, engine, prefetch=prefetch)
        name = "asked prefetch" if prefetch else "asked when needed"
        print(
            f"{name:18} waits for a suggestion {1000 * statistics.median(waited):6.1f} ms (most "
            f"{1000 * max(waited):6.1f}); between two trials {1000 * statistics.median(gaps):6.1f} ms",
            flush=True,
        )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--skip-ray", action="store_true")
    parser.add_argument("--idle", action="store_true")
    arguments = parser.parse_args()
    if arguments.idle:
        with RayRuntime(cpus=arguments.parallel) as runtime:
            show_idle(min(arguments.trials, 60), arguments.parallel, RayEngine(runtime))
        return
    print(f"{arguments.trials} trials of {EPOCHS} empty epochs, {arguments.parallel} in parallel")
    names = f"{'engine':<10} {'policy':<6} {'sampler':<7} {'storage':<7}"
    print(f"{names} {'start s':>8} {'ms a trial':>11} {'target':>7}")
    rows = [row for row in ROWS if row.engine != "ray"]
    run_rows(rows, arguments.trials, arguments.parallel, None)
    if not arguments.skip_ray:
        begin = time.perf_counter()
        with RayRuntime(cpus=arguments.parallel) as runtime:
            runtime.wait()
            print(f"(Ray itself came up in {time.perf_counter() - begin:.1f} s)")
            rows = [row for row in ROWS if row.engine == "ray"]
            run_rows(rows, arguments.trials, arguments.parallel, RayEngine(runtime))


def run_rows(rows: list[Row], trials: int, parallel: int, engine: Engine | None) -> None:
    """Measures and prints each row."""
    for row in rows:
        start, rest = measure(row, trials, parallel, engine)
        target = "" if row.target is None else f"{row.target:g}"
        cells = f"{row.engine:<10} {row.policy:<6} {row.sampler:<7} {row.storage:<7}"
        print(f"{cells} {start:8.2f} {1000 * rest / trials:11.1f} {target:>7}", flush=True)


if __name__ == "__main__":
    main()
