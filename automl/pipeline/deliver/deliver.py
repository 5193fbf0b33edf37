"""Make another trial or a former model of a finished study its model, without a new search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from automl.data import PreparedData
from automl.final.card import CARD_FILE, write_card
from automl.final.confidence.measure_known import seconds_for_features
from automl.final.evaluation.record import ANSWERS_FILE
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.gap import Facts, explain_gap
from automl.final.loading.preprocess import read_preprocess
from automl.final.model_folder import weights_sha256
from automl.final.predictor import Predictor
from automl.interrupt import stop_on_interrupt
from automl.pipeline.deliver.choose import Wish, choose
from automl.pipeline.deliver.draft import DIGEST, draft_folder, put_in_place, write_draft
from automl.pipeline.deliver.former import CHOSEN, keep_former, restore_former
from automl.pipeline.deliver.opened import Opened, opened_study
from automl.pipeline.deliver.sealed import Sealed
from automl.pipeline.deliver.trained import answers_of, model_of, teacher_of, trained_of
from automl.pipeline.report.own_report import report_of_result
from automl.pipeline.results import Scores, finite
from automl.pipeline.study_folder import write_json
from automl.records import Interval, Observer, Silent, TrialRow
from automl.result import FitResult
from automl.review.front.kept import Kept, Where, is_scored
from automl.review.studies import TRIALS_FILE
from automl.review.tables import delivered_of, write_trials
from automl.review.trials import judged_in, stored_rows, stored_trials, study_mode, with_weights
from automl.torch_setup import quiet_waiting

ALMOST_DONE = "Almost done; press Ctrl-C again to quit at once."


@dataclass(frozen=True)
class _Unscored:
    """A model of a trial whose draft is written, and the data that it is to be scored on.

    `trained`: the epochs and images of the trial, where they are not those of the model.
    """

    model: Alternative
    row: TrialRow
    data: PreparedData
    predictor: Predictor
    trained: tuple[float, int] | None = None


def deliver(
    study: str,
    wish: Wish,
    *,
    directory: str | Path = "studies",
    data: Any = None,
    observer: Observer | None = None,
) -> FitResult:
    """Make the model that is wished for the model of a finished study, and return its result.

    A trial is chosen by validation scores, and then scored on the holdout once: result.json says how often that was
    read in all. The former model is kept in `models/` and can be made the model again, which reads nothing. `data` is
    for data that have moved, or were in memory. Raises StudyError and ConfigError for what cannot be delivered; nothing
    has changed then. Ctrl-C changes nothing before the holdout is read; from then on the first one is ignored, since
    the rest takes only seconds.
    """
    quiet_waiting()
    with opened_study(study, directory, data, observer or Silent()) as opened:
        _, _, stored = stored_trials(opened.study)
        trials = with_weights(stored_rows(stored), opened.plan["begun_with"])
        trials = judged_in(opened.study, trials, opened.metric)
        chosen = choose(opened, trials, wish)
        if chosen.kept.where is Where.MODEL:
            opened.observer.note(f"{chosen.words} is the model of the study already.")
            return FitResult(opened.workspace.root, opened.result, unchanged_after=0.0)
        if chosen.kept.where is Where.BEFORE or chosen.row is None:
            made: dict[str, Any] | _Unscored = _restored(opened, chosen.kept, trials)
        else:
            made = _made(opened, chosen.row, chosen.kept)
        draft = draft_folder(opened.workspace)
        with stop_on_interrupt(lambda: opened.observer.note(ALMOST_DONE)):
            keep_former(opened.workspace, opened.result)
            document = _scored(opened, draft, made, wish, trials) if isinstance(made, _Unscored) else made
            document |= {"verdict": [], DIGEST: weights_sha256(draft)}
            _put_in_place(opened, draft, document, trials)
            document["verdict"] = list(_report(opened, document))
            write_json(opened.workspace.result_json, document)
            opened.workspace.publish()
        return FitResult(opened.workspace.root, document)


def _report(opened: Opened, document: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the report of the study with its new model, and return the sentences of its verdict."""
    from automl.review.report.write import Means

    return report_of_result(opened.workspace.root, opened.config, document, Means(), opened.observer)


def _restored(opened: Opened, kept: Kept, trials: list[TrialRow]) -> dict[str, Any] | _Unscored:
    """Write a draft of a model that was delivered before, and return the result with it as the model.

    The teacher of a student has no score yet: it is scored like the model of a trial.
    """
    opened.observer.stage("deliver", f"restoring the model in {kept.path}")
    document = restore_former(opened.workspace, kept.path, opened.result)
    if is_scored(document):
        return document
    data = opened.data()
    config, folder = document["retrain"]["config"], draft_folder(opened.workspace)
    predictor = Predictor.load(folder, factory=str(config["model"]), device=opened.device.kind)
    model = teacher_of(opened, document["retrain"], predictor)
    row = next(row for row in trials if row.trial == document["retrain"]["trial"])
    model = replace(model, value=math.nan if row.value is None else row.value)
    return _Unscored(model, row, data, predictor, trained_of(opened, row.trial, data))


def _made(opened: Opened, row: TrialRow, kept: Kept) -> _Unscored:
    """Write a draft of a model with the weights of a trial."""
    data = opened.data()
    opened.observer.stage("deliver", f"making a model of trial {row.trial}")
    model = model_of(opened, row.trial, kept.path, data)
    answers = answers_of(model, data, opened.device.kind)
    folder = write_draft(opened.workspace, model, answers, seed=opened.config.seed)
    predictor = Predictor.load(folder, factory=str(model.config["model"]), device=opened.device.kind)
    return _Unscored(model, row, data, predictor)


def _scored(
    opened: Opened, draft: Path, made: _Unscored, wish: Wish, trials: list[TrialRow]
) -> dict[str, Any]:
    """Score a draft on the holdout, and return the result with it as the model."""
    workspace, data, predictor = opened.workspace, made.data, made.predictor
    opened.observer.stage("holdout", "scoring the sealed holdout")
    if DIGEST not in opened.result and workspace.holdout_reads() == opened.result["holdout_reads"]:
        # A result of an earlier version: after the read, nothing else would tell that it is about the present model.
        digest = weights_sha256(workspace.model_dir)
        write_json(workspace.result_json, {**opened.result, DIGEST: digest})
    sealed = Sealed(workspace, data, opened.metric, opened.config.seed, opened.device.all_threads)
    scores, per_row = sealed.score(predictor, draft.parent / ANSWERS_FILE)
    sealed.write_known(draft, predictor, seconds=seconds_for_features(None, None), per_row=per_row)
    return _document(opened, made, wish, scores, trials)


def _put_in_place(opened: Opened, draft: Path, document: dict[str, Any], trials: list[TrialRow]) -> None:
    """Replace the model, its answers for the holdout, trials.csv and result.json; the report follows."""
    root = opened.workspace.root
    opened.observer.stage("deliver", f"writing {root}")
    delivered = delivered_of(document["retrain"], document["best"]["trial"])
    mode = study_mode(opened.study, opened.metric)
    write_trials(trials, opened.metric, mode, draft.parent / TRIALS_FILE, delivered)
    write_card(draft / CARD_FILE, document, read_preprocess(draft))
    put_in_place(opened.workspace, draft, document)
    opened.workspace.publish()


def _document(
    opened: Opened, made: _Unscored, wish: Wish, scores: Scores, trials: list[TrialRow]
) -> dict[str, Any]:
    """Return result.json with another model in it: what the search found stays."""
    model, row = made.model, made.row
    trained = model.whole or model.trained
    retrain = {
        "how": model.delivery.value,
        "why": f"{CHOSEN} {wish.in_words()}`",
        "trial": row.trial,
        "config": model.config,
        "val_score": finite(model.value),
        "epochs": trained.epochs,
        "n_train": trained.n_train,
        "images": trained.images_trained,
        "seconds": round(trained.seconds, 2),
        "evidence": {},
    }
    gap = explain_gap(_facts(opened, made, scores, trials))
    return {
        **opened.result,
        "retrain": retrain,
        "weights": None if trained.weights is None else trained.weights.about(),
        "holdout": scores.holdout,
        "usable": scores.usable,
        "usable_test": scores.usable_test,
        "trivial": scores.trivial,
        "trivial_words": scores.trivial_words,
        "evaluation": scores.evaluation,
        "holdout_reads": scores.reads,
        "gap": {"val": finite(gap.val), "holdout": gap.holdout, "explained": gap.explained},
    }


def _leads(opened: Opened, row: TrialRow, trials: list[TrialRow]) -> bool:
    """Return whether no trial has a better score than this one."""
    values = [other.value for other in trials if other.value is not None]
    best = max if study_mode(opened.study, opened.metric) == "max" else min
    return bool(values) and row.value == best(values)


def _facts(opened: Opened, made: _Unscored, scores: Scores, trials: list[TrialRow]) -> Facts:
    """Return what is known about the validation score of a trial, and the holdout score of its model."""
    model, row, info = made.model, made.row, made.data.splits.info
    trained = model.whole or model.trained
    epochs, images = made.trained or (trained.epochs, trained.images_trained)
    best = opened.result["best"]
    head = model.delivery is Delivery.HEAD  # then the validation score is the best trial's, as `fit` says it
    val = best["val_score"] if head else finite(model.value)
    scored = sum(one.value is not None for one in trials if one.kind != row.kind or not head)
    return Facts(
        metric=opened.metric,
        val=float("nan") if val is None else float(val),
        n_val=info.n_scored,
        folds=info.folds,
        trial=int(best["trial"]) if head else row.trial,
        compared=scored,
        leads=head or _leads(opened, row, trials),
        chosen=not head,
        trial_epochs=float(best["epochs"]) if head else epochs,
        trial_images=0 if head else images,
        held=Interval(**scores.holdout[opened.metric]),
        n_holdout=info.n_holdout,
        delivery=model.delivery,
        epochs=trained.epochs,
        images=trained.images_trained,
        n_train=trained.n_train,
        reads=scores.reads,
        made_of=row.trial,
        mirrored=model.is_mirrored,
        precision=str(opened.plan.get("precision", "fp32")),
    )
