"""Write the results: result.json, trials.csv and the model card."""

from __future__ import annotations

import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

from automl._version import __version__
from automl.config import StudyConfig
from automl.final.card import CARD_FILE, write_card
from automl.final.evidence.delivery import DERIVED, Delivery
from automl.final.evidence.earlier import Earlier
from automl.final.evidence.gap import Facts, explain_gap
from automl.final.loading.preprocess import read_preprocess
from automl.final.model_folder import weights_sha256
from automl.final.predictor import Predictor
from automl.pipeline.context import ledger_of
from automl.pipeline.plan.pretrained import public_record
from automl.pipeline.report.own_report import report_at_end
from automl.pipeline.retrain.judge import val_trivial
from automl.pipeline.retrain.retrain_time import images_of, interrupted
from automl.pipeline.setup import Setup
from automl.pipeline.study_folder import DATA_REPORT, Workspace, write_json, write_text
from automl.records import Config, Interval, rows_of
from automl.result import FitResult
from automl.review.tables import delivered_of, write_trials
from automl.review.trials import judged, stored_rows, with_weights
from automl.search import SearchResult
from automl.terminal.masking import mask_passwords

LONGER = 2.0  # times the seconds of the earlier retrain: then another one is worth its time
PACKAGES = ("numpy", "optuna", "ray", "scikit-learn", "timm", "torch", "torchvision")


@dataclass(frozen=True)
class Scores:
    """The entries of result.json about the delivered model's scores. `reads`: how often the holdout was read.

    `usable_test` is None for a model of an earlier version, which did not tell the test.
    """

    holdout: dict[str, dict[str, float]]
    trivial: dict[str, float | None]
    trivial_words: dict[str, str]
    usable: bool
    usable_test: Mapping[str, Any] | None
    evaluation: Mapping[str, Any] | None
    reads: int


@dataclass(frozen=True)
class Outcome:
    """The results of the stages after the search.

    `retrain` is the entry of result.json about the delivered model, `retrain_images` the number of images on which this
    run's retrain trained. `stopped` is the stage that Ctrl-C ended, None without one. `predictor` is the delivered
    model, None if it was not loaded.
    """

    best_config: Config
    trial: int
    retrain: dict[str, Any]
    retrain_images: int
    scores: Scores
    stopped: str | None = None
    predictor: Predictor | None = field(default=None, repr=False)


def is_done(config: StudyConfig, workspace: Workspace) -> bool:
    """Return whether an earlier run has already finished all trials that are asked for."""
    earlier = workspace.read_result()
    if earlier is None or config.n_trials is None or not (workspace.model_dir / "config.json").is_file():
        return False
    counts = earlier["trials"]
    # Without "unfinished", the result is of an earlier version, which counted such trials as pruned.
    ended = sum(int(counts.get(kind, 0)) for kind in ("complete", "pruned", "unfinished", "failed"))
    return ended == int(counts["total"]) >= config.n_trials


def keep_model(found: SearchResult, earlier: Earlier, seconds: float | None) -> Outcome | None:
    """Return the outcome of an earlier run if its model is still the best, so that the holdout stays closed.

    A retrain that time ended is made again if there is clearly more time for it now: `seconds`, None without a limit.
    """
    result = earlier.result
    if not _was_full(result["retrain"]):
        return None  # another retrain may give a better model
    best = result["best"]
    if best["trial"] != found.best.number or best.get("rounds", best["epochs"]) != found.best.round:
        return None
    took = took_when_timed(result["retrain"])
    if seconds is not None and took is not None and seconds >= LONGER * took:
        return None
    return Outcome(
        best_config=best["config"],
        trial=best["trial"],
        retrain=result["retrain"],
        retrain_images=0,
        scores=kept_scores(earlier),
        stopped="search" if interrupted(found) else None,
    )


def took_when_timed(retrain: Mapping[str, Any]) -> float | None:
    """Return the seconds of a retrain, by its entry of result.json, if time ended it before its last epoch."""
    done = (retrain.get("evidence") or {}).get("retrain") or {}
    return max(1.0, float(done["seconds"])) if done.get("timed") else None


def kept_scores(earlier: Earlier) -> Scores:
    """Return the scores of an earlier model that is kept, as its result says them: the holdout is not read again."""
    result = earlier.result
    return Scores(
        holdout=result["holdout"],
        trivial=result.get("trivial", {}),  # earlier versions did not compare with it
        trivial_words=result.get("trivial_words", {}),
        usable=bool(result.get("usable", True)),
        usable_test=result.get("usable_test"),
        evaluation=result.get("evaluation"),
        reads=int(result["holdout_reads"]),
    )


def _was_full(retrain: dict[str, Any]) -> bool:
    """Return whether the model is a full retrain, or was better than one that took as long as the best trial."""
    full = (Delivery.RETRAINED, *DERIVED)
    if retrain.get("how", Delivery.RETRAINED) in full:
        return True
    evidence = retrain.get("evidence") or {}
    done, trial = evidence.get("retrain") or {}, evidence.get("trial") or {}
    return bool(done.get("progress", 0.0) >= 1.0 and done["images"] >= trial["images"])


def unchanged(setup: Setup, found: SearchResult) -> FitResult | None:
    """Return the result of an earlier run if no trial took another round since then, so that it stays as it is."""
    earlier = setup.workspace.read_result()
    if earlier is None or earlier.get("stopped") is not None:
        return None
    # An earlier version did not count unfinished trials apart, so that its pruned ones may be either.
    known = {"unfinished", "pruned"} if "unfinished" not in earlier["trials"] else set[str]()
    known.add("heads")  # earlier versions did not count them
    counts = {name: count for name, count in found.counts.items() if name not in known}
    if counts != {name: count for name, count in earlier["trials"].items() if name not in known}:
        return None
    if earlier.get("work", {}).get("rounds") != found.rounds_run:
        return None
    return FitResult(setup.workspace.root, earlier, unchanged_after=setup.clock.elapsed())


def write_outcome(setup: Setup, found: SearchResult, outcome: Outcome) -> FitResult:
    """Write data_report.json, trials.csv, the model card, report.html and, last, result.json."""
    root, model = setup.workspace.root, setup.workspace.model_dir
    write_text(root / DATA_REPORT, setup.data.report.to_json() + "\n")
    rows = with_weights(stored_rows([*found.heads, *found.trials]), setup.pretrained.record)
    rows = judged(rows, setup.metric.name, setup.data.splits.info)
    made = delivered_of(outcome.retrain, outcome.trial)
    write_trials(rows, setup.metric.name, setup.metric.mode, root / "trials.csv", made)
    preprocess, earlier = read_preprocess(model), setup.workspace.read_result()
    document = _document(setup, found, outcome, mirrored=preprocess.mirrored)
    document["work"] = _work(setup, found, outcome, earlier)
    write_card(model / CARD_FILE, document, preprocess)
    setup.clock.finish_stage("holdout")
    setup.clock.hold_back(0.0)
    told: dict[str, Any] = {}
    ledger_of(setup).ends()

    def costs() -> dict[str, Any]:
        setup.clock.finish_stage("report")
        times = _times(setup, found)
        ledger_of(setup).settle(float(times["used_s"] or 0.0))
        told.update(time=_with_all_runs(setup, times), cost=ledger_of(setup).entry())
        return told

    verdict = report_at_end(setup, document, outcome.predictor, costs)
    document |= told or costs()
    document["verdict"] = list(verdict)
    write_json(setup.workspace.result_json, document)
    return FitResult(root, document)


def _document(setup: Setup, found: SearchResult, outcome: Outcome, *, mirrored: bool) -> dict[str, Any]:
    config, info, best = setup.config, setup.data.splits.info, found.best
    epochs = {trial.number: trial.epochs or 0.0 for trial in found.trials}
    gap = explain_gap(_facts(setup, found, outcome, mirrored=mirrored))
    val = finite(best.value)
    return {
        "study": config.study,
        "task": info.task,
        "metric": setup.metric.name,
        "mode": setup.metric.mode,
        "val": "cv" if info.folds else "split",
        "balance": setup.plan.balance,
        "deliver": config.deliver,
        "seed": config.seed,
        "space": config.space if isinstance(config.space, str) else "given in Python",
        "data": {
            "name": info.name,
            "fingerprint": info.fingerprint,
            "n_train": info.n_scored if info.folds else info.n_train,
            "n_val": info.n_scored,
            "folds": info.folds,
            "n_holdout": info.n_holdout,
            "n_classes": info.n_outputs,
            "n_skipped": info.n_skipped,
        },
        "best": {
            "trial": outcome.trial,
            "config": outcome.best_config,
            "weights": setup.pretrained.attributes(outcome.best_config).get("weights"),
            "val_score": val,
            "val_trivial": finite(val_trivial(setup).value),
            "rounds": best.round,
            "epochs": epochs.get(best.number, 0.0),
        },
        "retrain": outcome.retrain,
        "weights": _weights_of(setup, outcome),
        "model_sha256": weights_sha256(setup.workspace.model_dir),
        "holdout": outcome.scores.holdout,
        "usable": outcome.scores.usable,
        "usable_test": outcome.scores.usable_test,
        "trivial": outcome.scores.trivial,
        "trivial_words": outcome.scores.trivial_words,
        **({} if outcome.scores.evaluation is None else {"evaluation": outcome.scores.evaluation}),
        "holdout_reads": outcome.scores.reads,
        "gap": {**asdict(gap), "val": val},
        "trials": {**found.counts, "heads": len(found.heads)},
        "stopped": outcome.stopped,
        "time": {},  # written last
        "cost": {},
        "work": {},
        "pretrained": public_record(setup.pretrained.record),
        "shortened": list(setup.shortened),
        "warm_start": setup.identity["warm_start"]["studies"],
        "versions": versions(),
        "command": " ".join(mask_passwords(part) for part in sys.argv),
    }


def _weights_of(setup: Setup, outcome: Outcome) -> dict[str, str] | None:
    """Return about which weights the model, or any member of an ensemble, started from; None from scratch."""
    retrain = outcome.retrain
    members = [row["weights"] for row in retrain.get("members", ()) if row["weights"]]
    if not members:
        return _begun_with(setup, retrain.get("config") or outcome.best_config)
    return {name: ", ".join(dict.fromkeys(row[name] for row in members)) for name in members[0]}


def _begun_with(setup: Setup, config: Config) -> dict[str, str] | None:
    """Return name, licence, source and origin of the weights that a configuration started from, or None."""
    weights = setup.pretrained.weights.get(config.get("model", "")) if config.get("pretrained") else None
    return None if weights is None else weights.about()


def finite(value: float) -> float | None:
    """Return the value, None for NaN and infinities."""
    return value if math.isfinite(value) else None


def _facts(setup: Setup, found: SearchResult, outcome: Outcome, *, mirrored: bool) -> Facts:
    """Return what is known about the validation and the holdout score."""
    info, best, retrain = setup.data.splits.info, found.best, outcome.retrain
    trial = next((trial for trial in found.trials if trial.number == best.number), None)
    reports = () if trial is None else trial.reports
    last = reports[-1].metrics if reports else {}
    sign = 1.0 if setup.metric.mode == "max" else -1.0
    values = [trial.value for trial in found.trials if math.isfinite(trial.value)]
    return Facts(
        metric=setup.metric.name,
        val=best.value,
        n_val=rows_of(last) or info.n_scored,
        folds=info.folds,
        networks=round(info.folds * (rows_of(last) or info.n_scored) / max(1, info.n_scored)),
        trial=best.number,
        compared=len(values),
        leads=all(sign * best.value >= sign * value for value in values),
        trial_epochs=found.best_epochs,
        trial_images=0 if trial is None else images_of(trial, info),
        held=Interval(**outcome.scores.holdout[setup.metric.name]),
        n_holdout=info.n_holdout,
        delivery=Delivery(retrain.get("how", Delivery.RETRAINED)),
        epochs=float(retrain["epochs"]),
        images=int(retrain.get("images", 0)),
        n_train=int(retrain["n_train"]),
        reads=outcome.scores.reads,
        made=Delivery(retrain.get("made", Delivery.RETRAINED)),
        made_of=int(retrain.get("trial", best.number)),
        mirrored=mirrored,
        precision=setup.plan.precision,
    )


def _times(setup: Setup, found: SearchResult) -> dict[str, float | None]:
    """Return the seconds of this command, in all and by stage."""
    clock, used = setup.clock, round(setup.clock.elapsed(), 2)
    times: dict[str, float | None] = {"limit_s": setup.config.time_limit, "used_s": used}
    for stage in ("setup", "search", "retrain", "holdout", "report"):
        times[f"{stage}_s"] = round(clock.stages.get(stage, 0.0), 2)
    first = found.first_report
    times["first_result_s"] = None if first is None else round(first.after(clock.started), 2)
    return times


def _with_all_runs(setup: Setup, times: dict[str, float | None]) -> dict[str, float | None]:
    """Return the seconds with those of all commands of the study, also of those that were killed."""
    return {**times, "all_runs_s": round(ledger_of(setup).total().seconds, 2)}


def _work(
    setup: Setup, found: SearchResult, outcome: Outcome, earlier: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the work of all runs of the study."""
    before = _entry(earlier, "work")
    retrains = outcome.retrain_images + int(before.get("retrain_images", _retrain_images(earlier)))
    ledger = ledger_of(setup)
    worker_s = (ledger.before + ledger.own()).worker_s
    return {
        "rounds": found.rounds_run,
        "epochs": round(sum(trial.epochs or 0.0 for trial in found.trials), 2),
        "images_trained": found.images_trained + retrains,
        "retrain_images": retrains,
        "worker_s": round(worker_s, 2),
        "busy_fraction": None if worker_s <= 0 else round(min(1.0, found.busy_seconds / worker_s), 3),
    }


def _retrain_images(result: Mapping[str, Any] | None) -> int:
    """Return on how many images the retrain of an earlier version's run trained; 0 if unknown."""
    retrain = _entry(result, "retrain")
    done = (retrain.get("evidence") or {}).get("retrain") or {}
    retrained = retrain.get("how", Delivery.RETRAINED) in (Delivery.RETRAINED, Delivery.CUT_SHORT)
    return int(done.get("images", retrain.get("images", 0) if retrained else 0))


def _entry(result: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """Return an entry of an earlier result; an empty one if there is none."""
    found = None if result is None else result.get(name)
    return found if isinstance(found, Mapping) else {}


def versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of the main dependencies."""
    found = {"automl": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
