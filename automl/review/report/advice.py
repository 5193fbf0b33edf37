"""What would help a model most, each answer from evidence in its own study.

Every rule gives a noun phrase and the share of the present error that its evidence is about, and the largest share
comes first. A rule without evidence says nothing. The errors of a model that is no better than the trivial answer are
none: it has learnt nothing that they could be a lack of. What was not tried or not measured comes last, as that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from automl.documents.json_file import read_json
from automl.final.evaluation.record import Evaluation, TargetScore
from automl.final.evaluation.words import SEVERE, is_silent, span
from automl.final.evidence.delivery import DERIVED, Decided, Delivery
from automl.final.evidence.projection import project
from automl.final.evidence.words import is_usable
from automl.records import TrialState
from automl.review.describe import delivered_kind, delivered_val, number, score
from automl.review.report.facts import Facts
from automl.search.storage.kinds import FROM_SCRATCH, HEADS
from automl.search.storage.reader import StoredTrial
from automl.terminal.printable import printable, short

CHANCE = 0.05  # the probability at which a class has more errors than its share of the images explains
FEWEST = 3  # errors, label errors and rounds of which a rule makes something
PAIR_SHARE = 0.2  # of all errors: a pair of classes that has as many is worth a sentence
LABELS_SHARE = 0.2  # of the errors that wrong labels may explain
HALF = 0.5  # of the images whose label looks wrong are taken for hard ones
LONGER, TWICE = 1.5, 2.0  # times the side of the model's images, and times the work of a trial
WIDE = 0.15  # of an interval that says little
TIMED, UNTRIED = 0.03, 0.02  # shares of what was not measured
FEW_IMAGES, PHOTO = (
    5_000,
    64,
)  # images and pixels a side, up to and from which published weights are worth a try


@dataclass(frozen=True)
class Advice:
    """What would help: a noun phrase with its evidence, and the `share` of the present error that it is about.

    `measured`: the study has seen it help, or its errors point to it; else it was not tried.
    """

    kind: str
    words: str
    share: float
    measured: bool = True


def advice(facts: Facts) -> list[Advice]:
    """Return what would help the model of a finished study, the most first; [] if nothing is known."""
    if facts.evaluation is None:
        return []
    rules = (*(OF_ERRORS if has_learnt(facts) else ()), *RULES)
    found = [rule(facts, facts.evaluation) for rule in rules]
    return sorted((one for one in found if one is not None), key=lambda one: (not one.measured, -one.share))


def has_learnt(facts: Facts) -> bool:
    """Return whether the model is better than the trivial answer, and of several labels ever answers one."""
    return is_usable(facts.result) and not is_silent(facts.evaluation)


def _worst_class(facts: Facts, said: Evaluation) -> Advice | None:
    """The class with the most errors beyond its share of the images, if chance does not explain them.

    A class that has more training images than most does not lack them.
    """
    total, images = sum(missed(said).values()), sum(row.support for row in said.per_class)
    most: Advice | None = None
    for row in said.per_class:
        own = missed(said)[row.label]
        expected = row.support / max(1, images)
        if own < FEWEST or tail(own, total, expected) > CHANCE or not _is_rare(facts, row.label):
            continue
        share = own / total - expected
        if most is None or share > most.share:
            noun = "errors" if said.task == "classification" else "missed labels"
            words = f"more images of {quoted(row.label)}: {own:,} of the {total:,} {noun} on the holdout are on it"
            most = Advice("class", words + _known_images(facts, row.label), share)
    return most


def _images_to_learn(facts: Facts) -> dict[str, int]:
    """Return the training and validation images of each class or label; {} if unknown."""
    counts = facts.data.get("class_counts", {})
    return {name: parts.get("train", 0) + parts.get("val", 0) for name, parts in counts.items()}


def _is_rare(facts: Facts, label: str) -> bool:
    known = _images_to_learn(facts)
    return label not in known or known[label] <= median(known.values())


def _known_images(facts: Facts, label: str) -> str:
    known = _images_to_learn(facts)
    if label not in known:
        return ""
    return f", and it has {known[label]:,} of the images to learn from (a class has {median(known.values()):,.0f})"


def _confused_pair(facts: Facts, said: Evaluation) -> Advice | None:
    """The pair of classes that is confused most, if it has more errors than its share of the images."""
    if len(said.classes) < 3:
        return None
    both: dict[tuple[str, str], int] = {}
    for true, row in said.confusion.items():
        for answered, count in row.items():
            if answered != true:
                pair = (min(true, answered), max(true, answered))
                both[pair] = both.get(pair, 0) + count
    if not both:
        return None
    total = sum(both.values())
    (one, other), count = max(both.items(), key=lambda item: (item[1], item[0]))
    if count < FEWEST or count < PAIR_SHARE * total:
        return None
    words = (
        f"more images that show the difference between {quoted(one)} and {quoted(other)}: {count:,} of the {total:,} "
        "errors on the holdout confuse the two"
    )
    images = sum(row.support for row in said.per_class if row.label in (one, other))
    share = count / total - images / max(1, said.n)
    return Advice("pair", words, share) if share > 0 else None


def _worst_values(facts: Facts, said: Evaluation) -> Advice | None:
    """The values of a regression where errors are largest."""
    found = [one for target in said.targets if (one := _worst_bin(target, said)) is not None]
    return max(found, key=lambda one: one.share, default=None)


def _worst_bin(target: TargetScore, said: Evaluation) -> Advice | None:
    total = sum(part.n * part.mae for part in target.bins)
    worst = max(target.bins, key=lambda part: part.mae)
    if len(target.bins) < 2 or worst.mae <= SEVERE * target.mae or total <= 0.0:
        return None
    name = quoted(target.target) if len(said.targets) > 1 else "the value"
    words = (
        f"more images where {name} is {span(worst)}: the mean error there is {worst.mae:.4g}, and {target.mae:.4g} for "
        "all"
    )
    images = sum(part.n for part in target.bins)
    return Advice("values", words, worst.n * worst.mae / total - worst.n / images)


def _longer(facts: Facts, said: Evaluation) -> Advice | None:
    """What the curve of the best trial promises for twice the work, if that is more than a standard error.

    The model may have trained for longer than the trial, so the gain is that from the model's length to twice that. A
    linear head has no length: there the curve must lead above its score. It says nothing of a model that was made of
    others, whose errors are not those of one training.
    """
    if delivered_kind(facts.result) in DERIVED:
        return None
    best = facts.history.best
    trial = next((one for one in facts.history.trials if best is not None and one.number == best.trial), None)
    if trial is None or len(trial.reports) < FEWEST:
        return None
    head = facts.result.get("retrain", {}).get("how") == Delivery.HEAD
    length = 1.0 if head else _times_the_trial(facts)
    reached = _projected(trial, TWICE * length, facts.metric)
    now = (delivered_val(facts.result) or math.nan) if head else _projected(trial, length, facts.metric)
    gain, loss = facts.sign * (reached - now), 1.0 - now if facts.sign > 0 else now
    if not gain > standard_error(facts) or not loss > 0.0:
        return None
    curve = f"more time: by the curve of trial {trial.number}, twice the training"
    if head:
        words = f"{curve} leads to validation {facts.metric} {score(reached)}, and the linear head has {score(now)}"
    else:
        change = "raises" if facts.sign > 0 else "lowers"
        words = f"{curve} {change} validation {facts.metric} by about {number(float(f'{gain:.2g}'))}"
    return Advice("time", words, min(1.0, gain / loss))


def _times_the_trial(facts: Facts) -> float:
    """Return how many times the work of the best trial the delivered model took; 1 if that is unknown."""
    retrain = facts.result.get("retrain", {})
    trained = ((retrain.get("evidence") or {}).get("trial") or {}).get("images")
    return max(1.0, retrain["images"] / trained) if trained and retrain.get("images") else 1.0


def _projected(trial: StoredTrial, times: float, metric: str) -> float:
    """Return the value that a trial's curve leads to with so many times its work."""
    work = [float(report.round) for report in trial.reports]
    return project(work, [report.value for report in trial.reports], times, metric)


def _cut_short(facts: Facts, said: Evaluation) -> Advice | None:
    """A retrain or trials that time ended: more of it may help, which was not measured.

    Not for a model that was made of others: of a student, that retrain is its teacher's.
    """
    if delivered_kind(facts.result) in DERIVED:
        return None
    evidence = facts.result.get("retrain", {}).get("evidence") or {}
    done, trained = evidence.get("retrain") or {}, facts.history.trained
    if done.get("timed") and done.get("progress", 1.0) < 1.0:
        why = f"the retrain had reached {done['progress']:.0%} of its length when its time was up"
    elif evidence.get("decided_by") == Decided.TIME_LEFT:
        why = "there was too little left for a retrain"
    elif trained and all(row.state is TrialState.UNFINISHED for row in trained):
        why = f"none of the {len(trained):,} trials reached its full length"
        if len(trained) == 1:
            why = "its only trial did not reach its full length"
    else:
        return None
    return Advice("time", f"more time: {why}", TIMED, measured=False)


def _larger_tried(facts: Facts, said: Evaluation) -> Advice | None:
    """Heads on features of the same network at two sizes, of which the larger is clearly better."""
    heads = [row for row in facts.history.rows if row.kind in HEADS and row.value is not None]
    by_model: dict[str, list[tuple[int, float]]] = {}
    for row in heads:
        if isinstance(row.config.get("size"), int) and row.value is not None:
            by_model.setdefault(str(row.config.get("model")), []).append((row.config["size"], row.value))
    found: list[Advice] = []
    for model, points in by_model.items():
        points.sort()
        (size, value), (larger, better) = points[0], points[-1]
        gain, loss = facts.sign * (better - value), 1.0 - value if facts.sign > 0 else value
        if larger > size and gain > standard_error(facts) and loss > 0.0:
            words = (
                f"larger images: a linear head on {model} has {facts.metric} {score(better)} at {larger} px and "
                f"{score(value)} at {size} px"
            )
            found.append(Advice("size", words, min(1.0, gain / loss)))
    return max(found, key=lambda one: one.share, default=None)


def _larger_untried(facts: Facts, said: Evaluation) -> Advice | None:
    size, sides = model_size(facts), [facts.data.get(name) for name in ("widths", "heights")]
    if size is None or not all(sides) or said.metrics[said.metric].value == 1.0:
        return None
    width, height = (int(side[1]) for side in sides if side)
    if min(width, height) < LONGER * size:
        return None
    words = (
        f"larger images, which were not tried: half of the images have at least {width} x {height} px, and the model "
        f"sees {size} px a side (--img-size chooses more)"
    )
    return Advice("size", words, UNTRIED, measured=False)


def _labels(facts: Facts, said: Evaluation) -> Advice | None:
    """Labels that look wrong, if they may explain a part of the errors."""
    count, wrong = len(facts.label_errors), sum(missed(said).values())
    looked = facts.result["data"].get("n_train", 0) + facts.result["data"].get("n_val", 0)
    if count < FEWEST or not wrong or not looked or said.task != "classification":
        return None
    share = min(1.0, HALF * (count / looked) / (wrong / said.n))
    if share < LABELS_SHARE:
        return None
    words = (
        f"a look at the {count:,} images whose label is probably wrong: {wrong:,} of {said.n:,} answers on the holdout "
        "are errors, and wrong labels may be behind a part of them"
    )
    return Advice("labels", words, share)


def _weights(facts: Facts, said: Evaluation) -> Advice | None:
    begun, data = facts.study.plan.get("begun_with", {}), facts.result["data"]
    if begun.get("used", True) or delivered_kind(facts.result) != FROM_SCRATCH:
        return None
    if data.get("n_train", FEW_IMAGES) >= FEW_IMAGES or facts.study.plan.get("img_size", 0) < PHOTO:
        return None
    words = (
        "pretrained weights, which were not tried, as there were none on this machine: `automl weights fetch` fetches "
        "some"
    )
    return Advice("weights", words, 2 * UNTRIED, measured=False)


def wide_interval(facts: Facts) -> str:
    """Return that few images leave the score itself uncertain, as a sentence; "" if they do not."""
    held = None if facts.evaluation is None else facts.evaluation.metrics[facts.evaluation.metric]
    if facts.evaluation is None or held is None or facts.sign < 0 or not held.high - held.low > WIDE:
        return ""
    return (
        f"With {facts.evaluation.n:,} holdout images, the score is known only to be between {score(held.low)} and "
        f"{score(held.high)}; more of them would not make the model better, but show how good it is."
    )


Rule = Callable[[Facts, Evaluation], Advice | None]
OF_ERRORS: tuple[Rule, ...] = (_worst_class, _confused_pair, _worst_values, _labels)
RULES: tuple[Rule, ...] = (_longer, _cut_short, _larger_tried, _larger_untried, _weights)


def missed(said: Evaluation) -> dict[str, int]:
    """Return for each class or label how many images with it are not answered with it."""
    return {
        row.label: 0 if math.isnan(row.recall) else row.support - round(row.recall * row.support)
        for row in said.per_class
    }


def tail(count: int, total: int, share: float) -> float:
    """Return the probability of at least `count` of `total` errors on a class with this `share` of the images.

    It is binomial: errors fall on images alike (the one-sided exact test).

    >>> tail(3, 3, 0.5)
    0.125
    """
    if share <= 0.0 or share >= 1.0:
        return float(count <= 0 or share >= 1.0)
    logs = (
        math.lgamma(total + 1)
        - math.lgamma(k + 1)
        - math.lgamma(total - k + 1)
        + k * math.log(share)
        + (total - k) * math.log1p(-share)
        for k in range(count, total + 1)
    )
    return round(min(1.0, math.fsum(map(math.exp, logs))), 12)


def standard_error(facts: Facts) -> float:
    """Return the standard error of a validation score, by the interval of the holdout's and both numbers of images."""
    held, data = facts.held, facts.result["data"]
    if held is None or not all(math.isfinite(held[name] or math.nan) for name in ("low", "high")):
        return math.inf
    ratio = data.get("n_holdout", 1) / max(1, data.get("n_val", 1))
    return (held["high"] - held["low"]) / (2 * 1.96) * math.sqrt(ratio)


def model_size(facts: Facts) -> int | None:
    """Return the side in pixels of the images that the delivered model sees; None if its folder does not say."""
    try:
        found: Any = read_json(facts.study.model_dir / "preprocess.json")
        return int(found["input_size"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def quoted(label: str) -> str:
    """Return a name from outside in quotation marks, in a form that can be shown."""
    return f"'{printable(short(label))}'"


def first(found: Iterable[Advice]) -> Advice | None:
    """Return the advice that comes first."""
    return next(iter(found), None)
