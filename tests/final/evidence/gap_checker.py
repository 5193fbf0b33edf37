"""Check the explanation of the gap: every sentence must be one of a known form, and agree with the numbers."""

from __future__ import annotations

import csv
import json
import math
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from automl.config.metrics import METRICS
from automl.final.evidence.delivery import Delivery
from automl.final.evidence.gap import Facts
from automl.records import Interval

NUMBER, COUNT = r"(-?[\d.]+|nan)", r"([\d,]+)"


def facts_of(study: Path) -> Facts:
    """Return the numbers of a study's folder, from its database and its tables where they have them."""
    result = _json(study / "result.json")
    with (study / "splits.csv").open(newline="", encoding="utf-8") as file:
        parts = [row["split"] for row in csv.DictReader(file)]
    best, retrain, metric = result["best"]["trial"], result["retrain"], result["metric"]
    with closing(sqlite3.connect(study / "study.db")) as database:
        failed = {row[0] for row in database.execute("SELECT number FROM trials WHERE state = 'FAIL'")}
        reports = list(database.execute("SELECT trial, value, metrics FROM automl_reports ORDER BY epoch"))
    last = {trial: value for trial, value, _ in reports if trial not in failed}
    own = [json.loads(metrics) for trial, _, metrics in reports if trial == best]
    final = own[-1] if own else {}
    val = math.nan if last.get(best) is None else last[best]
    values = [value for value in last.values() if value is not None and math.isfinite(value)]
    held = result["holdout"][metric]
    return Facts(
        metric=metric,
        val=val,
        n_val=round(final.get("val_rows", parts.count("val"))),
        folds=result["data"].get("folds", 0),
        trial=best,
        compared=len(values),
        leads=val == (max(values) if METRICS[metric].mode == "max" else min(values)) if values else True,
        trial_epochs=final.get("epochs", 0.0),
        trial_images=round(sum(metrics["images"] for metrics in own) / (result["data"].get("folds") or 1)),
        held=Interval(held["value"], held["low"], held["high"]),
        n_holdout=parts.count("holdout"),
        delivery=Delivery(retrain["how"]),
        epochs=retrain["epochs"],
        images=retrain["images"],
        n_train=retrain["n_train"],
        reads=_json(study / "holdout.json")["reads"],
        made=Delivery(retrain.get("made", Delivery.RETRAINED)),
        made_of=retrain.get("trial", 0),
        mirrored=_json(study / "model" / "preprocess.json")["mirrored"],
        precision=_json(study / "plan.json")["precision"],
    )


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def false_sentences(text: str, facts: Facts) -> list[str]:
    """Return the sentences of an explanation that are false, or of no known form; empty if all are true."""
    sentences = re.findall(r".+?[.](?=\s[A-Z]|$)", text)
    wrong = [sentence.strip() for sentence in sentences if not _true(sentence.strip(), facts)]
    missing = [] if "The holdout was read" in text else ["(the number of reads is missing)"]
    if facts.mirrored and math.isfinite(facts.val) and "mirror image" not in text:
        missing.append("(how the holdout was scored is missing)")
    return wrong + missing


def _true(sentence: str, facts: Facts) -> bool:
    found = [(match, check) for form, check in _FORMS.items() if (match := re.fullmatch(form, sentence))]
    if len(found) != 1:
        return False
    match, check = found[0]
    return check(facts, *match.groups())


def _is(text: str, value: float) -> bool:
    return text == f"{value:.4f}"


def _count(text: str, value: int) -> bool:
    return int(text.replace(",", "")) == value


def _validation(facts: Facts, metric: str, val: str, n: str, trial: str) -> bool:
    return (
        metric == facts.metric
        and _is(val, facts.val)
        and _count(n, facts.n_val)
        and int(trial) == facts.trial
    )


def _out_of_fold(facts: Facts, metric: str, val: str, n: str, folds: str, trial: str) -> bool:
    known = facts.folds > 0 and int(folds) == (facts.networks or facts.folds)
    return known and _validation(facts, metric, val, n, trial)


def _first_fold(facts: Facts, epochs: str, images: str | None) -> bool:
    own = facts.delivery is Delivery.OWN_WEIGHTS and facts.folds > 0
    return own and _length(epochs, images, facts.epochs, facts.images)


def _holdout(facts: Facts, value: str, n: str, name: str) -> bool:
    kinds = {
        "the retrain": (Delivery.RETRAINED, Delivery.CUT_SHORT),
        "the best trial's own weights": (Delivery.OWN_WEIGHTS,),
        "the linear head": (Delivery.HEAD,),
        "the earlier model": (Delivery.EARLIER,),
        "the ensemble": (Delivery.ENSEMBLE,),
        "the soup": (Delivery.SOUP,),
        "the distilled network": (Delivery.DISTILLED,),
        f"the own weights of trial {facts.trial}": (Delivery.OWN_WEIGHTS,) if facts.chosen else (),
    }
    return _is(value, facts.held.value) and _count(n, facts.n_holdout) and facts.delivery in kinds[name]


def _place(facts: Facts, where: str, low: str, high: str) -> bool:
    true = {
        "below": facts.val < facts.held.low,
        "above": facts.val > facts.held.high,
        "within": facts.held.low <= facts.val <= facts.held.high,
    }
    return true[where] and _is(low, facts.held.low) and _is(high, facts.held.high)


def _same(facts: Facts, epochs: str, images: str | None) -> bool:
    return not facts.folds and facts.delivery is Delivery.OWN_WEIGHTS and _trial_length(facts, epochs, images)


def _head(facts: Facts, n: str) -> bool:
    return facts.delivery is Delivery.HEAD and _count(n, facts.n_train)


def _compared(
    facts: Facts,
    epochs: str,
    images: str | None,
    n: str,
    word: str,
    ratio: str,
    trial_epochs: str,
    trial_images: str | None,
) -> bool:
    truth = facts.images / facts.trial_images
    words = {
        "longer": facts.images > facts.trial_images,
        "shorter": facts.images < facts.trial_images,
        "of the same length": facts.images == facts.trial_images,
    }
    return (
        _length(epochs, images, facts.epochs, facts.images)
        and _count(n, facts.n_train)
        and words[word]
        and abs(float(ratio) - truth) <= 0.0051
        and _trial_length(facts, trial_epochs, trial_images)
        and facts.delivery in (Delivery.RETRAINED, Delivery.CUT_SHORT)
    )


def _apart(
    facts: Facts,
    epochs: str,
    images: str | None,
    n: str,
    trial_epochs: str | None = None,
    trial_images: str | None = None,
) -> bool:
    alone = trial_epochs is None or _trial_length(facts, trial_epochs, trial_images)
    return (
        _length(epochs, images, facts.epochs, facts.images)
        and _count(n, facts.n_train)
        and alone
        and facts.delivery in (Delivery.RETRAINED, Delivery.CUT_SHORT)
    )


def _earlier(facts: Facts, kind: str, trial: str, epochs: str, images: str | None, n: str) -> bool:
    kinds = {
        "has the weights": (Delivery.OWN_WEIGHTS,),
        "is the retrain": (Delivery.RETRAINED, Delivery.CUT_SHORT),
    }
    return (
        facts.delivery is Delivery.EARLIER
        and facts.made in kinds[kind]
        and int(trial) == facts.made_of
        and _length(epochs, images, facts.epochs, facts.images)
        and _count(n, facts.n_train)
    )


def _earlier_head(facts: Facts, n: str) -> bool:
    return facts.delivery is Delivery.EARLIER and facts.made is Delivery.HEAD and _count(n, facts.n_train)


def _distilled(facts: Facts, epochs: str, images: str | None, n: str) -> bool:
    own = facts.delivery is Delivery.DISTILLED and _count(n, facts.n_train)
    return own and _length(epochs, images, facts.epochs, facts.images)


def _distilled_before(facts: Facts, epochs: str, images: str | None, n: str) -> bool:
    made = facts.delivery is Delivery.EARLIER and facts.made is Delivery.DISTILLED
    return made and _count(n, facts.n_train) and _length(epochs, images, facts.epochs, facts.images)


def _scoring(facts: Facts, mirrored: str | None, precision: str | None) -> bool:
    named = "fp32" if precision is None else precision
    return (mirrored is not None) == facts.mirrored and named == facts.precision


def _no_score(facts: Facts, model: str, others: str) -> bool:
    models = {
        "this configuration": ((Delivery.RETRAINED, Delivery.CUT_SHORT, Delivery.OWN_WEIGHTS), "other"),
        "the linear head": ((Delivery.HEAD,), "trial"),
        "the earlier model": ((Delivery.EARLIER,), "trial"),
        "the ensemble": ((Delivery.ENSEMBLE,), "trial"),
        "the soup": ((Delivery.SOUP,), "trial"),
        "the distilled network": ((Delivery.DISTILLED,), "trial"),
    }
    kinds, name = models[model]
    return math.isnan(facts.val) and facts.delivery in kinds and others == name


def _selection(facts: Facts, compared: str) -> bool:
    mode = METRICS[facts.metric].mode
    better = facts.val > facts.held.value if mode == "max" else facts.val < facts.held.value
    return int(compared) == facts.compared >= 2 and better and facts.leads


def _not_leading(facts: Facts, compared: str) -> bool:
    return int(compared) == facts.compared >= 2 and not facts.leads


def _length(epochs: str, images: str | None, true_epochs: float, true_images: int) -> bool:
    named = images is None if true_images == 0 else images is not None and _count(images, true_images)
    return epochs == f"{true_epochs:.2f}" and named


def _trial_length(facts: Facts, epochs: str, images: str | None) -> bool:
    return _length(epochs, images, facts.trial_epochs, facts.trial_images)


_LENGTH = rf"{NUMBER} epochs(?: \({COUNT} images in all\))?"
_FORMS: dict[str, Callable[..., bool]] = {
    rf"Validation: (\w+) {NUMBER} on {COUNT} images, with the weights of trial (\d+)\.": _validation,
    rf"Validation: (\w+) {NUMBER} out of fold on {COUNT} images, with the (\d+) networks of trial (\d+), each of which "
    rf"has trained on the other folds\.": _out_of_fold,
    rf"Delivered is the network of the first fold, after {_LENGTH}\.": _first_fold,
    rf"Holdout: {NUMBER} on {COUNT} images, with (the [\w' ]+)\.": _holdout,
    rf"The validation score is (below|above|within) the holdout's 95 % interval, {NUMBER} to {NUMBER}\.": _place,
    r"The holdout's 95 % interval is unknown\.": lambda facts: (
        math.isnan(facts.held.low) or math.isnan(facts.held.high)
    ),
    rf"Both are scores of the same weights, from {_LENGTH}\.": _same,
    rf"The linear head was fitted on {COUNT} images; no weights of the trial are delivered\.": _head,
    rf"The retrain took {_LENGTH}, with {COUNT} images an epoch: it was (longer|shorter|of the same length) "
    rf"\(([\d.]+) times the images\), as the trial took {_LENGTH}\.": _compared,
    rf"The retrain took {_LENGTH}, with {COUNT} images an epoch; the trial took {_LENGTH}\.": _apart,
    rf"The retrain took {_LENGTH}, with {COUNT} images an epoch\.": _apart,
    r"The trial was chosen among (\d+) by its score on these validation images, which makes that score too good "
    r"on average\.": _selection,
    r"Another one of (\d+) trials has a better validation score, so it did not decide alone\.": _not_leading,
    rf"The delivered model (has the weights|is the retrain) of trial (\d+) in an earlier run, after {_LENGTH}, "
    rf"with {COUNT} images an epoch\.": _earlier,
    r"The ensemble averages several models, of which the validation score is of one\.": (
        lambda facts: facts.delivery is Delivery.ENSEMBLE
    ),
    r"The soup averages the weights of several models, of which the validation score is of one\.": (
        lambda facts: facts.delivery is Delivery.SOUP
    ),
    r"An earlier run made the delivered model, (an ensemble|a soup) of several\.": (
        lambda facts, what: facts.delivery is Delivery.EARLIER and what.partition(" ")[2] == facts.made
    ),
    rf"The distilled network, which is not the trial's, learned from another model for {_LENGTH}, with {COUNT} images "
    rf"an epoch\.": _distilled,
    rf"An earlier run distilled the delivered model from another one, for {_LENGTH}, with {COUNT} images an epoch\.": (
        _distilled_before
    ),
    rf"An earlier run fitted the delivered model, a linear head, on {COUNT} images\.": _earlier_head,
    r"The holdout score is computed (from each image and its mirror image, the validation score from each image "
    r"alone)?(?:; and )?(?:in float32, the validation score in (\w+))?\.": _scoring,
    r"No trial had a validation score, so (this configuration|the linear head|the earlier model|the ensemble|the soup|"
    r"the distilled network) was compared with no (other|trial)\.": _no_score,
    r"The holdout was read once\.": lambda facts: facts.reads == 1,
    r"The holdout was read (\d+) times, so this study has scored other models on it before\.": (
        lambda facts, reads: int(reads) == facts.reads > 1
    ),
}
