"""CIFAR-10 cut to 4,000 training images, 32 px, from scratch: `automl fit` beside a plain in-memory loop.

    python benchmarks/cifar10.py [--per-class 400] [--time-limit 180] [--zip ../shared/data/cifar10.zip]

Both get the same images, the same cores and the same wall-clock, one after the other. The loop is what a person would
write who needs no search: resnet10t, AdamW, one cycle to 4e-3 over the time, pad-crop and flip, label smoothing 0.1,
batch 64, a thread a core, images already in memory; its time starts when its data are ready and torch is loaded. The
time of `automl fit` is that of the whole command. Prints holdout accuracy and images trained per second over the
whole run.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

TEST_PER_CLASS = 200
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def main() -> None:
    """Run both and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--zip", type=Path, default=Path(__file__).parents[2] / "shared" / "data" / "cifar10.zip"
    )
    parser.add_argument("--per-class", type=int, default=400)
    parser.add_argument("--time-limit", type=int, default=180)
    parser.add_argument("--only", choices=["automl", "loop"])
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not args.zip.is_file():
        sys.exit(f"the data set must be at {str(args.zip)!r}; give its place with --zip")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / "cifar.zip"
        names = cut_zip(args.zip, cut, args.per_class)
        if args.only != "loop":
            rows.append(run_automl(cut, Path(folder), args.time_limit, args.seed))
        if args.only != "automl":
            rows.append(run_loop(read(cut, names), args.time_limit, args.seed)[:4])
    images = f"{10 * args.per_class:,} training and {10 * TEST_PER_CLASS:,} test images"
    print(f"\n{images}, {args.time_limit} s, {os.cpu_count()} cores")
    print(f"{'':12s} {'test accuracy':>13s} {'images/s':>9s} {'seconds':>8s}")
    for name, accuracy, rate, seconds in rows:
        print(f"{name:12s} {accuracy:13.4f} {rate:9.0f} {seconds:8.1f}")


def cut_zip(source: Path, target: Path, per_class: int) -> list[str]:
    """Copy the first `per_class` training and 200 test files of each class into a zip; their names."""
    kept: list[str] = []
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as out:
        seen: dict[str, int] = {}
        for name in sorted(n for n in archive.namelist() if n.endswith(".jpg")):
            folder = name.rsplit("/", 1)[0]
            seen[folder] = seen.get(folder, 0) + 1
            if seen[folder] <= (per_class if folder.startswith("train/") else TEST_PER_CLASS):
                out.writestr(name, archive.read(name))
                kept.append(name)
    return kept


def read(path: Path, names: list[str]) -> Arrays:
    """Training images, labels, test images, labels."""
    classes = sorted({name.split("/")[1] for name in names})
    with zipfile.ZipFile(path) as archive:
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for n in names])
    labels = np.array([classes.index(name.split("/")[1]) for name in names])
    train = np.array([name.startswith("train/") for name in names])
    return pixels[train], labels[train], pixels[~train], labels[~train]


def run_automl(data: Path, folder: Path, limit: int, seed: int) -> tuple[str, float, float, float]:
    """`automl fit` as a person starts it, with an empty cache."""
    command = [
        sys.executable,
        "-m",
        "automl",
        "fit",
        str(data),
        "--time-limit",
        str(limit),
        "--seed",
        str(seed),
    ]
    command += [
        "--directory",
        str(folder / "studies"),
        "--pretrained",
        "never",
        "--metric",
        "accuracy",
        "--json",
    ]
    begun = time.perf_counter()
    done = subprocess.run(
        command,
        env={**os.environ, "AUTOML_CACHE_DIR": str(folder / "cache")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - begun
    result = json.loads(done.stdout)
    print({key: result[key] for key in ("best", "retrain", "trials", "time", "work")}, file=sys.stderr)
    return (
        "automl fit",
        result["holdout"]["accuracy"]["value"],
        result["work"]["images_trained"] / seconds,
        seconds,
    )


def run_loop(arrays: Arrays, limit: int, seed: int) -> tuple[str, float, float, float, float]:
    """The plain loop, in a fresh process so that it sets its own threads; the last number is balanced accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "arrays.npz", *arrays)
        code = f"from cifar10 import plain_loop; plain_loop({str(Path(folder) / 'arrays.npz')!r}, {limit}, {seed})"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            env={**os.environ, "OMP_NUM_THREADS": str(os.cpu_count()), "OMP_WAIT_POLICY": "PASSIVE"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    accuracy, rate, seconds, balanced = json.loads(done.stdout.splitlines()[-1])
    return "plain loop", accuracy, rate, seconds, balanced


def plain_loop(path: str, limit: float, seed: int) -> None:
    """Train for `limit` seconds and print [accuracy, images a second, seconds, balanced accuracy] as JSON."""
    import torch
    import torch.nn.functional as F

    from automl.torch_setup import import_timm

    timm = import_timm()
    with np.load(path) as stored:
        x, y, test_x, test_y = (stored[key] for key in stored.files)
    torch.manual_seed(seed)
    mean, std = (torch.tensor(v, dtype=torch.float32) for v in (x.mean((0, 1, 2)), x.std((0, 1, 2))))
    side = x.shape[1]
    pad = side // 8
    padded = torch.from_numpy(np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect"))
    labels = torch.from_numpy(y)
    model = timm.create_model("resnet10t", num_classes=int(max(y.max(), test_y.max())) + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.02)

    def normal(pixels: torch.Tensor) -> torch.Tensor:
        return ((pixels.float() - mean) / std).permute(0, 3, 1, 2).contiguous()

    begun, seen, share, column = time.perf_counter(), 0, 0.0, torch.arange(side)
    while share < 1.0:
        for index in torch.randperm(len(labels)).chunk(-(-len(labels) // 64)):
            share = (time.perf_counter() - begun) / limit
            if share >= 1.0:
                break
            factor = share / 0.25 if share < 0.25 else 0.5 * (1 + math.cos(math.pi * (share - 0.25) / 0.75))
            for group in optimizer.param_groups:
                group["lr"] = 4e-3 * max(factor, 0.01)
            rows, columns = (torch.randint(0, 2 * pad + 1, (len(index), 1)) + column for _ in range(2))
            columns = torch.where(torch.rand(len(index), 1) < 0.5, columns.flip(1), columns)
            images = normal(padded[index[:, None, None], rows[:, :, None], columns[:, None, :]])
            loss = F.cross_entropy(model(images), labels[index], label_smoothing=0.1)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            seen += len(index)
    seconds = time.perf_counter() - begun
    model.eval()
    with torch.inference_mode():
        found = torch.cat([model(normal(part)).argmax(1) for part in torch.from_numpy(test_x).chunk(8)])
    right = found.numpy() == test_y
    balanced = float(np.mean([right[test_y == k].mean() for k in np.unique(test_y)]))
    print(json.dumps([float(right.mean()), seen / seconds, seconds, balanced]))


if __name__ == "__main__":
    main()
