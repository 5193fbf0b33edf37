"""What the training loop costs, whether it grows, and how well early values rank finished models.

    python benchmarks/training.py [--only cores|loop|memory|rungs] [--zip ../shared/data/cifar10.zip]

- loop: images a second of processor time of the loop of `automl` against a bare one (forward, loss, backward, step on a
  batch in memory; the same model with its enlargement, thread and precision), for three models; their steps take turns.
  At least 95 %.
- cores: for five configurations, images a second of the loop on one core, on all of them with each batch shared, and
  with each operator shared; they take turns, and the least time of an epoch counts.
- memory: 300 tiny trials in one process; resident memory at the end against that after the first 20. At most 5 % more.
- rungs: random configurations are trained to their end in several ways, and each way's validation accuracy at the rungs
  is compared with that of the finished, fully annealed model of another seed (Spearman's rank correlation).
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from automl.records import Config, DatasetInfo, Rows, SearchSplits

Row = tuple[str, str, str]
RUNGS, EPOCHS = (2, 4), 9
STUDY_TRAIN, STUDY_VAL = 2000, 2000
EPOCHS_TIMED = 5  # of the part loop


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).parents[2] / "shared" / "data" / "cifar10.zip"
    parser.add_argument("--zip", type=Path, default=default)
    parser.add_argument("--only", choices=sorted(PARTS))
    parser.add_argument("--configs", type=int, default=16, help="configurations of the part rungs")
    parser.add_argument("--trials", type=int, default=300, help="trials of the part memory")
    parser.add_argument("--kept", type=Path, help="a file in which the part rungs keeps what it measured")
    args = parser.parse_args()
    if not args.zip.is_file():
        sys.exit(f"the data set must be at {str(args.zip)!r}; give its place with --zip")
    rows: list[Row] = []
    for name in [args.only] if args.only else sorted(PARTS):
        with tempfile.TemporaryDirectory() as folder:
            rows += PARTS[name](args, Path(folder))
    print(f"\n{os.cpu_count()} cores")
    for what, value, wanted in rows:
        print(f"{what:52s} {value:>28s}   {wanted}")


def cifar(path: Path, folder: Path, *, n_train: int, n_val: int) -> SearchSplits:
    """The first training images of each class, and test images for validation."""
    counts = {"train": n_train, "val": n_val}
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        classes = sorted({name.split("/")[1] for name in names})
        chosen: list[tuple[str, str]] = []
        for part, source in (("train", "train/"), ("val", "test/")):
            for label in classes:
                of_class = [name for name in names if name.startswith(f"{source}{label}/")]
                chosen += [(part, name) for name in of_class[: counts[part] // len(classes)]]
        pixels = np.stack(
            [np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for _, n in chosen]
        )
    targets = np.array([classes.index(name.split("/")[1]) for _, name in chosen])
    np.save(folder / "images.npy", pixels)
    np.save(folder / "targets.npy", targets)
    rows = {}
    for part in counts:
        index = np.flatnonzero([of == part for of, _ in chosen])
        np.save(folder / f"{part}.npy", index)
        rows[part] = Rows(folder / "images.npy", folder / "targets.npy", folder / f"{part}.npy", len(index))
    trained = pixels[: len(rows["train"])] / 255.0
    info = DatasetInfo(
        name="cifar10",
        task="classification",
        classes=tuple(classes),
        in_chans=3,
        img_size=pixels.shape[1],
        mean=tuple(trained.mean((0, 1, 2)).tolist()),
        std=tuple(trained.std((0, 1, 2)).tolist()),
        class_counts=(n_train // len(classes),) * len(classes),
        fingerprint="cifar10",
        n_train=n_train,
        n_val=n_val,
        n_holdout=0,
        n_skipped=0,
    )
    return SearchSplits(info, rows["train"], rows["val"])


# --- loop ---------------------------------------------------------------------------------------------------


def loop(args: argparse.Namespace, folder: Path) -> list[Row]:
    """For three configurations of the preset `cpu`: the share of a bare loop's images a second."""
    from automl.spaces import SearchSpace
    from automl.training.hardware.half_precision import has_bf16

    portfolio = {config["model"]: config for config in reversed(SearchSpace.load("cpu").portfolio)}
    rows: list[Row] = []
    # Slow networks get fewer images, although what an epoch costs besides its steps then weighs more.
    for model, images in (
        ("resnet10t", 1280),
        ("mobilenetv3_small_075", 1280),
        ("vit_tiny_patch16_224", 320),
    ):
        splits = cifar(args.zip, folder, n_train=images, n_val=10)
        precision = "bf16" if has_bf16("cpu") else "fp32"
        bare, whole, share = rates(portfolio[model], splits, precision)
        name = f"loop: {model}, {precision}, images/s"
        rows.append((name, f"{bare:,.0f} -> {whole:,.0f} ({100 * share:.1f} %)", ">= 95 %"))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def rates(config: Config, splits: SearchSplits, precision: Any) -> tuple[float, float, float]:
    """Images a second of processor time, bare and whole, and the second as a share of the first; steps take turns."""
    import torch

    from automl.training.plan import TrainPlan
    from automl.training.trainer import Trainer

    plan = TrainPlan(100, "accuracy", "max", precision=precision)
    trainer = Trainer(config, splits.info, splits.train, plan)
    bare, times = bare_step(config, splits, precision), [0.0]

    def beside() -> bool:
        """What the loop asks before each of its steps."""
        begun = time.thread_time()
        bare()
        times[-1] += time.thread_time() - begun
        return False

    trainer.should_stop = beside
    torch.set_num_threads(1)
    wholes: list[float] = []
    for _ in range(EPOCHS_TIMED + 1):
        times.append(0.0)
        begun = time.thread_time()
        trainer.train_round()
        wholes.append(time.thread_time() - begun - times[-1])
    first, second = np.array(times[2:]), np.array(wholes[1:])  # the first epoch pays for allocations
    images = len(trainer.batches) * trainer.batches.batch_size
    return images / np.median(first), images / np.median(second), float(np.median(first / second))


def bare_step(config: Config, splits: SearchSplits, precision: Any) -> Callable[[], None]:
    """Forward, loss, backward, step on one normalised batch that lies in memory; enlarging it is the model's part."""
    import torch
    from torch.nn.functional import cross_entropy

    from automl.training.evaluate import fit_size
    from automl.training.plan import TrainPlan
    from automl.training.trainer import Trainer

    made = Trainer(config, splits.info, splits.train, TrainPlan(1, "accuracy", "max"))
    images, targets = next(iter(made.batches.epoch(0)))
    model, optimizer = made.model, made.optimizer
    smoothing = float(config["label_smoothing"])
    model.train()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
            logits = model(fit_size(images, made.size))
        loss = cross_entropy(logits.float(), targets, label_smoothing=smoothing)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    return step


# --- cores --------------------------------------------------------------------------------------------------


def cores(args: argparse.Namespace, folder: Path) -> list[Row]:
    """How fast the ways are in which the retrain can use all cores."""
    from automl.spaces import SearchSpace
    from automl.torch_setup import set_threads
    from automl.training.hardware.half_precision import has_bf16
    from automl.training.plan import TrainPlan
    from automl.training.trainer import Trainer

    everything, portfolio = os.cpu_count() or 1, SearchSpace.load("cpu").portfolio
    ways = {"one core": (1, 1), "batches": (1, everything), "operators": (everything, 1)}  # threads, replicas
    precision: Any = "bf16" if has_bf16("cpu") else "fp32"
    rows: list[Row] = []
    for config in (portfolio[0], *[c for c in portfolio if c["opt"] == "adamw" and not c["pretrained"]][1:]):
        splits = cifar(args.zip, folder, n_train=960, n_val=10)
        trainers = {
            way: Trainer(
                config,
                splits.info,
                splits.train,
                TrainPlan(100, "accuracy", "max", precision=precision, threads=threads, replicas=replicas),
            )
            for way, (threads, replicas) in ways.items()
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(4):
            for way, (threads, _) in ways.items():
                set_threads(threads)
                begun = time.perf_counter()
                trainers[way].train_round()
                times[way].append(time.perf_counter() - begun)
        rates = ", ".join(f"{way} {960 / min(found):.0f}" for way, found in times.items())
        rows.append((f"cores: {config['model']} x{config['upscale']}, images/s", rates, ""))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


# --- memory -------------------------------------------------------------------------------------------------


def memory(args: argparse.Namespace, folder: Path) -> list[Row]:
    """Resident memory after the first 20 trials and after all, of one process."""
    from automl.search.objective import Launch, Stepper
    from automl.spaces import SearchSpace
    from automl.training.hardware.out_of_memory import held
    from automl.training.plan import TrainPlan
    from automl.training.trial import ImageTrial

    splits = cifar(args.zip, folder, n_train=160, n_val=50)
    plan = TrainPlan(1, "accuracy", "max")
    found, models = [], [m for ms in SearchSpace.load("smoke").families.values() for m in ms]
    configs = list(drawn(args.trials))
    for k, config in enumerate(configs):
        model = models[k % len(models)]
        config = {**config, "model": model, "family": model, "ema": (0.0, 0.99)[k % 2]}
        launch = Launch(k, config, 0, folder / f"t{k:04d}" / "checkpoint", frozenset({1}))
        stepper = Stepper(lambda c: ImageTrial(c, splits=splits, plan=plan), launch)
        stepper.step()
        stepper.close()
        found.append(held("cpu") / 2**20)
        if k % 20 == 19:
            print(f"{k + 1} trials, {found[-1]:.0f} MB", file=sys.stderr, flush=True)
    early, late = found[19], found[-1]
    rows = [("memory: trials in one process", str(len(found)), "")]
    value = f"{early:.0f} MB -> {late:.0f} MB ({100 * (late / early - 1):+.1f} %)"
    return [*rows, ("memory: after the first 20 -> after all", value, "<= +5 %")]


# --- rungs --------------------------------------------------------------------------------------------------


def rungs(args: argparse.Namespace, folder: Path) -> list[Row]:
    """Rank correlations of each way, and the seconds that its run took against the plain one's."""
    splits = cifar(args.zip, folder, n_train=STUDY_TRAIN, n_val=STUDY_VAL)
    found: dict[str, dict[str, Any]] = {}
    if args.kept and args.kept.is_file():
        found = json.loads(args.kept.read_text())
    for k, config in enumerate(drawn(args.configs)):
        if str(k) in found:
            continue
        found[str(k)] = {"config": config, **trained_in_all_ways(config, splits)}
        print(
            k,
            {key: value for key, value in found[str(k)].items() if key != "config"},
            file=sys.stderr,
            flush=True,
        )
        if args.kept:
            args.kept.write_text(json.dumps(found))
    return correlations(list(found.values()))


def drawn(n: int) -> Iterator[Config]:
    """Configurations out of rungs.yaml for one small network; the way of the schedule is left open."""
    import optuna

    from automl.spaces import SearchSpace

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = SearchSpace.load(Path(__file__).with_name("rungs.yaml"))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    fixed = {"family": "resnet", "model": "resnet10t", "width": 0.5, "upscale": 1.0, "ema": 0.0}
    for _ in range(n):
        yield {**space.suggest(study.ask()), **fixed}


def trained_in_all_ways(config: Config, splits: SearchSplits) -> dict[str, Any]:
    """Accuracies at the rungs of every way, with and without averaged weights, and of the finished model."""
    from automl.training.steps.schedules import FLOOR, SCHEDULES

    def eased(progress: float, warmup: float) -> float:
        """The stable rate; down over the last 40 % of the stretch before each rung, and up again after it."""
        epoch, begun = progress * EPOCHS, 0
        for end in (*RUNGS, EPOCHS):
            if epoch < end or end == EPOCHS:
                share = (epoch - begun) / (end - begun)
                factor = 1.0 if share < 0.6 else max(FLOOR, 1.0 - (share - 0.6) / 0.4)
                return factor * SCHEDULES["constant"](progress, warmup)
            begun = end
        raise AssertionError

    def eased_in_onecycle(progress: float, warmup: float) -> float:
        """One cycle, and the same dips in it."""
        return SCHEDULES["onecycle"](progress, warmup) * eased(progress, 0.0)

    short = {**config, "warmup": min(0.1, float(config["warmup"]))}  # 40 % of warm-up would be most of a rung
    ways: dict[str, tuple[Config, Callable[[float, float], float]]] = {
        "onecycle": (config, SCHEDULES["onecycle"]),
        "cosine": (short, SCHEDULES["cosine"]),
        "stable": (short, SCHEDULES["wsd"]),
        "eased": (short, eased),
        "eased onecycle": (config, eased_in_onecycle),
    }
    found: dict[str, Any] = {}
    for name, (used, schedule) in ways.items():
        found |= followed(name, used, schedule, splits, seed=0)
    final = followed("final", config, SCHEDULES["onecycle"], splits, seed=1, only_last=True)
    return found | {"final": final["final"][-1], "final averaged": final["final, averaged 0.95"][-1]}


def followed(
    name: str,
    config: Config,
    schedule: Callable[[float, float], float],
    splits: SearchSplits,
    *,
    seed: int,
    only_last: bool = False,
) -> dict[str, Any]:
    """One run: validation accuracy at the rungs of the last weights and of moving averages of them."""
    import torch

    from automl.torch_setup import import_timm
    from automl.training.evaluate import predict_rows, score
    from automl.training.hardware.half_precision import has_bf16
    from automl.training.plan import TrainPlan
    from automl.training.trainer import Trainer

    plan = TrainPlan(EPOCHS, "accuracy", "max", seed=seed, precision="bf16" if has_bf16("cpu") else "fp32")
    trainer = Trainer(config, splits.info, splits.train, plan)
    trainer.schedule = schedule
    averages_of = import_timm().utils.ModelEmaV3
    averages = {f", averaged {d}": averages_of(trainer.model, decay=d, use_warmup=True) for d in (0.95, 0.99)}

    def follow(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for average in averages.values():
            average.update(trainer.model, step=trainer.steps)

    trainer.optimizer.register_step_post_hook(follow)
    found: dict[str, Any] = {name: [], **{name + suffix: [] for suffix in averages}}
    begun = time.process_time()
    for epoch in range(1, EPOCHS + 1):
        trainer.train_round()
        if epoch not in ((EPOCHS,) if only_last else (*RUNGS, EPOCHS)):
            continue
        for suffix, model in {"": trainer.model, **{s: a.module for s, a in averages.items()}}.items():
            logits, targets = predict_rows(
                model, splits.val, splits.info, size=trainer.size, precision=plan.precision
            )
            found[name + suffix].append(score(logits, targets, splits.info, "accuracy")["accuracy"])
    return found | {f"{name} seconds": time.process_time() - begun}


def correlations(found: list[dict[str, Any]]) -> list[Row]:
    """Spearman's correlation at each rung, and at the end of the trial, with the finished model."""
    from scipy.stats import spearmanr

    final = [run["final"] for run in found]
    rows: list[Row] = [("rungs: configurations", str(len(found)), "")]
    for name in (key for key, value in found[0].items() if isinstance(value, list)):
        at = [spearmanr([run[name][k] for run in found], final).statistic for k in range(len(RUNGS) + 1)]
        last = np.mean([run[name][-1] for run in found])
        text = "  ".join(f"{value:.2f}" for value in at)
        rows.append(
            (
                f"rungs: {name}",
                f"{text}  ({last:.3f})",
                f"epochs {(*RUNGS, EPOCHS)} (mean accuracy at the end)",
            )
        )
    return rows


PARTS: dict[str, Callable[[argparse.Namespace, Path], list[Row]]] = {
    "cores": cores,
    "loop": loop,
    "memory": memory,
    "rungs": rungs,
}


if __name__ == "__main__":
    main()
