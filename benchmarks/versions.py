"""Whether this version got slower than an earlier one: both in turns, in one run.

    git worktree add ../before COMMIT
    python -m benchmarks.versions --before ../before [--rounds 5] [--data FOLDER] [--skip-ray]

Each measurement is made in a process of its own, by each version in turn; the table has medians and the ratio of the
medians. Target: at most 1.05.

- import, help: `import automl` and `automl --help`, less what starting Python takes.
- trial: a trial of five empty epochs of `automl.tune` with SQLite, of 200 on the local engine, and under Ray. There the
  seconds of 20 trials are taken off those of 220, so start-up does not count.
- open: find the classes in a folder of 50,000 images in 20 class folders, without reading one.
- scan: what a study of seedlings does to its images before the first trial, with an empty cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

TUNE = """
import logging, sys, tempfile, time
from automl.search.tune import tune
logging.disable(logging.WARNING)
def empty(config):
    for epoch in range(5):
        yield {{"accuracy": config["lr"]}}
space = {{"parameters": {{"lr": {{"type": "float", "low": 1e-5, "high": 0.1, "log": True}}}}}}
def seconds(trials):
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        tune(empty, space, metric="accuracy", max_epochs=5, n_trials=trials, parallel=2, engine="{engine}",
             sampler="random", storage=f"sqlite:///{{folder}}/study.db")
        return time.perf_counter() - begun
if __name__ == "__main__":
    seconds(2)  # with imports
    few = seconds(20)
    print(seconds(200) / 200 if "{engine}" == "local" else (seconds(220) - few) / 200)
"""
SCAN = """
import sys, tempfile, time
from pathlib import Path
from automl.data import open_source, prepare_data
if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        source = open_source("{zip}")
        prepare_data(source, cache_dir=Path(folder) / "cache", study_dir=Path(folder) / "study", max_size=96)
        print(time.perf_counter() - begun)
"""
OPEN = """
import os, tempfile, time
from pathlib import Path
from PIL import Image
from automl.data import open_source
if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        Image.new("RGB", (8, 8)).save(Path(folder) / "one.png")
        for label in range(20):
            (Path(folder) / f"data/class_{{label:02}}").mkdir(parents=True)
            for k in range(2500):
                os.link(f"{{folder}}/one.png", f"{{folder}}/data/class_{{label:02}}/{{k:05}}.png")
        open_source(f"{{folder}}/data").close()  # with imports
        begun = time.perf_counter()
        source = open_source(f"{{folder}}/data")
        print(time.perf_counter() - begun)
        assert len(source.files) == 50_000
"""


def main() -> None:
    """Measure in turns, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(__file__).parents[1]
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the earlier version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--skip-ray", action="store_true")
    args = parser.parse_args()
    if not (args.before / "automl" / "__init__.py").is_file():
        sys.exit(f"{args.before} is not a checkout of automl")
    codes = {"trial, local": TUNE.format(engine="local"), "trial, Ray": TUNE.format(engine="ray")}
    if args.skip_ray:
        del codes["trial, Ray"]
    codes["open 50,000 files"] = OPEN.format()
    if (seedlings := args.data / "seedlings.zip").is_file():
        codes["scan of seedlings"] = SCAN.format(zip=seedlings)
    versions = {"before": args.before.resolve(), "now": here}
    found: dict[str, dict[str, list[float]]] = {}
    for turn in range(args.rounds):
        order = list(versions) if turn % 2 == 0 else list(reversed(versions))
        for version in order:
            for name, value in measured(versions[version], codes).items():
                found.setdefault(name, {}).setdefault(version, []).append(value)
        print(f"round {turn + 1} of {args.rounds}", file=sys.stderr, flush=True)
    print(f"{'seconds, median':20} {'before':>9} {'now':>9} {'ratio':>7}")
    for name, values in found.items():
        before, now = median(values["before"]), median(values["now"])
        print(f"{name:20} {before:9.4f} {now:9.4f} {now / before:7.3f}")


def measured(package: Path, codes: dict[str, str]) -> dict[str, float]:
    """Return the seconds of every measurement, once, of one version."""
    empty = taken(package, "-c", "pass")
    values = {
        "import automl": taken(package, "-c", "import automl") - empty,
        "automl --help": taken(package, "-m", "automl", "--help") - empty,
    }
    with tempfile.TemporaryDirectory() as folder:  # a file, as Ray's workers read the objective by its module
        for number, (name, code) in enumerate(codes.items()):
            script = Path(folder) / f"measure_{number}.py"
            script.write_text(code)
            values[name] = float(run(package, str(script)).splitlines()[-1])
    return values


def taken(package: Path, *arguments: str) -> float:
    """Return the median seconds of seven runs."""
    seconds = []
    for _ in range(7):
        begun = time.perf_counter()
        run(package, *arguments)
        seconds.append(time.perf_counter() - begun)
    return median(seconds)


def run(package: Path, *arguments: str) -> str:
    """Return what Python prints with this version of the package."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(package)},
        cwd=tempfile.gettempdir(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{package}: {done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
