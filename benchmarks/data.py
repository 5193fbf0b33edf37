"""What the data path costs: the loader, the first scan and cache, the second start, and memory.

    python benchmarks/data.py [--images 20000] [--shared ../shared/data] [--only loader|scan|memory]

- loader: a training step (resnet10t, 32 px, batch 64, one thread, processor time) with augmented batches out of the
  cache, against the same step on a batch that lies in memory; the two take turns. At most 5 % more.
- scan: images a second of the first start (scan, hash, decode, resize, look for copies, write), against decoding alone
  with Pillow in a process a core (already started), from files in memory; at least 90 %. And seconds of the second
  start; at most 1.
- memory: the peak of private memory (pages of the mapped cache are shared and can be dropped) of a start and
  of a training, for 60,000 and for 4,000 images; at most 10 % more.

On cifar10.zip (60,000 of 32 px), seedlings.zip (4,042 of 128 px) and JPEGs of 256 px that are drawn here.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from automl.machine import private_memory

FEW = 4000
STEPS = 60
Row = tuple[str, str, str]


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--images", type=int, default=20_000, help="drawn JPEGs of 256 px")
    parser.add_argument("--only", choices=["loader", "scan", "memory"])
    args = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        sets = data_sets(args.shared, Path(folder), args.images, args.only)
        if args.only in (None, "loader") and "cifar10" in sets:
            rows += loader(sets["cifar10"], Path(folder))
        if args.only in (None, "scan"):
            for name, path in sets.items():
                rows += scan(name, path, Path(folder))
        if args.only in (None, "memory") and "cifar10" in sets:
            rows += memory(sets["cifar10"], Path(folder))
    print(f"\n{os.cpu_count()} cores")
    for what, value, wanted in rows:
        print(f"{what:52s} {value:>28s}   {wanted}")


def data_sets(shared: Path, folder: Path, images: int, only: str | None) -> dict[str, Path]:
    """The zips that are there, and the drawn one."""
    names = ("cifar10", "seedlings") if only in (None, "scan") else ("cifar10",)
    sets = {name: shared / f"{name}.zip" for name in names if (shared / f"{name}.zip").is_file()}
    if only in (None, "scan"):
        sets[f"{images:,} drawn"] = draw(folder / "drawn.zip", images)
    return sets


def draw(path: Path, n: int) -> Path:
    """A zip of `n` JPEGs of 256 px, as large and as slow to decode as photographs of that size."""
    rng = np.random.default_rng(0)
    texture = rng.integers(-30, 31, (512, 512, 3))
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(n):
            coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            top, left = rng.integers(0, 256, 2)
            pixels = np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC)).astype(int)
            pixels = np.clip(pixels + texture[top : top + 256, left : left + 256], 0, 255)
            buffer = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=85)
            archive.writestr(f"{i % 10}/{i:06d}.jpg", buffer.getvalue())
    return path


def loader(path: Path, folder: Path) -> list[Row]:
    """The share that gathering, augmenting and normalising a batch adds to a training step."""
    found = child("loader", path, folder / "cache-loader")
    share = f"{100 * (found['cached'] / found['memory'] - 1):+.1f} %"
    step = f"{1000 * found['memory']:.1f} ms -> {1000 * found['cached']:.1f} ms"
    return [
        ("loader: a step, in memory -> from the cache", step, ""),
        ("loader: more than in memory", share, "<= 5 %"),
    ]


def scan(name: str, path: Path, folder: Path) -> list[Row]:
    """First and second start against decoding alone, each in a new process; the better of two first starts."""
    alone = max(child("decode", path, folder)["rate"] for _ in range(2))
    firsts = [child("prepare", path, folder / f"cache-{name}-{k}") for k in range(2)]
    rate = max(found["n"] / found["seconds"] for found in firsts)
    second = child("prepare", path, folder / f"cache-{name}-0")
    return [
        (f"{name}: decoding alone, images/s", f"{alone:,.0f}", ""),
        (f"{name}: first start, images/s", f"{rate:,.0f} ({100 * rate / alone:.0f} %)", ">= 90 %"),
        (f"{name}: second start", f"{second['seconds']:.2f} s", "<= 1 s"),
    ]


def memory(path: Path, folder: Path) -> list[Row]:
    """Peaks for all images and for few."""
    few = folder / "few.zip"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(few, "w") as out:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        for name in names[:: len(names) // FEW]:
            out.writestr(name, archive.read(name))
    rows = []
    for what in ("driver", "trial"):
        small, large = (child(what, zip_, folder / f"memory-{zip_.stem}")["peak_mb"] for zip_ in (few, path))
        value = f"{small:.0f} MB -> {large:.0f} MB ({100 * (large / small - 1):+.0f} %)"
        rows.append((f"memory: {what}, {FEW:,} -> all images", value, "<= +10 %"))
    return rows


def child(what: str, path: Path, cache: Path) -> dict[str, Any]:
    """Run one measurement in a process of its own."""
    code = f"import data; data.measure({what!r}, {str(path)!r}, {str(cache)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(what, path.name, found, file=sys.stderr, flush=True)
    return found


def measure(what: str, path: str, cache: str) -> None:
    """What a child does; prints its findings as JSON."""
    if what == "decode":
        print(json.dumps({"rate": decode_alone(Path(path))}))
        return
    kept = Path(cache) / "splits.pickle"  # as an engine hands them to a worker
    with peak() as found:
        if what in ("driver", "trial", "loader"):
            import automl.pipeline.fit  # noqa: F401  # what the process of a study has loaded by then
        if what == "trial":
            train(pickle.loads(kept.read_bytes()))
        else:
            splits = start(path, Path(cache), found)
            kept.write_bytes(pickle.dumps(splits))
            if what == "loader":
                found |= compare_steps(splits)
    print(json.dumps(found))


def start(path: str, cache: Path, found: dict[str, Any]) -> Any:
    """What a study does before its first trial; notes images and seconds in `found`."""
    from automl.data import open_source, prepare_data

    began = time.perf_counter()
    source = open_source(path)
    prepared = prepare_data(source, cache_dir=cache, study_dir=cache / "study", max_size=96)
    found |= {"n": len(source.files), "seconds": time.perf_counter() - began}
    source.close()
    return prepared.splits


@contextmanager
def peak() -> Iterator[dict[str, Any]]:
    """Fills in `peak_mb`, the largest private memory while it is open, looked at every 10 ms."""
    found: dict[str, Any] = {"peak_mb": 0.0}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            found["peak_mb"] = max(found["peak_mb"], private_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def private_mb() -> float:
    """Private memory of this process."""
    return private_memory() / 2**20


def decode_alone(path: Path) -> float:
    """Images a second of Pillow on all cores, a process each, into RGB at full size, from bytes in memory."""
    with zipfile.ZipFile(path) as archive:
        files = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    cores = len(os.sched_getaffinity(0))

    def decode(part: list[bytes], ready: Any, go: Any) -> None:
        ready.release()
        go.wait()
        for data in part:
            Image.open(io.BytesIO(data)).convert("RGB")

    fork = multiprocessing.get_context("fork")  # they have the bytes by then; nothing else runs here
    ready, go = fork.Semaphore(0), fork.Event()
    processes = [fork.Process(target=decode, args=(files[k::cores], ready, go)) for k in range(cores)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    start = time.perf_counter()
    go.set()
    for process in processes:
        process.join()
    return len(files) / (time.perf_counter() - start)


def trainer(splits: Any) -> Any:
    """A trainer of a small network."""
    from automl.training.plan import TrainPlan
    from automl.training.trainer import Trainer

    config = {
        "model": "resnet10t",
        "upscale": 1.0,
        "opt": "adamw",
        "lr": 4e-3,
        "batch_size": 64,
        "augment": 0.5,
        "hflip": True,
    }
    return Trainer(config, splits.info, splits.train, TrainPlan(1, "accuracy", "max"))


def train(splits: Any) -> None:
    """Every training image through the loader; some steps, the memory of which is that of all."""
    training = trainer(splits)
    for number, (images, targets) in enumerate(training.batches.epoch(0)):
        if number < STEPS:
            training.train_step(images, targets)


def compare_steps(splits: Any) -> dict[str, float]:
    """Processor seconds of a step on a batch in memory, and on one that the loader makes, taking turns."""
    training = trainer(splits)
    kept = list(itertools.islice(training.batches.epoch(0), 8))
    made = training.batches.epoch(1)
    seconds = {"memory": 0.0, "cached": 0.0}
    for number in range(STEPS + 5):
        for kind in seconds:
            start = time.thread_time()
            images, targets = kept[number % len(kept)] if kind == "memory" else next(made)
            training.train_step(images, targets)
            if number >= 5:  # the first steps also pay for allocations
                seconds[kind] += (time.thread_time() - start) / STEPS
    return seconds


if __name__ == "__main__":
    main()
