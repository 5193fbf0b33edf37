"""Describe configurations and results as text."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.config.durations import format_duration
from automl.final.evaluation.words import of_document, weakest
from automl.final.evidence import words
from automl.final.evidence.delivery import DERIVED, Delivery
from automl.records import Config, Interval, TrialRow, TrialState, score_text
from automl.review.studies import REPORT_FILE
from automl.search.storage.kinds import HEAD, kind_of
from automl.spaces.architectures.factories import DEPTHS_WORDS, ENSEMBLE, LINEAR_ON_PIXELS, is_factory
from automl.terminal.wrapping import wrapped

HEAD_WORDS = "linear head on 16 x 16 pixels"
_SCHEDULES = {"onecycle": "one-cycle", "wsd": "warm-up, stable, decay", "none": "constant lr"}
_OUTPUTS = {"multilabel": ("label", "labels"), "regression": ("target", "targets")}
_FROZEN = {
    "none": "no layer frozen",
    "half": "half of the layers frozen",
    "stages": "all but the last stage frozen",
    "head": "all but the head frozen",
}
_POOLED = {"token": "class token", "avg": "mean of tokens"}
_WORDS: dict[str, Callable[[Any], str]] = {
    "model": lambda value: {LINEAR_ON_PIXELS: HEAD_WORDS, ENSEMBLE: "ensemble"}.get(value, str(value)),
    "pretrained": lambda value: "pretrained" if value else "from scratch",
    "width": lambda value: f"{number(value)} of its width",
    "upscale": lambda value: f"images x{number(value)}",
    "size": lambda value: f"at {value} px",
    "estimator": str,
    "strength": lambda value: f"strength {number(value)}",
    "freeze": lambda value: _FROZEN.get(str(value), str(value)),
    "depths": lambda value: f"features {DEPTHS_WORDS}",
    "global_pool": lambda value: _POOLED.get(str(value), f"pool {value}"),
    "freeze_norm": lambda value: f"statistics of batch norm {'kept' if value else 'learned'}",
    "opt": str,
    "lr": lambda value: f"lr {number(value)}",
    "head_lr": lambda value: f"head x{number(value)}",
    "layer_decay": lambda value: f"layer decay {number(value)}",
    "weight_decay": lambda value: f"weight decay {number(value)}",
    "momentum": lambda value: f"momentum {number(value)}",
    "batch_size": lambda value: f"batch {value}",
    "sched": lambda value: _SCHEDULES.get(str(value), str(value)),
    "warmup": lambda value: f"warm-up {number(value)}",
    "augment": lambda value: f"augmentation {number(value)}",
    "label_smoothing": lambda value: f"label smoothing {number(value)}",
    "rand_augment": lambda value: f"RandAugment {number(value)}",
    "mixup": lambda value: f"mixup {number(value)}",
    "cutmix": lambda value: f"cutmix {number(value)}",
    "drop_path": lambda value: f"drop path {number(value)}",
    "ema": lambda value: f"ema {number(value)}",
}
# Values that mean "not used".
_HIDDEN_AT_ZERO = (
    "rand_augment",
    "mixup",
    "cutmix",
    "drop_path",
    "ema",
    "label_smoothing",
    "warmup",
    "depths",
)
_HIDDEN_AT_ONE = ("width", "upscale")
_MAIN = (
    *(
        "model",
        "pretrained",
        "width",
        "upscale",
        "size",
        "global_pool",
        "depths",
        "estimator",
        "strength",
        "freeze",
        "opt",
        "lr",
    ),
    *("batch_size", "sched", "augment", "hflip", "rot90"),
)


def number(value: Any) -> str:
    """Return a short form of a number: `0.0040`, `0.5`, `3.1e-05`, `64`; other values as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or not math.isfinite(value) or value == int(value):
        return f"{value:.0f}"
    if abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.4f}" if abs(value) < 0.01 else f"{value:.3g}"


def score(value: float | None) -> str:
    """Return a metric's value with four decimals (two from 100 on), or `score_text`; a dash for None and NaN."""
    if value is None or math.isnan(value):
        return "-"
    return score_text(value) if abs(value) < 100 or abs(value) >= 1e6 else f"{value:.2f}"


def config_words(config: Config, *, everything: bool = False) -> str:
    """Return a configuration as text: `resnet10t, adamw, lr 0.0040, batch 64, augmentation 0.5 with flips`.

    Without `everything` it has the most important parameters only (all, if the space has none of them).
    """
    config = _with_tag(config)
    names = list(_WORDS) if everything else [name for name in _MAIN if name in config]
    parts = [_WORDS[name](config[name]) for name in names if name in _WORDS and _is_shown(name, config)]
    used = [word for name, word in (("hflip", "flips"), ("rot90", "turns")) if config.get(name)]
    if used:
        flips = f"with {' and '.join(used)}"
        augmented = [index for index, part in enumerate(parts) if part.startswith("augmentation")]
        if augmented:
            parts[augmented[0]] += f" {flips}"
        else:
            parts.append(flips)
    known = {*_WORDS, "hflip", "rot90", "family"}
    if everything or not parts:
        parts += [f"{name} {number(value)}" for name, value in config.items() if name not in known]
    return ", ".join(parts) or "no parameters"


def _with_tag(config: Config) -> Config:
    """Return the configuration with the tag of its weights in the model's name, and none for a network from scratch."""
    shown = {name: value for name, value in config.items() if name != "weights"}
    model = str(config.get("model", ""))
    if config.get("weights"):
        shown["model"] = config["weights"]
    elif not config.get("pretrained") and not is_factory(model):
        shown["model"] = model.partition(".")[0]
    return shown if model else dict(config)


def _is_shown(name: str, config: Config) -> bool:
    if name in _HIDDEN_AT_ONE and config.get(name) == 1:
        return False
    return config.get(name) is not None and not (name in _HIDDEN_AT_ZERO and config[name] in (0, 0.0))


def row_cells(rank: int, row: TrialRow) -> tuple[str, ...]:
    """Return the first cells of a trial's row in a table: rank, trial, state, value, rounds, epochs, seconds."""
    epochs = "-" if row.epochs is None else f"{row.epochs:.1f}"
    numbers = (score(row.value), str(row.rounds), epochs, f"{row.seconds:.1f}")
    return str(rank), str(row.trial), str(row.state), *numbers


def counts_words(counts: Mapping[str, int]) -> str:
    """Return trial counts as text: `12 trials: 4 complete, 7 pruned, 1 failed; and 2 linear heads`."""
    heads = counts.get("heads", 0)
    total = counts.get("total", sum(counts.values()) - heads)
    parts = [f"{counts[state]} {state}" for state in TrialState if counts.get(state)]
    said = f"{total} trial{'' if total == 1 else 's'}" + (f": {', '.join(parts)}" if parts else "")
    return f"{said}; and {heads} linear head{'' if heads == 1 else 's'}" if heads else said


def interval_words(entry: Mapping[str, float] | Interval) -> str:
    """Return a holdout score with its 95 % interval: `0.9806 (0.9583 to 0.9911)`."""
    value = entry if isinstance(entry, Interval) else Interval(entry["value"], entry["low"], entry["high"])
    return f"{score(value.value)} ({score(value.low)} to {score(value.high)})"


def dashboard_command(study: str, flags: str = "") -> str:
    """Return the command that opens the dashboard of a study."""
    return f"automl dashboard {study}{flags}"


def summary(result: Mapping[str, Any], model_dir: Path, dashboard: str) -> list[tuple[str, str]]:
    """Return the summary of a finished study as (name, text); `result` is result.json."""
    best, metric = result["best"], str(result["metric"])
    val_trivial = best.get("val_trivial")
    answer = result.get("trivial_words", {}).get(metric, "trivial answer")
    folds = words.folds(result)
    apart = f" (out of fold, {folds} folds)" if folds else ""
    val = f"{score(best.get('val_score'))}{apart}, from trial {best.get('trial')}"
    own = delivered_val(result)
    if best.get("val_score") is not None and own not in (None, best["val_score"]):
        val = f"{score(own)}, of the delivered model; best training: {val}"
    if best.get("val_score") is None:
        val = f"none: {words.not_scored(result)}"
    beside = "" if val_trivial is None else f"; {answer} ({score(val_trivial)})"
    return [
        *((f"holdout {name}", _held_words(result, name, entry)) for name, entry in _holdout(result)),
        (f"val {metric}", f"{val}{beside}"),
        ("delivered", "" if _is_retrained(result) else _delivered_words(result)),
        ("best training" if _is_head(result) or _is_derived(result) else "best", _best_words(result)),
        ("weights", _weights_words(result)),
        ("trials", counts_words(result.get("trials", {}))),
        ("time", _time_words(result.get("time", {}))),
        ("model", str(model_dir)),
        ("report", _report_words(model_dir.parent)),
        ("dashboard", dashboard),
    ]


def _report_words(study: Path) -> str:
    """Return the path of a study's report; "" without one."""
    report = study / REPORT_FILE
    return str(report) if report.is_file() else ""


def _best_words(result: Mapping[str, Any]) -> str:
    """Return the best trial's configuration; without a scored trial none was the best."""
    said = config_words(named(result["best"].get("config", {}), result))
    return said if words.is_scored(result) else f"none; the first configuration was {said}"


def named(config: Config, result: Mapping[str, Any]) -> Config:
    """Return a configuration with the weights that it started from, if `result` (result.json) knows them."""
    weights = result.get("pretrained", {}).get("weights", {})
    known = weights.get(config.get("model")) if config.get("pretrained") else None
    return {**config, "weights": known["weights"]} if known else dict(config)


def _weights_words(result: Mapping[str, Any]) -> str:
    """Return name, licence and source of the weights that the delivered model started from; "" without any."""
    weights = result.get("weights")
    if not weights:
        return ""
    where = weights["origin"] or f"your {weights['source']}"
    return f"{weights['weights']}, licence: {weights['licence']}, from {where}"


def _held_words(result: Mapping[str, Any], name: str, entry: Mapping[str, float]) -> str:
    trivial = words.trivial(result, name)
    return f"{interval_words(entry)}, 95 % interval" + (f"; {trivial}" if trivial else "")


def _is_retrained(result: Mapping[str, Any]) -> bool:
    return bool(result.get("retrain", {}).get("how", Delivery.RETRAINED) == Delivery.RETRAINED)


def _delivered_words(result: Mapping[str, Any]) -> str:
    """Return how the delivered model was made, and which network or trial it is if the best trial does not say so."""
    said, retrain = words.made(result), result["retrain"]
    if delivered_kind(result) == Delivery.DISTILLED:
        return f"{_student_words(result)}: {said}"
    if not _is_head(result):
        return said
    config, trial = retrain.get("config", {}), retrain.get("trial")
    which = "" if trial is None else f"trial {trial}, "
    pooled = _POOLED.get(str(config.get("global_pool")), "")
    of = (
        HEAD_WORDS
        if config.get("model") == LINEAR_ON_PIXELS
        else f"linear head on features of {named(config, result).get('weights', config.get('model'))}"
        + (f" ({pooled})" if pooled else "")
        + (f" {DEPTHS_WORDS}" if config.get("depths") else "")
    )
    return f"{which}{of}: {said.removeprefix('a linear head, ')}"


def _student_words(result: Mapping[str, Any]) -> str:
    """Return which network was distilled, with its parameters if they are known."""
    student = _student(result["retrain"].get("evidence") or {})
    params = f", {student['params']:,} parameters" if student.get("params") else ""
    return f"{config_words(named(words.delivered_config(result), result))}{params}"


def delivered_kind(result: Mapping[str, Any]) -> str:
    """Return the kind of the delivered model, as in the column `kind` of the leaderboard."""
    retrain = result.get("retrain", {})
    made = retrain.get("made", retrain.get("how"))
    if made in DERIVED:
        return str(made)
    config = retrain.get("config", result.get("best", {}).get("config", {}))
    return kind_of(config, HEAD if made == Delivery.HEAD else "")


def delivered_val(result: Mapping[str, Any]) -> float | None:
    """Return the validation score of the delivered model, as its own record has it.

    That of a head and of a trial that was chosen; what a student, a soup or an ensemble reached on the rows that chose
    it; else that of the best trial, if the model is of it. None if there is none.
    """
    retrain, best = result.get("retrain", {}), result.get("best", {})
    made = retrain.get("made", retrain.get("how"))
    value: float | None
    if made in DERIVED:
        value = _derived_val(str(made), retrain.get("evidence") or {})
    elif made == Delivery.HEAD or retrain.get("val_score") is not None:
        value = retrain.get("val_score")
    else:
        value = (
            best.get("val_score") if retrain.get("trial", best.get("trial")) == best.get("trial") else None
        )
    return value


def _derived_val(made: str, evidence: Mapping[str, Any]) -> float | None:
    """Return the score of a student, a soup or an ensemble; None if an earlier version did not write it."""
    about = _student(evidence) if made == Delivery.DISTILLED else evidence.get(made) or {}
    value: float | None = about.get("value")
    return value


def _student(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is known of the delivered student; empty without one."""
    about = evidence.get("distillation") or {}
    students, chosen = about.get("students", ()), about.get("chosen")
    return students[chosen] if chosen is not None and chosen < len(students) else {}


def _is_derived(result: Mapping[str, Any]) -> bool:
    """Return whether the delivered model was made of others: a student, a soup or an ensemble."""
    return delivered_kind(result) in DERIVED


def _is_head(result: Mapping[str, Any]) -> bool:
    return bool(result.get("retrain", {}).get("how") == Delivery.HEAD)


def _outputs_words(result: Mapping[str, Any]) -> str:
    """Return how many classes, labels or targets a model has, in the word of its task."""
    count = result.get("data", {}).get("n_classes")
    one, several = _OUTPUTS.get(str(result.get("task")), ("class", "classes"))
    return f"{count} {one if count == 1 else several}"


def aligned(rows: Sequence[tuple[str, str]], width: int | None = None, *, first: int = 0) -> list[str]:
    """Return lines with names and texts in columns, wrapped to `width` characters; rows without text are left out.

    `first` is the least width of the first column.
    """
    first = max([first, *(len(name) for name, _ in rows)])
    return [
        line
        for name, text in rows
        if text
        for line in wrapped(f"{name:<{first}}   {text}", width, indent=first + 3)
    ]


def _holdout(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    """Return the study's own metric first, then the others."""
    scores = dict(result.get("holdout", {}))
    return sorted(scores.items(), key=lambda item: item[0] != result["metric"])


def _time_words(time: Mapping[str, Any]) -> str:
    used, limit = time.get("used_s"), time.get("limit_s")
    if used is None:
        return ""
    every = time.get("all_runs_s") or used
    runs = f"; {format_duration(every)} in all runs" if every > used else ""
    return format_duration(used) + (f" of {format_duration(limit)}" if limit else "") + runs


def details(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what `automl show` adds to the summary: full configuration, data, gap, work, versions."""
    data, retrain, gap = result.get("data", {}), result.get("retrain", {}), result.get("gap", {})
    work, versions = result.get("work", {}), result.get("versions", {})
    which, config = "in full", result.get("best", {}).get("config", {})
    if delivered_kind(result) == Delivery.DISTILLED:
        which, config = "student in full", words.delivered_config(result)
    rows = [(which, config_words(named(config, result), everything=True))]
    if data:
        counts = f"{data.get('n_train')} train, {data.get('n_val')} val, {data.get('n_holdout')} holdout"
        if folds := words.folds(result):
            counts = f"{data.get('n_val')} in {folds} folds, {data.get('n_holdout')} holdout"
        skipped = f", {data['n_skipped']} skipped" if data.get("n_skipped") else ""
        rows.append(("images", f"{counts}{skipped}; {_outputs_words(result)}"))
    if retrain:
        seconds = format_duration(retrain.get("seconds") or 0.0)
        if _is_retrained(result):
            rows.append(("delivered", f"{words.made(result)}, {seconds}"))
        rows.append(("because", str(retrain.get("why") or "")))
    if said := weakest(of_document(result)):
        rows.append(
            (
                "weakest",
                f"{said} `automl evaluate {shlex.quote(str(result.get('study')))}` shows all of them.",
            )
        )
    if "holdout_reads" in result:
        rows.append(("holdout", words.reads(result)))
    rows.append(("gap", str(gap.get("explained") or "")))
    if work.get("images_trained"):
        # Without `rounds`, the result is of an earlier version, whose `epochs` are rounds.
        epochs = f" ({work['epochs']} epochs)" if "rounds" in work else ""
        rounds = work.get("rounds", work.get("epochs"))
        noun = "round" if rounds == 1 else "rounds"
        rows.append(("work", f"{work['images_trained']:,} images trained in {rounds} {noun}{epochs}"))
    rows.append(("seed", str(result.get("seed", ""))))
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in dict(versions).items())))
    return rows
