"""Do two versions of this package decide the same? Runs small seeded studies and writes down all that was decided.

    python -m benchmarks.decisions --out FILE [--sets digits,cifar10] [--data ../shared/data]
    python -m benchmarks.decisions --compare OLD NEW

The studies use the local engine, one core, a number of trials and a number of rounds, so that neither clocks nor the
order of additions take part. Two choices that are made by timing are fixed: fp32, and the split of a batch in the final
training. What is written comes from
`study.db` and `result.json` alone, so that the versions need to agree on nothing else: each decision (trial, action,
round, state, rung), each value, the best configuration, the holdout and the delivered weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

SETS = {"digits": {"n_trials": 12, "epochs": 9}, "cifar10": {"n_trials": 8, "epochs": 4}}
PER_CLASS = 100  # training images of each class of CIFAR-10


def main() -> None:
    """Write the decisions of one version, or compare those of two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("OLD", "NEW"))
    args = parser.parse_args()
    if args.compare:
        old, new = (json.loads(path.read_text(encoding="utf-8")) for path in args.compare)
        differences = compared(old, new)
        print("\n".join(differences) or f"the same: {', '.join(old)}")
        sys.exit(1 if differences else 0)
    if args.out is None:
        parser.error("give --out FILE or --compare OLD NEW")
    found = {name: decided(name, args.data) for name in args.sets.split(",")}
    args.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    for name, what in found.items():
        print(f"{name}: {len(what['decisions'])} decisions, {what['best']}, holdout {what['holdout']}")


def decided(name: str, data: Path) -> dict[str, Any]:
    """What a study on one of SETS decided and delivered."""
    without_timing()
    import automl

    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        source = name if name == "digits" else cut(data / f"{name}.zip", folder)
        options: dict[str, Any] = {**SETS[name], "space": "cpu", "pretrained": "never", "warm_start": "none"}
        automl.fit(source, study="same", directory=folder, engine="local", seed=0, img_size=32, **options)
        return told(folder / "same")


def without_timing() -> None:
    """Fixes what otherwise depends on timing: the precision, the split of a batch, and the order of threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from automl.training import speed_probe
    from automl.training.hardware.autotune import Autotune

    vars(speed_probe)["has_bf16"] = lambda device: False
    Autotune.best = property(lambda self: 0)  # type: ignore[assignment]  # a method is replaced
    Autotune._next = lambda self: 0  # type: ignore[method-assign]  # as well


def cut(source: Path, folder: Path) -> str:
    """A zip of some images of each class."""
    from benchmarks.cifar10 import cut_zip

    if not source.is_file():
        sys.exit(f"the data set must be at {str(source)!r}; give its folder with --data, or --sets digits")
    cut_zip(source, folder / "cut.zip", PER_CLASS)
    return str(folder / "cut.zip")


def told(study: Path) -> dict[str, Any]:
    """What study.db, result.json and the model folder hold, as plain data."""
    result = json.loads((study / "result.json").read_text(encoding="utf-8"))
    with sqlite3.connect(study / "study.db") as database:
        columns = {row[1] for row in database.execute("PRAGMA table_info(automl_reports)")}
        unit = "round" if "round" in columns else "epoch"  # the older versions' name
        decisions = database.execute(
            f"SELECT trial, action, {unit}, state, rung FROM automl_decisions ORDER BY id"
        ).fetchall()
        values = database.execute(
            f"SELECT trial, {unit}, value FROM automl_reports ORDER BY trial, {unit}"
        ).fetchall()
        configs = database.execute("SELECT trial, config FROM automl_trials ORDER BY trial").fetchall()
    weights = (study / "model" / "model.safetensors").read_bytes()
    return {
        "decisions": [list(row) for row in decisions],
        "values": [[trial, step, round(value, 6)] for trial, step, value in values],
        "configs": [[trial, json.loads(config)] for trial, config in configs],
        "best": result["best"]["trial"],
        "retrain": {key: result["retrain"][key] for key in ("how", "epochs", "n_train")},
        "holdout": {key: round(value["value"], 6) for key, value in result["holdout"].items()},
        "weights": hashlib.sha256(weights).hexdigest(),
    }


def compared(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The first difference of each kind, in words."""
    differences = []
    for name, before in old.items():
        for key, value in before.items():
            now = new[name][key]
            if value == now:
                continue
            if isinstance(value, list):
                pairs = [*zip(value, now, strict=False), (f"{len(value)} rows", f"{len(now)} rows")]
                value, now = next((a, b) for a, b in pairs if a != b)
            differences.append(f"{name}: {key} was {value}, is {now}")
    return differences


if __name__ == "__main__":
    main()
