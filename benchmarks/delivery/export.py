"""Exported files beside the model, for one network of each kind: agreement, loss, size and speed, in float and int8."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from automl.delivery.export.model import export_model
from automl.delivery.export.onnx_graph import TOLERANCE
from automl.delivery.export.proof import Exported
from automl.errors import ModelError

NETWORKS = ("resnet18", "tf_efficientnet_lite0", "convnext_atto", "vit_tiny_patch16_224")
SPACE = """
families: {{one: [{model}]}}
parameters:
  opt: {{type: categorical, choices: [adamw]}}
  lr: {{type: float, low: 1.0e-3, high: 2.0e-3, log: true}}
  weight_decay: {{type: float, low: 0.02, high: 0.05, log: true}}
  batch_size: {{type: categorical, choices: [64]}}
  augment: {{type: float, low: 0.3, high: 0.5}}
  hflip: {{type: categorical, choices: [true]}}
  ema: {{type: categorical, choices: [0.99]}}
"""
LOSS, FASTER, SMALLER = 0.01, 1.5, 3.0


def main(args: argparse.Namespace) -> int:
    """Print a row for each set, network and form; 1 if a target is missed."""
    columns = (
        "set",
        "network",
        "file",
        "rows",
        "torch",
        "value",
        "equal",
        "difference",
        "MB",
        "p50, 1",
        "p50, 32",
        "ok",
    )
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    missed = False
    for name in args.sets.split(","):
        for network in args.networks.split(","):
            with tempfile.TemporaryDirectory() as folder:
                missed |= _one(name, network, Path(folder), args)
    return int(missed)


def _one(name: str, network: str, folder: Path, args: argparse.Namespace) -> bool:
    """Train a network for some epochs, export it, print its rows, and return whether a target is missed."""
    space = folder / "space.yaml"
    space.write_text(SPACE.format(model=network), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "automl",
        "fit",
        _data(name, folder, args.data),
        "--study",
        "one",
        "--quiet",
    ]
    command += ["--directory", str(folder / "studies"), "--space", str(space), "--engine", "local"]
    command += ["--n-trials", "1", "--epochs", str(args.epochs), "--pretrained", "never"]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, cwd=folder)
    result = json.loads((folder / "studies" / "one" / "result.json").read_text(encoding="utf-8"))
    plain: Exported | None = None
    missed = False
    for form in ("onnx", "openvino", "onnx int8"):
        try:
            made = export_model("one", to=form.split()[0], directory=folder / "studies", int8="int8" in form)
        except ModelError as error:
            print(f"| {name} | {network} | {form} | refused: {error} |" + " |" * 8, flush=True)
            missed = True
            continue
        plain = plain or made
        good = _is_good(made, plain)
        missed |= not good
        print("| " + " | ".join(map(str, _row(name, result, form, made, good))) + " |", flush=True)
    return missed


def _is_good(made: Exported, plain: Exported) -> bool:
    proof = made.proof
    if not made.int8:
        return proof.equal == proof.rows and proof.difference < TOLERANCE
    faster = max(one.p50 / other.p50 for one, other in zip(plain.proof.latency, proof.latency, strict=True))
    return proof.torch_value - proof.value.value <= LOSS and (
        faster >= FASTER or plain.size / made.size >= SMALLER
    )


def _row(name: str, result: dict[str, Any], form: str, made: Exported, good: bool) -> tuple[Any, ...]:
    proof = made.proof
    layers = f" ({made.int8} layers, {len(made.floats) + 1} in float)" if made.int8 else ""
    return (
        name,
        f"{result['best']['config']['model']}, {result['retrain'].get('how', 'retrained')}",
        form + layers,
        proof.rows,
        f"{proof.torch_value:.4f}",
        f"{proof.value.value:.4f}",
        proof.equal,
        f"{proof.difference:.1g}",
        f"{made.size / 1e6:.1f}",
        *(f"{one.p50:.1f} ms" for one in proof.latency),
        "yes" if good else "no",
    )


def _data(name: str, folder: Path, shared: Path) -> str:
    if name == "digits":
        return "digits"
    if name != "cifar10":
        return str(shared / f"{name}.zip")
    from benchmarks.cifar10 import cut_zip

    cut_zip(shared / "cifar10.zip", folder / "cut.zip", per_class=400)
    return str(folder / "cut.zip")
