"""What a training step of a configuration costs on this machine, beside what `pipeline/cost.py` expects.

    python -m benchmarks.costs [--size 32] [--steps 4] [--fit]

Processor time of a step (batch 64, AdamW, one core, the precision that the processor is made for) for configurations of
the preset `cpu`. What is expected follows from the first row alone, as in a study. `--fit` finds the constants of
`pipeline/cost.py` that suit this machine best.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time

import torch

from automl.pipeline.cost import LAYERS, PARAMETERS, WRITING, step_work
from automl.records import Config, DatasetInfo
from automl.torch_setup import set_threads
from automl.training.evaluate import autocast, fit_size
from automl.training.layout import laid_out
from automl.training.models import build_model, input_size
from automl.training.optimizers import make_optimizer
from automl.training.plan import Precision
from automl.training.probe import has_bf16
from benchmarks.recipes import first

BATCH = 64
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


def main() -> None:
    """Print a line for each configuration, and how far what is expected is off."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=32, help="side of the pictures as stored, in pixels")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    set_threads(1)
    classes, counts, channels = tuple("abcdefghij"), (400,) * 10, (0.5,) * 3
    info = DatasetInfo(
        "cost", "classification", classes, 3, args.size, channels, channels, counts, "x", 4000, 1, 1, 0
    )
    configs = [config_of(first("adamw"), *row) for row in ROWS]
    measured = [step_seconds(config, info, args.steps) for config in configs]
    unit = measured[0] / step_work(configs[0], info)
    for config, seconds in zip(configs, measured, strict=True):
        expected = unit * step_work(config, info)
        name = f"{config['model']}, x{config['upscale']:g}"
        name += f", width {config['width']:g}" if "width" in config else ""
        print(
            f"{name:36s} {1000 * seconds:7.0f} ms  expected {1000 * expected:7.0f}  {expected / seconds:5.2f}"
        )
    print(
        f"root mean square of the logarithm: {off(configs, info, measured, (WRITING, LAYERS, PARAMETERS)):.3f}"
    )
    if args.fit:
        grid = itertools.product(
            (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8),
            (0.0, 0.003, 0.005, 0.01, 0.03),
            (0.0, 0.3, 1.0, 2.0, 2.7, 4.0),
        )
        for found in sorted((off(configs, info, measured, constants), constants) for constants in grid)[:8]:
            print(found)


def config_of(first: Config, model: str, upscale: float, width: float | None) -> Config:
    """A configuration like the preset's first."""
    config = {**first, "model": model, "upscale": upscale, "batch_size": BATCH}
    del config["width"]
    return config if width is None else {**config, "width": width}


def step_seconds(config: Config, info: DatasetInfo, steps: int) -> float:
    """The least processor time of a training step, in seconds."""
    precision: Precision = "bf16" if has_bf16("cpu") else "fp32"
    model = laid_out(build_model(config, info), "cpu").train()
    optimizer = make_optimizer(model, config)
    images = torch.rand(BATCH, 3, info.img_size, info.img_size).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(steps + 1):  # the first also pays for allocations
        begun = time.thread_time()
        with autocast("cpu", precision):
            loss = model(fit_size(images, input_size(config, info))).float().logsumexp(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.thread_time() - begun)
    return min(times[1:])


def off(
    configs: list[Config], info: DatasetInfo, measured: list[float], constants: tuple[float, float, float]
) -> float:
    """Root mean square of the logarithm of expected over measured, from the first row alone."""
    work = [step_work(config, info, *constants) for config in configs]
    errors = [math.log(w / work[0] * measured[0] / s) for w, s in zip(work, measured, strict=True)]
    return math.sqrt(sum(error**2 for error in errors) / len(errors))


if __name__ == "__main__":
    main()
