"""Make another trial or a former model of a finished study its model, without a new search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl.data import PreparedData
from automl.final.card import CARD_FILE, write_card
from automl.final.confidence.measure_known import seconds_for_features
from automl.final.evidence.candidates import Alternative
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.gap import Facts, explain_gap
from automl.final.loading.preprocess import read_preprocess
from automl.final.predictor import Predictor
from automl.pipeline.deliver.choose import Wish, choose
from automl.pipeline.deliver.draft import draft_folder, put_in_place, write_draft
from automl.pipeline.deliver.former import CHOSEN, keep_former, restore_answers, restore_former
from automl.pipeline.deliver.opened import Opened, opened_study
from automl.pipeline.deliver.sealed import Sealed
from automl.pipeline.deliver.trained import answers_of, model_of
from automl.pipeline.report.own_report import report_of_result
from automl.pipeline.results import Scores, finite
from automl.pipeline.study_folder import write_json
from automl.records import Interval, Observer, Silent, TrialRow
from automl.result import FitResult
from automl.review.front.kept import Kept, Where
from automl.review.tables import delivered_of, write_trials
from automl.review.trials import stored_rows, stored_trials, study_mode, with_weights
from automl.torch_setup import quiet_waiting


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
    has changed then.
    """
    quiet_waiting()
    with opened_study(study, directory, data, observer or Silent()) as opened:
        _, _, stored = stored_trials(opened.study)
        trials = with_weights(stored_rows(stored), opened.plan["begun_with"])
        chosen = choose(opened, trials, wish)
        if chosen.kept.where is Where.MODEL:
            opened.observer.note(f"{chosen.words} is the model of the study already.")
            return FitResult(opened.workspace.root, opened.result, unchanged_after=0.0)
        if chosen.kept.where is Where.BEFORE or chosen.row is None:
            document = _again(opened, chosen.kept)
        else:
            document = _new(opened, chosen.row, chosen.kept, wish, trials)
        made = delivered_of(document["retrain"], document["best"]["trial"])
        mode = study_mode(opened.study, opened.metric)
        write_trials(trials, opened.metric, mode, opened.workspace.root / "trials.csv", made)
        opened.observer.stage("deliver", f"writing {opened.workspace.root}")
        document["verdict"] = list(_report(opened, document))
        write_json(opened.workspace.result_json, document)
        opened.workspace.publish()
        return FitResult(opened.workspace.root, document)


def _report(opened: Opened, document: Mapping[str, Any]) -> tuple[str, ...]:
    """Write the report of the study with its new model, and return the sentences of its verdict."""
    from automl.review.report.write import Means

    return report_of_result(opened.workspace.root, opened.config, document, Means(), opened.observer)


def _again(opened: Opened, kept: Kept) -> dict[str, Any]:
    """Make a model that was delivered before the model again."""
    workspace = opened.workspace
    opened.observer.stage("deliver", f"restoring the model in {kept.path}")
    document = restore_former(workspace, kept.path, opened.result)
    draft = draft_folder(workspace)
    write_card(draft / CARD_FILE, document, read_preprocess(draft))
    keep_former(workspace, opened.result)
    put_in_place(workspace, draft)
    restore_answers(workspace, kept.path)
    return document


def _new(opened: Opened, row: TrialRow, kept: Kept, wish: Wish, trials: list[TrialRow]) -> dict[str, Any]:
    """Make the weights of a trial the model, and score it on the holdout."""
    workspace, observer, seed = opened.workspace, opened.observer, opened.config.seed
    data = opened.data()
    observer.stage("deliver", f"making a model of trial {row.trial}")
    model = model_of(opened, row.trial, kept.path, data)
    answers = answers_of(model, data, opened.device.kind)
    draft = write_draft(workspace, model, answers, seed=seed)
    predictor = Predictor.load(draft, factory=str(model.config["model"]), device=opened.device.kind)
    keep_former(workspace, opened.result)  # with its answers, which scoring replaces
    observer.stage("holdout", "scoring the sealed holdout")
    sealed = Sealed(workspace, data, opened.metric, seed, opened.device.all_threads)
    scores, per_row = sealed.score(predictor)
    sealed.write_known(draft, predictor, seconds=seconds_for_features(None, None), per_row=per_row)
    document = _document(opened, model, row, wish, scores, data, trials)
    write_card(draft / CARD_FILE, document, read_preprocess(draft))
    put_in_place(workspace, draft)
    return document


def _document(
    opened: Opened,
    model: Alternative,
    row: TrialRow,
    wish: Wish,
    scores: Scores,
    data: PreparedData,
    trials: list[TrialRow],
) -> dict[str, Any]:
    """Return result.json with another model in it: what the search found stays."""
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
    gap = explain_gap(_facts(opened, model, row, scores, data, trials))
    return {
        **opened.result,
        "retrain": retrain,
        "weights": None if trained.weights is None else trained.weights.about(),
        "holdout": scores.holdout,
        "usable": scores.usable,
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


def _facts(
    opened: Opened,
    model: Alternative,
    row: TrialRow,
    scores: Scores,
    data: PreparedData,
    trials: list[TrialRow],
) -> Facts:
    """Return what is known about the validation score of a trial, and the holdout score of its model."""
    info, trained = data.splits.info, model.whole or model.trained
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
        trial_epochs=float(best["epochs"]) if head else trained.epochs,
        trial_images=0 if head else trained.images_trained,
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
