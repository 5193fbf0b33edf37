"""What a GPU shows: precisions, recorded batches, several trials on one GPU, a whole fit.

    python -m benchmarks.gpu [--only precision,packing,fit] [--zip ../shared/data/cifar10.zip]
        [--time-limit 60] [--shares 1,auto] [--seconds 2] [--precisions fp32,bf16,fp16] [--processes 1,2,4,8]
        [--options "--engine local --space cpu"]

- precision: images a second of training four networks in fp32, bf16 and fp16, the memory that each takes, the same
  without recorded gradients, and a bare loop (forward, loss, backward, step on one batch in memory, no augmentation).
- packing: so many processes train the same network on one GPU at once; images a second of all of them.
- fit: the whole command on `--zip`, once for each of the `--shares` of a GPU that a trial gets; with more `--options`.

Pictures of the first two are noise, because only their number and size matter.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from automl.records import Config, DatasetInfo, Rows, SearchSplits

Row = tuple[str, str]
RECIPE: Config = {
    "opt": "adamw", "lr": 1e-3, "weight_decay": 0.02, "augment": 0.5, "hflip": True, "label_smoothing": 0.1,
    "mixup": 0.0, "drop_path": 0.0, "ema": 0.99, "upscale": 1.0,
}  # fmt: skip
SMALL: Config = {**RECIPE, "model": "resnet10t", "width": 0.5, "upscale": 1.5, "batch_size": 64}
NETWORKS: dict[str, tuple[Config, int]] = {
    "resnet10t/2 48 px": (SMALL, 32),
    "resnet50 224 px": ({**RECIPE, "model": "resnet50", "batch_size": 64}, 224),
    "convnext_tiny 224 px": ({**RECIPE, "model": "convnext_tiny", "batch_size": 64}, 224),
    "vit_small 224 px": ({**RECIPE, "model": "vit_small_patch16_224", "batch_size": 64}, 224),
}
WARM = 8  # steps that also pay for allocations and the choice of kernels
MIB = 1 << 20


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).parents[2] / "shared" / "data" / "cifar10.zip"
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--zip", type=Path, default=default)
    parser.add_argument("--time-limit", type=int, default=60)
    parser.add_argument("--shares", default="1,auto")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement of the first two")
    parser.add_argument("--precisions", default="fp32,bf16,fp16")
    parser.add_argument("--processes", default="1,2,4,8")
    parser.add_argument("--options", default="", help="more of them for the whole command")
    parser.add_argument("--device", default="cuda", help="cpu tries the command itself out")
    args = parser.parse_args()
    rows: list[Row] = []
    for name in args.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            for row in PARTS[name](args, Path(folder)):
                print(*row, file=sys.stderr, flush=True)
                rows.append(row)
    print(f"\n{machine(args.device)}")
    for what, value in rows:
        print(f"{what:36s} {value}")


def machine(device: str) -> str:
    """What all of this was measured on."""
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else device
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}"


def noise(folder: Path, *, n: int, size: int) -> SearchSplits:
    """Splits of `n` training pictures of noise and 64 for validation, in ten classes."""
    place = folder / f"{n}-{size}"
    rows = [
        Rows(place / "images.npy", place / "targets.npy", place / f"{part}.npy", k)
        for part, k in (("train", n), ("val", 64))
    ]
    if not place.exists():
        place.mkdir()
        rng = np.random.default_rng(0)
        np.save(place / "images.npy", rng.integers(0, 256, (n + 64, size, size, 3), dtype=np.uint8))
        np.save(place / "targets.npy", np.arange(n + 64) % 10)
        np.save(place / "train.npy", np.arange(n))
        np.save(place / "val.npy", np.arange(n, n + 64))
    info = DatasetInfo(
        name="noise", task="classification", classes=tuple("0123456789"), in_chans=3, img_size=size,
        mean=(0.5,) * 3, std=(0.3,) * 3, class_counts=(n // 10,) * 10, fingerprint="noise",
        n_train=n, n_val=64, n_holdout=0, n_skipped=0,
    )  # fmt: skip
    return SearchSplits(info, *rows)


def make_trainer(config: Config, size: int, precision: Any, folder: Path, device: str) -> Any:
    """The product's trainer on pictures of noise."""
    from automl.training.plan import TrainPlan
    from automl.training.trainer import Trainer

    splits = noise(folder, n=4096 if size < 100 else 1024, size=size)
    plan = TrainPlan(1000, "accuracy", "max", precision=precision, device=device)
    trainer = Trainer(config, splits.info, splits.train, plan)
    trainer.model.train()
    return trainer


def steps_of(trainer: Any) -> Callable[[], None]:
    """One step of the loop a call: batch, augmentation, gradient, update."""
    batches = endless(trainer)
    return lambda: trainer.train_step(*next(batches)) and None


def endless(trainer: Any) -> Iterator[Any]:
    """Batches, epoch after epoch."""
    epoch = 0
    while True:
        yield from trainer.batches.epoch(epoch)
        epoch += 1


def rate(step: Callable[[], Any], images: int, seconds: float, device: str) -> float:
    """Images a second of `step`, which trains on so many, after a few steps that do not count."""
    import torch

    wait: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(WARM):
        step()
    wait()
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        for _ in range(16):
            step()
        steps += 16
        wait()
    return images * steps / (time.perf_counter() - begun)


# --- precision ----------------------------------------------------------------------------------------------


def precision(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """For each network and precision: the loop, a bare loop, and memory."""
    import torch

    from automl.training.hardware.out_of_memory import release

    for name, (config, size) in NETWORKS.items():
        for kind in args.precisions.split(","):
            if args.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            trainer = make_trainer(config, size, kind, folder, args.device)
            rows = config["batch_size"]
            whole = rate(steps_of(trainer), rows, args.seconds, args.device)
            peak = torch.cuda.max_memory_reserved() / MIB if args.device == "cuda" else 0
            trainer.gradients.recorder = None
            plain = rate(steps_of(trainer), rows, args.seconds, args.device)
            bare = rate(bare_step(trainer, kind, args.device), rows, args.seconds, args.device)
            yield (
                f"{name} {kind}",
                f"{whole:8,.0f} images/s, {plain:7,.0f} gradients not recorded, {bare:7,.0f} bare, {peak:5,.0f} MiB",
            )
            del trainer
            release()


def bare_step(trainer: Any, kind: str, device: str) -> Callable[[], None]:
    """What a plain loop does: the same network, optimizer and precision, on one batch."""
    import torch
    import torch.nn.functional as F

    images, targets = next(trainer.batches.epoch(0))
    dtype = torch.float16 if kind == "fp16" else torch.bfloat16
    scaler = torch.amp.GradScaler(device, enabled=kind == "fp16")
    side = trainer.size
    images = F.interpolate(images, size=(side, side), mode="bilinear").contiguous(
        memory_format=torch.channels_last
    )

    def step() -> None:
        trainer.optimizer.zero_grad()
        with torch.autocast(device, dtype, enabled=kind != "fp32"):
            loss = F.cross_entropy(trainer.model(images), targets)
        scaler.scale(loss).backward()
        scaler.step(trainer.optimizer)
        scaler.update()

    return step


# --- packing ------------------------------------------------------------------------------------------------


def packing(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Images a second of 1, 2, 4, ... processes that train the same network at once."""
    context = multiprocessing.get_context("spawn")
    for name in ("resnet10t/2 48 px", "resnet50 224 px"):
        noise(folder, n=4096 if NETWORKS[name][1] < 100 else 1024, size=NETWORKS[name][1])
        alone = 0.0
        for n in map(int, args.processes.split(",")):
            barrier, rates = context.Barrier(n), context.Queue()
            work = [
                context.Process(target=one_of, args=(name, folder, args.seconds, args.device, barrier, rates))
                for _ in range(n)
            ]
            for process in work:
                process.start()
            total = sum(rates.get(timeout=120) for _ in work)
            for process in work:
                process.join()
            alone = alone or total
            yield f"{name} x {n}", f"{total:8,.0f} images/s of all, {total / alone:.2f} times the first"


def one_of(name: str, folder: Path, seconds: float, device: str, barrier: Any, rates: Any) -> None:
    """One process of several."""
    config, size = NETWORKS[name]
    step = steps_of(make_trainer(config, size, "bf16", folder, device))
    for _ in range(WARM):
        step()
    barrier.wait()
    rates.put(rate(step, config["batch_size"], 2 * seconds, device))


# --- fit ----------------------------------------------------------------------------------------------------


def fit(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """The whole command, with so much of a GPU for each trial."""
    if not args.zip.is_file():
        sys.exit(f"the data set must be at {str(args.zip)!r}; give its place with --zip")
    for share in args.shares.split(","):
        command = [sys.executable, "-m", "automl", "fit", str(args.zip), "--time-limit", str(args.time_limit)]
        command += ["--gpus-per-trial", share, "--pretrained", "never", "--warm-start", "none", "--json"]
        command += ["--directory", str(folder), "--study", f"share-{share}", *shlex.split(args.options)]
        begun = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.perf_counter() - begun
        result = json.loads(done.stdout)
        print(
            json.dumps({key: result[key] for key in ("best", "retrain", "trials", "time", "work")}),
            file=sys.stderr,
        )
        value = result["holdout"][result["metric"]]["value"]
        yield (
            f"fit, {share} GPU a trial",
            f"{result['metric']} {value:.4f}, {seconds:.1f} of {args.time_limit} s, {result['trials']}",
        )


PARTS: dict[str, Callable[[argparse.Namespace, Path], Iterator[Row]]] = {
    "precision": precision,
    "packing": packing,
    "fit": fit,
}


if __name__ == "__main__":
    main()
