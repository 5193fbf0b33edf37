"""What a training step of a configuration costs on this machine, beside what `pipeline/plan/epoch_cost.py` expects.

    python -m benchmarks.costs [--size 32] [--steps 4] [--fit] [--device cuda] [--keep FILE] [--measured FILE]

Processor time of a step (batch 64, AdamW, one core, the precision that the processor is made for) for configurations of
the preset `cpu`; on a GPU the time of a step of the whole training loop in bfloat16, for networks of all presets, small
and large pictures and batches. What is expected follows from the first row alone, as in a study. `--fit` finds the
constants of `pipeline/plan/epoch_cost.py` that suit this machine best. `--keep` writes what was measured, and
`--measured` reads it in place of measuring.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import torch

from automl.pipeline.plan.epoch_cost import Prices, prices, step_work
from automl.records import Config, DatasetInfo
from automl.torch_setup import set_threads
from automl.training.evaluate import autocast, fit_size
from automl.training.hardware.half_precision import has_bf16
from automl.training.hardware.out_of_memory import release
from automl.training.models.build import build_model, input_size
from automl.training.models.hyperparameters import Recipe
from automl.training.models.memory_format import channels_last
from automl.training.plan import Precision
from automl.training.steps.optimizers import make_optimizer
from benchmarks import gpu
from benchmarks.recipes import first

BATCH = 64
LOOP_S = 0.6  # of each row on a GPU
ROWS: tuple[tuple[str, float, float | None], ...] = (
    ("resnet10t", 1.5, 0.25),
    ("resnet10t", 1.0, 0.25),
    ("resnet10t", 2.0, 0.25),
    ("resnet10t", 2.0, 0.375),
    ("resnet10t", 1.0, 0.5),
    ("resnet10t", 1.5, 0.5),
    ("resnet10t", 1.5, 0.75),
    ("resnet10t", 1.0, 1.0),
    ("resnet14t", 1.0, 0.5),
    ("resnet18", 1.5, 0.25),
    ("resnet18", 2.0, 1.0),
    ("convnext_atto", 2.0, None),
    ("convnext_zepto_rms", 2.0, None),
    ("regnetx_002", 1.5, None),
    ("regnety_002", 1.5, None),
    ("efficientnet_lite0", 1.5, None),
    ("tf_efficientnetv2_b0", 1.5, None),
    ("mobilenetv3_small_075", 2.0, None),
    ("mobilenetv3_small_050", 1.0, None),
    ("mobilenetv4_conv_small", 1.5, None),
    ("ghostnet_100", 1.5, None),
    ("ghostnet_050", 1.0, None),
    ("vit_tiny_patch16_224", 1.0, None),
    ("pvt_v2_b0", 1.5, None),
    ("mobilevit_xxs", 1.5, None),
    ("mobilevitv2_050", 1.5, None),
    ("edgenext_xx_small", 1.5, None),
    ("efficientvit_b0", 1.5, None),
)
# Side of the pictures, model, how much they are enlarged, width, and batch.
GPU_ROWS: tuple[tuple[int, str, float, float | None, int], ...] = (
    (32, "resnet10t", 1.5, 0.5, 64),
    (32, "resnet10t", 1.5, 0.25, 64),
    (32, "resnet10t", 1.5, 1.0, 64),
    (32, "resnet10t", 1.5, 0.5, 256),
    (32, "resnet10t", 3.0, 1.0, 128),
    (32, "resnet10t", 3.0, 1.0, 512),
    (32, "resnet18", 2.0, 1.0, 128),
    (32, "resnet18", 3.0, 1.0, 64),
    (32, "resnet18", 3.0, 1.0, 128),
    (32, "resnet18", 3.0, 1.0, 256),
    (32, "resnet34", 3.0, 1.0, 128),
    (32, "resnet50", 3.0, 1.0, 128),
    (32, "seresnet50", 3.0, 1.0, 128),
    (32, "regnety_008", 3.0, None, 128),
    (32, "regnety_002", 2.0, None, 128),
    (32, "convnext_atto", 2.0, None, 128),
    (32, "convnext_tiny", 3.0, None, 128),
    (32, "efficientnet_b0", 3.0, None, 128),
    (32, "mobilenetv3_small_075", 2.0, None, 64),
    (32, "vit_tiny_patch16_224", 1.0, None, 128),
    (32, "densenet121", 3.0, None, 128),
    (32, "mobilevitv2_050", 2.0, None, 64),
    (224, "resnet10t", 1.0, 1.0, 64),
    (224, "resnet18", 1.0, 1.0, 64),
    (224, "resnet50", 1.0, 1.0, 64),
    (224, "regnety_008", 1.0, None, 64),
    (224, "efficientnet_b0", 1.0, None, 64),
    (224, "mobilenetv3_small_075", 1.0, None, 64),
    (224, "mobilenetv4_conv_medium", 1.0, None, 64),
    (224, "convnext_atto", 1.0, None, 64),
    (224, "convnext_tiny", 1.0, None, 64),
    (224, "densenet121", 1.0, None, 64),
    (224, "vit_tiny_patch16_224", 1.0, None, 64),
    (224, "vit_small_patch16_224", 1.0, None, 64),
    (224, "swin_tiny_patch4_window7_224", 1.0, None, 64),
    (224, "edgenext_small", 1.0, None, 64),
    (224, "resnet18", 1.0, 1.0, 256),
)
Row = tuple[Config, DatasetInfo]


def main() -> None:
    """Print a line for each configuration, and how far what is expected is off."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size", type=int, default=32, help="side of the pictures as stored on a CPU, in pixels"
    )
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--measured", type=Path)
    args = parser.parse_args()
    rows = rows_of(args.device, args.size)
    if args.measured:
        measured = json.loads(args.measured.read_text(encoding="utf-8"))
    elif args.device == "cpu":
        set_threads(1)
        measured = [step_seconds(*row, args.steps) for row in rows]
    else:
        measured = loop_seconds(rows, args.device)
    if args.keep:
        args.keep.write_text(json.dumps(measured), encoding="utf-8")
    now = prices(args.device)
    expected = seconds_of(rows, measured, now)
    for (config, info), seconds, guess in zip(rows, measured, expected, strict=True):
        name = f"{config['model']}, {info.img_size} px x{config['upscale']:g}"
        name += f", width {config['width']:g}" if "width" in config else ""
        name += f", {config['batch_size']} rows"
        print(f"{name:52s} {1000 * seconds:8.2f} ms  expected {1000 * guess:8.2f}  {guess / seconds:5.2f}")
    print(f"root mean square of the logarithm: {off(rows, measured, now):.3f}")
    if args.fit:
        grid = itertools.product(
            (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0),
            (0.0, 0.003, 0.005, 0.01, 0.03, 0.1, 0.4, 0.8, 1.6, 3.0, 6.0),
            (0.0, 0.3, 1.0, 2.0, 2.7, 4.0, 8.0),
        )
        tried = [Prices(*constants) for constants in grid]
        for found in sorted(((off(rows, measured, each), each) for each in tried), key=lambda x: x[0])[:8]:
            print(*found)


def rows_of(device: str, size: int) -> list[Row]:
    """Configurations like the preset's first, and the pictures that they are for."""
    if device == "cpu":
        return [(config_of(*row, BATCH), pictures(size)) for row in ROWS]
    return [
        (config_of(model, upscale, width, batch), pictures(side))
        for side, model, upscale, width, batch in GPU_ROWS
    ]


def pictures(size: int) -> DatasetInfo:
    """4,000 of ten classes."""
    classes, counts, channels = tuple("abcdefghij"), (400,) * 10, (0.5,) * 3
    return DatasetInfo(
        "cost", "classification", classes, 3, size, channels, channels, counts, "x", 4000, 1, 1, 0
    )


def config_of(model: str, upscale: float, width: float | None, batch: int) -> Config:
    """A configuration like the preset's first."""
    config = {**first("adamw"), "model": model, "upscale": upscale, "batch_size": batch}
    del config["width"]
    return config if width is None else {**config, "width": width}


def step_seconds(config: Config, info: DatasetInfo, steps: int) -> float:
    """The least processor time of a training step, in seconds."""
    precision: Precision = "bf16" if has_bf16("cpu") else "fp32"
    recipe = Recipe.from_config(config)
    model = channels_last(build_model(recipe, info), "cpu").train()
    optimizer = make_optimizer(model, recipe)
    images = torch.rand(BATCH, 3, info.img_size, info.img_size).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(steps + 1):  # the first also pays for allocations
        begun = time.thread_time()
        with autocast("cpu", precision):
            loss = model(fit_size(images, input_size(recipe, info))).float().logsumexp(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.thread_time() - begun)
    return min(times[1:])


def loop_seconds(rows: list[Row], device: str) -> list[float]:
    """Seconds of a step of the product's loop, pictures of noise, in bfloat16."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for config, info in rows:
            trainer = gpu.make_trainer(config, info.img_size, "bf16", Path(folder), device)
            batch = int(config["batch_size"])
            found.append(batch / gpu.rate(gpu.steps_of(trainer), batch, LOOP_S, device))
            print(
                f"{config['model']} {info.img_size} px: {1000 * found[-1]:.2f} ms",
                file=sys.stderr,
                flush=True,
            )
            del trainer
            release()
    return found


def seconds_of(rows: list[Row], measured: list[float], of: Prices) -> list[float]:
    """What is expected of each row, from what was measured of the first."""
    work = [step_work(Recipe.from_config(config), info, of) for config, info in rows]
    return [each / work[0] * measured[0] for each in work]


def off(rows: list[Row], measured: list[float], of: Prices) -> float:
    """Root mean square of the logarithm of expected over measured, from the first row alone."""
    expected = seconds_of(rows, measured, of)
    errors = [math.log(guess / seconds) for guess, seconds in zip(expected, measured, strict=True)]
    return math.sqrt(sum(error**2 for error in errors) / len(errors))


if __name__ == "__main__":
    main()
