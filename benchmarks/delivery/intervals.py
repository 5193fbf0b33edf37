"""Does the 95 % interval of the holdout contain the accuracy on many more images? Over small studies of CIFAR-10."""

from __future__ import annotations

import argparse
import io
import tempfile
import zipfile

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.delivery.models import small_study

IMAGES = 800  # of a study; a fifth of them is the holdout
LEAST = 0.9  # of the studies

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.str_]


def main(args: argparse.Namespace) -> int:
    """Print a row for each study; 1 if fewer than nine of ten intervals contain the accuracy on the rest."""
    images, labels = test_images(args)
    held = 0
    print(f"{'study':>6s} {'holdout':>8s} {'95 % interval':>16s} {'the rest':>9s}  images of each")
    for seed in range(args.studies):
        order = np.random.default_rng(seed).permutation(len(images))
        chosen, rest = order[:IMAGES], order[IMAGES:]
        with tempfile.TemporaryDirectory() as folder:
            result = small_study(images[chosen], labels[chosen], folder, seed, n_trials=2)
            found = result.holdout["accuracy"]
            right = float(np.mean(np.asarray(result.predictor.predict(images[rest])) == labels[rest]))
            n_holdout = result.document["data"]["n_holdout"]
        contains = found.low <= right <= found.high
        held += contains
        print(
            f"{seed:6d} {found.value:8.3f} {f'{found.low:.3f} to {found.high:.3f}':>16s} {right:9.3f}  "
            f"{n_holdout}, {len(rest):,}{'' if contains else '  outside'}",
            flush=True,
        )
    print(f"\n{held} of {args.studies} intervals contain the accuracy on the rest (target: nine of ten)")
    return int(held < LEAST * args.studies)


def test_images(args: argparse.Namespace) -> tuple[Images, Labels]:
    """Return the 10,000 test images of CIFAR-10 (n, 32, 32, 3) and their labels (n,)."""
    images, labels = [], []
    with zipfile.ZipFile(args.data / "cifar10.zip") as archive:
        for name in archive.namelist():
            part, *label, _ = name.split("/")
            if part == "test" and label and name.endswith(".jpg"):
                images.append(np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")))
                labels.append(label[0])
    return np.stack(images), np.array(labels)
