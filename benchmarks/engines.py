"""What the search itself costs: seconds a trial, with an objective that does nothing.

    python benchmarks/engines.py                 # 200 trials of 5 empty epochs, 2 in parallel
    python benchmarks/engines.py --trials 50 --skip-ray

"beyond start" leaves out what Ray takes until its first trial runs, which is told apart. The sampler draws at
random, so that the time is that of policy, store and engine; the rows with tpe say what suggestions add.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from automl.records import Config
from automl.search import SearchSettings, search
from automl.search.engines.base import Engine
from automl.search.engines.ray_engine import RayEngine
from automl.search.engines.ray_runtime import RayRuntime
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
            max_epochs=EPOCHS,
            n_trials=trials,
            parallel=parallel,
            engine=row.engine,
            policy=row.policy,
            sampler=row.sampler,
            storage=None if row.storage == "memory" else f"sqlite:///{folder}/study.db",
            directory=None if row.storage == "memory" else Path(folder),
        )
        begin, moment = time.perf_counter(), time.time()
        result = search(empty, SearchSpace.from_dict(SPACE), settings, engine=engine)
        total = time.perf_counter() - begin
    first = max(0.0, (result.first_report or moment) - moment)
    return first, total - first


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--skip-ray", action="store_true")
    arguments = parser.parse_args()
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
