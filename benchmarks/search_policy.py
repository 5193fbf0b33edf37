"""How good the search is for its time, on recorded surrogates of learning curves.

The objective is LCBench (neural networks on tables, 7 hyperparameters, 52 epochs) as YAHPO Gym's surrogate predicts it;
nothing is trained. `automl.tune(engine="simulated")` searches with as many virtual seconds as a number of full-length
trials take. Regret is (best - value) / (best - median) of the incumbent's value at its full length, from 0 (best known)
to 1 (a median random configuration).

With `--rows` the values scatter as accuracies on so many validation rows do. `+judged` after a policy tells the search
how much that is, and the trivial answer (an accuracy that a quarter of random configurations have not exceeded after
one epoch): see automl/search/policy/significance.py.

Run: python benchmarks/search_policy.py [--seeds 3] [--workers 1,4] [--searches curve-gp+asha,tpe+stop-asha,random+none]
    [--reference results.csv --paired] [--rows 200 --searches curve-gp+auto,curve-gp+auto+judged]
It needs `pip install onnxruntime` and the folder of the surrogate: --data, by default ../shared/search_policy.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

DATA = Path(__file__).resolve().parents[2] / "shared" / "search_policy"
SEARCHES = "curve-gp+asha,tpe+stop-asha,random+none"
NAMES = ("batch_size", "lr", "momentum", "weight_decay", "layers", "units", "dropout")
SPACE: dict[str, Any] = {
    "parameters": {
        "batch_size": {"type": "int", "low": 16, "high": 512, "log": True},
        "lr": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "momentum": {"type": "float", "low": 0.1, "high": 0.99},
        "weight_decay": {"type": "float", "low": 1e-5, "high": 1e-1},
        "layers": {"type": "int", "low": 1, "high": 5},
        "units": {"type": "int", "low": 64, "high": 1024, "log": True},
        "dropout": {"type": "float", "low": 0.0, "high": 1.0},
    }
}
WANTED = {1: {5.0: 0.36, 10.0: 0.24, 20.0: 0.17}, 4: {5.0: 0.19, 10.0: 0.12}}


@dataclass(frozen=True)
class Task:
    """One search on one data set. `budgets` are in mean full-length trials of a worker."""

    search: str
    instance: str
    seed: int
    workers: int
    budgets: tuple[float, ...]
    data: Path
    skip: int = 0
    rows: int = 0


def main() -> None:
    options = _options()
    surrogate = load_surrogate(options.data)
    tasks = [
        Task(
            search,
            instance,
            seed,
            workers,
            options.budgets or budgets_of(workers),
            options.data,
            options.skip_epochs,
            options.rows,
        )
        for workers in options.workers
        for search in options.searches.split(",")
        for seed in range(options.seeds)
        for instance in surrogate.INSTANCES[: options.sets]
    ]
    start = time.perf_counter()
    with ProcessPoolExecutor(options.processes) as pool:
        rows = [row for found in pool.map(run, tasks) for row in found]
    searches = options.searches.split(",")
    if options.reference:
        other = referred(options.reference, rows, surrogate)
        rows += other
        searches += sorted({row["search"] for row in other})
    best: dict[str, float] = {}
    for row in rows:
        best[row["instance"]] = max(best.get(row["instance"], row["best"]), row["value"])
    for row in rows:
        top = best[row["instance"]]
        row["regret"] = float(np.clip((top - row["value"]) / (top - row["median"]), 0.0, 1.0))
    if options.out:
        write(rows, options.out)
    show(rows, options.workers, searches)
    if options.paired:
        paired(rows, options.workers, searches)
    print(f"{len(tasks)} searches in {time.perf_counter() - start:.0f} s")


def budgets_of(workers: int) -> tuple[float, ...]:
    """One worker gets up to 20 full trials' time, four get 10 each."""
    return (2.0, 5.0, 10.0, 20.0) if workers == 1 else (2.0, 5.0, 10.0)


def run(task: Task) -> list[dict[str, Any]]:
    """The incumbent's full-length value at each budget of one search."""
    from automl.search import SearchSettings, search
    from automl.search.policy.significance import judged_again
    from automl.search.result import reports_frame
    from automl.spaces import SearchSpace

    surrogate = load_surrogate(task.data)
    problem = surrogate.Problem(task.instance)
    sampler, policy, *judged = task.search.split("+")
    objective = Objective(surrogate, task.instance, task.skip, task.rows, task.seed)
    source: dict[str, Any] = {
        "metric": "accuracy",
        "mode": "max",
        "rows": task.rows,
        "train_rows": 1,
        "class_rows": "",
    }
    settings = SearchSettings(
        metric="accuracy",
        max_rounds=surrogate.MAXE - task.skip,
        time_limit=max(task.budgets) * problem.mean_full,
        parallel=task.workers,
        engine="simulated",
        policy=policy,
        sampler=sampler,
        seed=task.seed * 1000 + surrogate.INSTANCES.index(task.instance),
        significance=judged_again({**source, "trivial": objective.trivial}) if judged else None,
    )
    cpu = time.process_time()
    found = search(objective, SearchSpace.from_dict(SPACE), settings)
    cpu = time.process_time() - cpu
    params = {trial.number: trial.config for trial in found.trials}
    reports = reports_frame(found.trials)
    rows = []
    for budget in task.budgets:
        seen = reports[reports.time <= budget * problem.mean_full]
        value = -np.inf
        if len(seen):
            winner = int(seen.loc[seen.value.idxmax()].number)
            value = objective.curve(params[winner]).true_final()
        rows.append(
            {
                "search": task.search,
                "workers": task.workers,
                "instance": task.instance,
                "seed": task.seed,
                "budget": budget,
                "value": value,
                "median": problem.median,
                "best": problem.best,
                "trials": len(found.trials),
                "cpu": cpu,
            }
        )
    return rows


def referred(path: Path, rows: list[dict[str, Any]], surrogate: ModuleType) -> list[dict[str, Any]]:
    """What the laboratory's own run.py wrote of the searches (data set, seed, workers, budget) that were run here."""
    here = {(row["instance"], row["seed"], row["workers"], row["budget"]) for row in rows}
    found = []
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            key = line["instance"], int(line["seed"]), int(line["W"]), float(line["budget"])
            if key in here:
                problem = surrogate.Problem(line["instance"])
                numbers = {"value": float(line["final"]), "median": problem.median, "best": problem.best}
                cost = {"trials": int(line["trials"]), "cpu": float(line["cpu"])}
                names = dict(zip(("instance", "seed", "workers", "budget"), key, strict=True))
                found.append({"search": line["policy"], **names, **numbers, **cost})
    return found


class Objective:
    """A training loop that looks its epochs up. The first `skip` are left out, as if weights were fine-tuned that had
    been trained for so long: early epochs then rank configurations well. With `rows` each value has the error of an
    accuracy on so many rows, half of it the configuration's (the rows are the same ones), half the epoch's.
    """

    def __init__(
        self, surrogate: ModuleType, instance: str, skip: int = 0, rows: int = 0, seed: int = 0
    ) -> None:
        self._surrogate = surrogate
        self._instance = instance
        self._skip = skip
        self._rows, self._seed = rows, seed
        self.trivial = float(np.percentile(surrogate.Problem(instance).A[:, skip], 25)) / 100

    def __call__(self, config: Mapping[str, Any]) -> Iterator[dict[str, float]]:
        curve = self.curve(config)
        before = 0.0
        drawn = np.random.default_rng([self._seed, *(unit(config) * 2**30).astype(int)])
        own, errors = drawn.standard_normal(), drawn.standard_normal(self._surrogate.MAXE)
        for epoch in range(1, self._surrogate.MAXE + 1):
            curve.upto(epoch)
            if epoch > self._skip:
                seconds = float(curve.cum[epoch - 1] - before)
                p = float(np.clip(curve.acc[epoch - 1] / 100, 0.0, 1.0))
                if self._rows:
                    scatter = (own + errors[epoch - 1]) / np.sqrt(2)
                    p += float(np.sqrt(p * (1.0 - p) / self._rows) * scatter)
                yield {"accuracy": p, "seconds": seconds}
            before = curve.cum[epoch - 1]

    def curve(self, config: Mapping[str, Any]) -> Any:
        return self._surrogate.Curve(self._instance, unit(config))


def unit(config: Mapping[str, Any]) -> np.ndarray:
    """The surrogate's own point of the unit cube for a configuration."""
    values = [float(config[name]) for name in NAMES]
    return np.array(
        [
            np.log(values[0] / 16) / np.log(32),
            np.log(values[1] / 1e-4) / np.log(1e3),
            (values[2] - 0.1) / 0.89,
            (values[3] - 1e-5) / (0.1 - 1e-5),
            (values[4] - 0.5) / 5,
            np.log(values[5] / 64) / np.log(16),
            values[6],
        ]
    )


def load_surrogate(data: Path) -> ModuleType:
    """The surrogate's module, with its pool of random configurations kept in the temporary folder."""
    if "surrogate" in sys.modules:
        return sys.modules["surrogate"]
    spec = importlib.util.spec_from_file_location("surrogate", data / "surrogate.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"no surrogate.py in {data}: give its folder as --data")
    module = importlib.util.module_from_spec(spec)
    sys.modules["surrogate"] = module
    spec.loader.exec_module(module)
    module.pool(str(Path(tempfile.gettempdir()) / "automl-search-policy" / "pool.npz"))
    return module


def shown_budgets(rows: list[dict[str, Any]], workers: int) -> list[float]:
    """The budgets that were run with so many workers."""
    return sorted({row["budget"] for row in rows if row["workers"] == workers})


def paired(rows: list[dict[str, Any]], workers: list[int], searches: list[str]) -> None:
    """Mean difference of each search to the first over the same data sets and seeds, with its standard error."""
    known = {
        (row["search"], row["workers"], row["budget"], row["instance"], row["seed"]): row["regret"]
        for row in rows
    }
    for count in workers:
        for search in searches[1:]:
            cells = []
            for budget in shown_budgets(rows, count):
                off = [
                    regret - known[searches[0], *rest]
                    for (name, *rest), regret in known.items()
                    if name == search and rest[:2] == [count, budget]
                ]
                same = sum(one == 0.0 for one in off)
                error = np.std(off, ddof=1) / np.sqrt(len(off))
                cells.append(f"{np.mean(off):+.3f} +- {error:.3f} ({same} of {len(off)} equal)")
            print(f"  {count} workers, {search} minus {searches[0]}: " + " / ".join(cells))


def show(rows: list[dict[str, Any]], workers: list[int], searches: list[str]) -> None:
    """Mean regret over data sets and seeds, and on how many sets the first search is better."""
    for count in workers:
        budgets = shown_budgets(rows, count)
        print(
            f"\n{count} worker{'s' if count > 1 else ''}: mean regret at "
            + " / ".join(f"{b:g}" for b in budgets)
        )
        for search in searches:
            mine = [row for row in rows if row["workers"] == count and row["search"] == search]
            means = [np.mean([row["regret"] for row in mine if row["budget"] == b]) for b in budgets]
            trials = np.mean([row["trials"] for row in mine])
            cost = 1000 * np.mean([row["cpu"] / row["trials"] for row in mine])
            text = " / ".join(f"{mean:.3f}" for mean in means)
            print(f"  {search:24} {text}   {trials:.0f} trials, {cost:.0f} ms a trial")
        wanted = WANTED.get(count, {})
        print(
            "  wanted                   " + " / ".join(f"{wanted.get(b, float('nan')):.3f}" for b in budgets)
        )
        for other in searches[1:]:
            print(f"  {searches[0]} better than {other} on: " + versus(rows, count, searches[0], other))


def versus(rows: list[dict[str, Any]], workers: int, one: str, other: str) -> str:
    """Data sets won, by mean regret over seeds, at each budget."""
    text = []
    for budget in shown_budgets(rows, workers):
        means: dict[tuple[str, str], list[float]] = {}
        for row in rows:
            if row["workers"] == workers and row["budget"] == budget:
                means.setdefault((row["instance"], row["search"]), []).append(row["regret"])
        instances = sorted({instance for instance, _ in means})
        wins = sum(np.mean(means[i, one]) < np.mean(means[i, other]) for i in instances)
        text.append(f"{wins}/{len(instances)}")
    return " / ".join(text)


def write(rows: list[dict[str, Any]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--workers", type=lambda text: [int(part) for part in text.split(",")], default=[1, 4]
    )
    parser.add_argument("--searches", default=SEARCHES, help="SAMPLER+POLICY[+judged], with commas")
    parser.add_argument("--sets", type=int, default=17, help="how many of the data sets")
    parser.add_argument("--budgets", type=lambda text: tuple(float(part) for part in text.split(",")))
    parser.add_argument("--skip-epochs", type=int, default=0, help="as if fine-tuned: see Objective")
    parser.add_argument(
        "--rows", type=int, default=0, help="validation rows (default: values do not scatter)"
    )
    parser.add_argument("--paired", action="store_true", help="also differences to the first search")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--reference", type=Path, help="a CSV file of run.py in --data, to compare with")
    parser.add_argument("--out", type=Path, help="a CSV file for all values")
    return parser.parse_args()


if __name__ == "__main__":
    main()
