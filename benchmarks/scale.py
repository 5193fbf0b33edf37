"""How large a study may be: `python -m benchmarks.scale` (quick); `--full` has the sizes that are promised.

A study of the simulated engine with 1,000 workers in SQLite and in PostgreSQL, then what people and samplers do with
it; and real tiny trials under Ray. Each figure stands beside its bound; the exit status is 1 if one misses.
PostgreSQL is a throwaway server of this benchmark, left out where Debian's package is missing.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.samplers import BaseSampler

from automl.machine import resident_memory
from automl.records import Config, Silent, TrialEvent, TrialState
from automl.search import SearchSettings, search
from automl.search.sampling.registry import SamplerContext, make_sampler
from automl.search.storage.fingerprint import fingerprint
from automl.search.storage.sql.database import open_database
from automl.search.storage.store import Store
from automl.spaces import SearchSpace
from tests.postgres_server import binaries, serve

SPACE = {
    "parameters": {
        "lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True},
        "opt": {"type": "categorical", "choices": ["sgd", "momentum", "adamw"]},
        "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"opt": ["sgd", "momentum"]}},
        "weight_decay": {"type": "float", "low": 1e-6, "high": 1e-1, "log": True},
        "batch_size": {"type": "categorical", "choices": [32, 64, 128]},
        "mixup": {"type": "float", "low": 0.0, "high": 0.8},
        "layers": {"type": "int", "low": 1, "high": 5},
    }
}
EPOCHS = 18
NAME = "large"


def curve(config: Config) -> Iterator[dict[str, float]]:
    """A learning curve that follows from the configuration; an epoch takes a virtual second or so."""
    height = (
        0.9 - 0.05 * (math.log10(config["lr"]) + 3) ** 2 - 0.1 * config["mixup"] + 0.01 * config["layers"]
    )
    epoch = 0
    while True:
        epoch += 1
        yield {"accuracy": height * (1 - 0.7**epoch), "seconds": 1 + config["mixup"]}


class Figures:
    """Prints figures as they come, and counts those beyond their bounds."""

    def __init__(self) -> None:
        self.missed = 0

    def tell(self, name: str, value: float, unit: str, *, most: float = math.inf, least: float = 0.0) -> None:
        """One line; a missed bound is marked."""
        missed = not least <= value <= most
        self.missed += missed
        bound = f"(at most {most:g})" if most < math.inf else f"(at least {least:g})" if least else ""
        print(f"{name:<52}{value:>10.1f} {unit:<10} {bound} {'MISSED' if missed else ''}", flush=True)


def settings_of(url: str, trials: int, workers: int, **changes: Any) -> SearchSettings:
    """A simulated search at random points: what is measured is the search itself. The rungs are those of `asha`, which
    do not move, so that figures of different versions are of the same trials.
    """
    common: dict[str, Any] = {"sampler": "random", "policy": "asha", "engine": "simulated", "study": NAME}
    return SearchSettings(
        metric="accuracy",
        max_rounds=EPOCHS,
        n_trials=trials,
        parallel=workers,
        storage=url,
        **{**common, **changes},
    )


def build(url: str, trials: int, workers: int) -> dict[str, float]:
    """Runs the search in a process of its own, whose memory is its own too."""
    command = [sys.executable, "-m", "benchmarks.scale", "--build", url, str(trials), str(workers)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def build_here(url: str, trials: int, workers: int) -> None:
    """What `build` starts: prints seconds, reports and the most memory (bytes) as JSON."""
    begun = time.perf_counter()
    found = search(curve, SearchSpace.from_dict(SPACE), settings_of(url, trials, workers))
    seconds = time.perf_counter() - begun
    reports = sum(len(trial.reports) for trial in found.trials)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "reports": reports, "memory": memory}))


def suggestion_ms(url: str, sampler: str) -> float:
    """Milliseconds for a suggestion in the study as it is, written down included: the mean of twelve."""
    space = SearchSpace.from_dict(SPACE)

    def make(count: int) -> BaseSampler:
        return make_sampler(sampler, SamplerContext(count, space.suggest, EPOCHS))

    store = Store.open(url, NAME, fingerprint=fingerprint(space, settings_of(url, 1, 1)), make_sampler=make)
    try:
        store.adopt(
            store.draw(space.suggest), time=0.0, origin="sampler"
        )  # the first of a run also reads the study
        begun = time.perf_counter()
        for _ in range(12):
            store.adopt(store.draw(space.suggest), time=0.0, origin="sampler")
        return 1e3 * (time.perf_counter() - begun) / 12
    finally:
        store.close()


def leaderboard_s(url: str, folder: Path) -> float:
    """Seconds that `automl leaderboard` takes, start of Python included."""
    (folder / NAME).mkdir(exist_ok=True)
    (folder / NAME / "study.yaml").write_text(
        f"data: digits\nstudy: {NAME}\nstorage: {url}\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "automl", "leaderboard", NAME, "--directory", str(folder)]
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def dashboard_s(url: str) -> float:
    """Seconds until the first page of the study has its data, in a dashboard that has just started."""
    from automl.cli.commands.dashboard import _application
    from automl.cli.dashboard_server import listen

    database = open_database(url)
    study_id = database.optuna.get_study_id_from_name(NAME)
    database.close()
    with listen(_application(url), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            begun = time.perf_counter()
            for path in ("dashboard/", "api/studies", f"api/studies/{study_id}?after=0"):
                with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{path}") as answer:
                    answer.read()
            return time.perf_counter() - begun
        finally:
            server.shutdown()
            thread.join()


def measure(figures: Figures, kind: str, url: str, folder: Path, trials: int) -> None:
    """All figures of one large study in one database."""
    found = build(url, trials, 1_000)
    size = f"{kind}, {trials:,} trials"
    figures.tell(
        f"{size}: reports with 1,000 workers", found["reports"] / found["seconds"], "a second", least=1_000
    )
    figures.tell(f"{size}: memory of the driver", found["memory"] / 2**20, "MiB", most=1_000)
    figures.tell(f"{size}: a suggestion of curve-gp", suggestion_ms(url, "curve-gp"), "ms", most=100)
    figures.tell(f"{size}: a suggestion of tpe", suggestion_ms(url, "tpe"), "ms")
    figures.tell(f"{size}: automl leaderboard", leaderboard_s(url, folder), "s", most=2)
    figures.tell(f"{size}: dashboard page", dashboard_s(url), "s", most=5)


class Growth(Silent):
    """Measures this process and /tmp after a tenth of the trials and at the end."""

    def __init__(self, trials: int) -> None:
        self.trials = trials
        self.ended: set[int] = set()
        self.seen: list[tuple[float, float]] = []

    def trial(self, event: TrialEvent) -> None:
        """Called at each event of a trial."""
        before = len(self.ended)
        if event.state is TrialState.COMPLETE:
            self.ended.add(event.trial)
        if len(self.ended) > before and len(self.ended) in (self.trials // 10, self.trials):
            self.seen.append((_resident(), shutil.disk_usage("/tmp").used))


def tiny(config: Config) -> Iterator[dict[str, float]]:
    """Three epochs of next to nothing, in a real process."""
    for epoch in range(3):
        yield {"accuracy": config["lr"] * epoch}


def measure_ray(figures: Figures, folder: Path, trials: int) -> None:
    """Real trials: what they leave in memory and on the disk."""
    growth = Growth(trials)
    url = f"sqlite:///{folder}/ray.db"
    settings = SearchSettings(
        metric="accuracy",
        max_rounds=3,
        n_trials=trials,
        parallel=2,
        storage=url,
        directory=folder / "ray",
        sampler="random",
        policy="none",
    )
    begun = time.perf_counter()
    search(tiny, SearchSpace.from_dict(SPACE), settings, growth)
    figures.tell(f"ray, {trials} trials: the whole search", time.perf_counter() - begun, "s")
    (memory, disk), (memory_end, disk_end) = growth.seen[0], growth.seen[-1]
    figures.tell(f"ray, {trials} trials: memory of the driver", memory_end / 2**20, "MiB")
    figures.tell(
        f"ray, {trials} trials: its growth from a tenth on", 100 * (memory_end / memory - 1), "%", most=10
    )
    figures.tell(f"ray, {trials} trials: growth of /tmp", (disk_end - disk) / 1e6, "MB", most=100)


def _resident() -> float:
    return float(resident_memory())


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="10,000 trials a study and 500 under Ray")
    parser.add_argument("--trials", type=int, help="trials of the large study")
    parser.add_argument("--skip", nargs="*", default=[], choices=["sqlite", "postgres", "ray"])
    parser.add_argument("--build", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.build:
        build_here(arguments.build[0], int(arguments.build[1]), int(arguments.build[2]))
        return
    figures, trials = Figures(), arguments.trials or (10_000 if arguments.full else 2_000)
    with tempfile.TemporaryDirectory(prefix="automl-scale-", dir=Path.cwd()) as name:
        folder = Path(name)
        if "sqlite" not in arguments.skip:
            measure(figures, "sqlite", f"sqlite:///{folder}/large.db", folder, trials)
        if "postgres" not in arguments.skip and binaries() is not None:
            with serve() as server:
                measure(figures, "postgres", server.create_database("large"), folder, trials)
        if "ray" not in arguments.skip:
            measure_ray(figures, folder, 500 if arguments.full else 50)
    sys.exit(1 if figures.missed else 0)


if __name__ == "__main__":
    main()
