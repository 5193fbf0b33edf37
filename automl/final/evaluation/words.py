"""Sentences about an evaluation that several places show. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from automl.final.evaluation.record import ClassScore, Evaluation, SizeBin, TargetScore
from automl.terminal.printable import printable, short

SEVERE = 1.5  # times the mean absolute error in all: then a part of the targets is worth a sentence
MOST_NAMES = 5  # of classes in a sentence


def of_document(document: Mapping[str, Any]) -> Evaluation | None:
    """Return the evaluation in result.json; None for a result of an earlier version."""
    said = document.get("evaluation")
    return None if said is None else Evaluation.from_json(said)


def weakest(evaluation: Evaluation | None) -> str:
    """Return what the model is worst at and which classes were not tested, as sentences.

    "" without an evaluation, and if all classes were tested and all answers are right.

    >>> from automl.final.evaluation.record import ClassScore, Evaluation
    >>> bee = ClassScore("bee", precision=0.9, recall=0.45, f1=0.6, support=20, predicted=10)
    >>> weakest(Evaluation("classification", "f1", 40, ("ant", "bee"), {}, per_class=(bee,)))
    "'bee' is the worst class: found in 9 of its 20 images, and 9 of 10 answers with it are right (F1 0.60)."
    """
    if evaluation is None:
        return ""
    if evaluation.task == "regression":
        return " ".join(filter(None, (_worst_part(target, evaluation) for target in evaluation.targets)))
    return " ".join(filter(None, (_never(evaluation) or _worst_class(evaluation), untested(evaluation))))


def untested(evaluation: Evaluation) -> str:
    """Return which classes or labels no image has, so that nothing is known of them; "" if there are none."""
    rows = [row for row in evaluation.per_class if not row.support]
    if not rows:
        return ""
    answered, one = sum(row.predicted for row in rows), len(rows) == 1
    wrong = ""
    if answered:
        answers = "the 1 answer" if answered == 1 else f"the {answered:,} answers"
        verb, it = "is" if answered == 1 else "are", "it" if one else "them"
        wrong = f"; {answers} with {it} {verb} wrong, and f1 counts {it} as 0"
    noun, nouns = _nouns(evaluation)
    if one:
        return f"The {noun} {_names(rows)} was not tested: no image has it{wrong}."
    of = f"{len(rows):,} of the {len(evaluation.per_class):,} {nouns}"
    return f"{of} were not tested, as no image has them ({_names(rows)}){wrong}."


def is_silent(evaluation: Evaluation | None) -> bool:
    """Return whether a model of several labels never answers any: no probability reaches a label's threshold."""
    if evaluation is None or evaluation.task != "multilabel" or not evaluation.per_class:
        return False
    return not any(row.predicted for row in evaluation.per_class)


def answers_nothing(document: Mapping[str, Any] | None) -> bool:
    """Return `is_silent` of the model of a result.json, None if there is none.

    >>> row = {"label": "bee", "predicted": 0}
    >>> answers_nothing({"evaluation": {"task": "multilabel", "per_class": [row]}})
    True
    """
    said = (document or {}).get("evaluation") or {}
    rows = said.get("per_class") or ()
    return said.get("task") == "multilabel" and bool(rows) and not any(row["predicted"] for row in rows)


def _never(evaluation: Evaluation) -> str:
    """Return that several classes are never answered, of which the worst is only one; "" if at most one is not."""
    rows = [row for row in evaluation.worst() if row.support and not row.predicted]
    if len(rows) < 2:
        return ""
    known = [
        row for row in rows if row.average_precision is not None and not math.isnan(row.average_precision)
    ]
    lowest = min(known, key=lambda row: row.average_precision or 0.0, default=None)
    apart = ""
    if lowest is not None:
        apart = (
            f" By average precision, {_quoted(lowest)} is the worst label ({lowest.average_precision:.2f})."
        )
    if is_silent(evaluation):
        levels = sorted({f"{row.threshold:g}" for row in rows if row.threshold is not None})
        where = f", {levels[0]}," if len(levels) == 1 else ""
        return f"No label is ever answered: no probability reaches its threshold{where} on any image.{apart}"
    nouns = _nouns(evaluation)[1]
    return f"{len(rows):,} of the {len(evaluation.per_class):,} {nouns} are never answered: {_names(rows)}.{apart}"


def _worst_class(evaluation: Evaluation) -> str:
    worst = next((row for row in evaluation.worst() if row.support), None)
    if worst is None or worst.f1 >= 1.0:
        return ""
    right = round(worst.recall * worst.support)
    images = f"{worst.support:,} image{'' if worst.support == 1 else 's'}"
    if worst.predicted:
        answers = f"{worst.predicted:,} answer{'' if worst.predicted == 1 else 's'} with it"
        said = f"found in {right:,} of its {images}, and {right:,} of {answers} {'is' if right == 1 else 'are'} right"
    else:
        said = f"never answered, for {images}"
    return f"{_quoted(worst)} is the worst {_nouns(evaluation)[0]}: {said} (F1 {worst.f1:.2f})."


def _nouns(evaluation: Evaluation) -> tuple[str, str]:
    return ("class", "classes") if evaluation.task == "classification" else ("label", "labels")


def _names(rows: Sequence[ClassScore]) -> str:
    """Return the first names in quotation marks, and how many there are more."""
    said = ", ".join(map(_quoted, rows[:MOST_NAMES]))
    return said + (f" and {len(rows) - MOST_NAMES:,} more" if len(rows) > MOST_NAMES else "")


def _quoted(row: ClassScore) -> str:
    return f"'{printable(short(row.label))}'"


def span(part: SizeBin) -> str:
    """Return the values of a bin: `2 to 4`, or `1` alone."""
    low, high = f"{part.low:.4g}", f"{part.high:.4g}"
    return low if low == high else f"{low} to {high}"


def _worst_part(target: TargetScore, evaluation: Evaluation) -> str:
    worst = max(target.bins, key=lambda part: part.mae)
    if len(target.bins) < 2 or worst.mae <= SEVERE * target.mae:
        return ""
    whose = f" of '{printable(short(target.target))}'" if len(evaluation.targets) > 1 else ""
    return (
        f"Errors are largest for values{whose} of {span(worst)}: {worst.mae:.4g} on average, "
        f"{target.mae:.4g} for all."
    )
