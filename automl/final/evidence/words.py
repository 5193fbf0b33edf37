"""Sentences about a result that several places show; `document` is result.json. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from automl.final.evidence.delivery import COMBINED, Delivery
from automl.records import Config, score_text

Document = Mapping[str, Any]
NOT_USABLE = "Not usable:"


def number(value: float | None) -> str:
    """Return a score with four decimals; "none" for None and NaN."""
    return "none" if value is None or math.isnan(value) else score_text(value)


def is_usable(document: Document) -> bool:
    """Return whether the model is usable; True for results of earlier versions, which did not test it."""
    return bool(document.get("usable", True))


def not_usable(document: Document) -> str:
    """Return the sentence that says that the model is not usable; "" if it is."""
    if is_usable(document):
        return ""
    metric = document["metric"]
    value, n = document["holdout"][metric]["value"], document["data"]["n_holdout"]
    if answer := only_answer(document):
        return f"{NOT_USABLE} its answer for all {n:,} holdout images is {answer} ({metric} {number(value)})."
    than, how = trivial(document, metric), usable_test(document)
    if (document.get("usable_test") or {}).get("test") == "random order":
        than = f"its own answers in random order ({number(document['usable_test']['against'])})"
    return (
        f"{NOT_USABLE} {metric} {number(value)} on {n:,} holdout images is not better than {than} by more than chance "
        f"explains{f' ({how})' if how else ''}."
    )


def usable_test(document: Document) -> str:
    """Return by which test the model is usable or not, with its outcome; "" where that is not known or says nothing.

    >>> test = {"test": "paired", "against": 0.71, "errors": 0.83205, "needed": 1.645}
    >>> usable_test({"metric": "accuracy", "usable_test": test})
    "McNemar's test: 0.83 standard errors better, of the 1.645 that are needed"
    """
    said = document.get("usable_test") or {}
    errors, name = said.get("errors"), _TESTS.get(str(said.get("test")), "")
    if not name or errors is None:
        return ""
    if said["test"] == "paired" and document["metric"] == "accuracy":
        name = "McNemar's test"
    what = "standard deviations" if said["test"] == "random order" else "standard errors"
    how = f"{abs(errors):.2f} {what} {'worse' if errors < 0 else 'better'}"
    return f"{name}: {how}, of the {said['needed']:g} that are needed"


_TESTS = {"paired": "paired test", "random order": "permutation test"}


def only_answer(document: Document) -> str:
    """Return the one answer that the model of a result has for all holdout images; "" if it has several.

    >>> rows = [{"label": "ant", "predicted": 0}, {"label": "bee", "predicted": 9}]
    >>> only_answer({"evaluation": {"task": "classification", "per_class": rows}})
    "'bee'"
    """
    said = document.get("evaluation") or {}
    if said.get("task") == "regression":
        return "the same" if all(map(_does_not_vary, said.get("targets", [{}]))) else ""
    if said.get("task") != "classification":
        return ""
    answered = [row["label"] for row in said.get("per_class", ()) if row["predicted"]]
    return repr(answered[0]) if len(answered) == 1 else ""


def _does_not_vary(target: Mapping[str, Any]) -> bool:
    """Return whether a value of a regression is the same for all images, by its errors.

    They then vary exactly as the true values do: their variance is rmse² - bias², that of the true values
    rmse² / (1 - r2).
    """
    r2, rmse, bias = (target.get(name) for name in ("r2", "rmse", "bias"))
    if r2 is None or bias is None or not rmse:
        return False
    return math.isclose((1.0 - r2) * (1.0 - (bias / rmse) ** 2), 1.0, rel_tol=1e-6)


def trivial(document: Document, metric: str) -> str:
    """Return the trivial answer by a metric with its score on the holdout; "" for results of earlier versions.

    >>> trivial({"trivial": {"accuracy": 0.71}, "trivial_words": {"accuracy": "always 'Free'"}}, "accuracy")
    "always 'Free' (0.7100)"
    """
    words = document.get("trivial_words", {}).get(metric)
    return "" if words is None else f"{words} ({number(document['trivial'][metric])})"


def reads(document: Document) -> str:
    """Return how often the holdout was read.

    >>> reads({"holdout_reads": 1}), reads({"holdout_reads": 3})
    ('read once', 'read 3 times')
    """
    count = document.get("holdout_reads", 1)
    return "read once" if count == 1 else f"read {count} times"


def is_scored(document: Document) -> bool:
    """Return whether any trial had a score; without one, `best` is the first configuration."""
    return document["best"].get("val_score") is not None


def not_scored(document: Document) -> str:
    """Return what is delivered where no trial had a score, as a sentence without full stop; "" if one had.

    >>> not_scored({"best": {"val_score": None}, "retrain": {"how": "linear head"}})
    'no trial was scored; a linear head is delivered'
    """
    if is_scored(document):
        return ""
    kind = document["retrain"].get("how", Delivery.RETRAINED)
    delivered = _UNSCORED.get(kind, "the first configuration is delivered, compared with no other")
    return f"no trial was scored; {delivered}"


_UNSCORED = {
    Delivery.HEAD: "a linear head is delivered",
    Delivery.EARLIER: "the model of an earlier run is kept",
}


def made(document: Document) -> str:
    """Return how the delivered model was made: by which training, for how long, and on which images."""
    retrain = document["retrain"]
    kind, whose = retrain.get("how", Delivery.RETRAINED), "the best trial's"
    kept = kind == Delivery.EARLIER
    best = document.get("best", {}).get("trial")
    if retrain.get("trial", best) != best:
        whose = f"trial {retrain['trial']}'s"
    if kept:
        kind, whose = retrain["made"], f"trial {retrain['trial']}'s"
    n = f"{retrain['n_train']:,}"
    if kind in COMBINED:
        members = ", ".join(member["words"] for member in retrain["members"])
        said = (
            f"an ensemble of {members}"
            if kind == Delivery.ENSEMBLE
            else f"a soup, the mean of the weights of {members}"
        )
        return f"kept from an earlier run: {said}" if kept else said
    if kind == Delivery.DISTILLED:
        said = _distilled(retrain)
    elif kind == Delivery.HEAD:
        value = retrain.get("val_score")
        fitted = "out of fold" if folds(document) else "on the training images alone"
        alone = f" ({fitted}: val {document['metric']} {number(value)})" if value else ""
        said = f"a linear head, fitted on {n} images{alone}"
    elif kind == Delivery.OWN_WEIGHTS:
        first = ", of its first fold" if folds(document) else ""
        said = (
            f"{whose} own weights{first}, after {round(retrain['epochs'], 2)} epochs on {n} training images"
        )
    else:
        without = not folds(document) and retrain["n_train"] <= document.get("data", {}).get("n_train", 0)
        parts = "training" if without else "training and validation"
        said = f"trained for {round(retrain['epochs'], 2)} epochs on {n} {parts} images"
    return f"kept from an earlier run: {said}" if kept else said


def _distilled(retrain: Mapping[str, Any]) -> str:
    """Return from which model the delivered one was distilled, and for how long it learned."""
    teacher = retrain["teacher"]
    return (
        f"distilled from {teacher['name']} ({str(teacher['model']).partition('.')[0]} with {teacher['params']:,} "
        f"parameters), whose answers it learned for {round(retrain['epochs'], 2)} epochs on {retrain['n_train']:,} "
        "training and validation images"
    )


def folds(document: Document) -> int:
    """Return the number of folds if trials were scored by cross-validation, else 0."""
    return int(document.get("data", {}).get("folds", 0))


def scored_on(folds: int) -> str:
    """Return on what trials are scored.

    >>> scored_on(0), scored_on(5)
    ('on the validation images', 'out of fold, on the images of 5 folds')
    """
    return f"out of fold, on the images of {folds} folds" if folds else "on the validation images"


def training_images(count: int, kept: int, *, only_trial: bool) -> str:
    """Return on how many images a retrain trains, if `kept` stay out, to compare it with the best trial or others."""
    if not kept:
        return f"all {count:,} images"
    others = "the best trial" if only_trial else "other models"
    return f"{count:,} images; {kept:,} are kept out, to compare it with {others}"


def delivered_config(document: Mapping[str, Any]) -> Config:
    """Return the configuration of the delivered model: that of the best trial, unless it is another network."""
    return dict(document["retrain"].get("config") or document["best"]["config"])
