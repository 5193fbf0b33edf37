"""Images a second of `predict` in each of its forms, against a bare batched forward."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

import automl
from automl.final.predictor import Predictor
from automl.torch_setup import set_threads
from benchmarks.delivery.models import make_model

NETWORKS = (
    ("resnet10t", 32),
    ("resnet18", 64),
    ("mobilenetv3_small_050", 128),
    ("tf_efficientnet_lite0", 224),
)
SHARE, FIRST_S = 0.9, 1.0
BATCHES = (16, 64, 256)
FRESH = """
import sys, time
import torch
begun = time.perf_counter()
import automl
automl.load(sys.argv[1]).predict(sys.argv[2])
print(time.perf_counter() - begun)
"""


def main(args: argparse.Namespace) -> int:
    """Print a row for each network; 1 if a target is missed."""
    if args.threads:
        set_threads(args.threads)
    good = True
    head = ("network", "px", "bare/s", "pixels", "arrays", "PIL", "paths", "frame", "decode+bare", "fresh s")
    print("  ".join(f"{name:>11s}" for name in head))
    for name, size in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            good &= measure(Path(folder), name, size, args)
    print(
        f"\ntarget: arrays at least {SHARE:.0%} of bare, paths and frame of decode+bare; fresh at most {FIRST_S} s"
    )
    return 0 if good else 1


def measure(root: Path, name: str, size: int, args: argparse.Namespace) -> bool:
    """Print one row, with forms as shares of what they are compared with."""
    make_model(root / "model", name, size)
    predictor = automl.load(root / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (args.images, size, size, 3), dtype=np.uint8)
    paths = []
    for i, image in enumerate(pixels):
        paths.append(root / f"{i:05d}.png")
        Image.fromarray(image).save(paths[-1])
    pictures = [Image.fromarray(image) for image in pixels]
    frame = pd.DataFrame({"file": list(map(str, paths))})
    bare = {batch: lambda batch=batch: bare_forward(predictor, pixels, batch) for batch in BATCHES}
    forms: dict[str, Callable[[], Any]] = {
        "pixels": lambda: [predictor.predict_pixels(pixels[i : i + 256]) for i in range(0, len(pixels), 256)],
        "arrays": lambda: predictor.predict_proba(pixels),
        "PIL": lambda: predictor.predict_proba(pictures),
        "paths": lambda: predictor.predict_proba(paths),
        "frame": lambda: predictor.predict_proba(frame),
        "decoded": lambda: decoded(paths),
    }
    taken = measured({**{f"bare {batch}": run for batch, run in bare.items()}, **forms}, args.rounds)
    fastest = min(taken[f"bare {batch}"] for batch in BATCHES)
    whole = fastest + taken["decoded"]
    shares = {form: fastest / taken[form] for form in ("pixels", "arrays", "PIL")}
    shares |= {form: whole / taken[form] for form in ("paths", "frame")}
    fresh = statistics.median(fresh_seconds(root / "model", paths[0]) for _ in range(3))
    cells = [
        name[:11],
        str(size),
        f"{args.images / fastest:.0f}",
        *(f"{share:.2f}" for share in shares.values()),
    ]
    print(
        "  ".join(f"{cell:>11s}" for cell in [*cells, f"{args.images / whole:.0f}/s", f"{fresh:.2f}"]),
        flush=True,
    )
    return all(shares[form] >= SHARE for form in ("arrays", "paths", "frame")) and fresh <= FIRST_S


def measured(forms: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the best seconds of each form over interleaved rounds, after one that does not count."""
    best = dict.fromkeys(forms, float("inf"))
    for number in range(rounds + 1):
        for name, run in forms.items():
            begun = time.perf_counter()
            run()
            if number:
                best[name] = min(best[name], time.perf_counter() - begun)
    return best


@torch.inference_mode()
def bare_forward(predictor: Predictor, pixels: np.ndarray, batch: int) -> torch.Tensor:
    """Return probabilities of decoded images, as a short loop over batches computes them."""
    mean = torch.tensor(predictor.info.mean).view(1, 3, 1, 1) * 255
    std = torch.tensor(predictor.info.std).view(1, 3, 1, 1) * 255
    scores = []
    for start in range(0, len(pixels), batch):
        images = (
            torch.from_numpy(pixels[start : start + batch]).permute(0, 3, 1, 2).float().sub_(mean).div_(std)
        )
        scores.append(predictor.model(images).softmax(1))
    return torch.cat(scores)


def decoded(paths: list[Path]) -> list[np.ndarray]:
    """Return the pixels of images, decoded one after the other."""
    found = []
    for path in paths:
        with Image.open(path) as image:
            found.append(np.asarray(image.convert("RGB")))
    return found


def fresh_seconds(model: Path, image: Path) -> float:
    """Return the seconds from torch's import to the first prediction in a new process."""
    command = [sys.executable, "-c", FRESH, str(model), str(image)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
