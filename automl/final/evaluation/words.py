"""Sentences about an evaluation that several places show. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from automl.final.evaluation.record import Evaluation, SizeBin, TargetScore
from automl.terminal.printable import printable, short

SEVERE = 1.5  # times the mean absolute error in all: then a part of the targets is worth a sentence


def of_document(document: Mapping[str, Any]) -> Evaluation | None:
    """Return the evaluation in result.json; None for a result of an earlier version."""
    said = document.get("evaluation")
    return None if said is None else Evaluation.from_json(said)


def weakest(evaluation: Evaluation | None) -> str:
    """Return what the model is worst at, as a sentence; "" without an evaluation, and if all is right.

    >>> from automl.final.evaluation.record import ClassScore, Evaluation
    >>> bee = ClassScore("bee", precision=0.9, recall=0.45, f1=0.6, support=20, predicted=10)
    >>> weakest(Evaluation("classification", "f1", 40, ("ant", "bee"), {}, per_class=(bee,)))
    "'bee' is the worst class: found in 9 of its 20 images, and 9 of 10 answers with it are right (F1 0.60)."
    """
    if evaluation is None:
        return ""
    if evaluation.task == "regression":
        return " ".join(filter(None, (_worst_part(target, evaluation) for target in evaluation.targets)))
    found = evaluation.worst(1)
    if not found or found[0].f1 >= 1.0 or len(evaluation.per_class) < 1:
        return ""
    worst = found[0]
    right = 0 if math.isnan(worst.recall) else round(worst.recall * worst.support)
    noun = "class" if evaluation.task == "classification" else "label"
    images = f"{worst.support:,} image{'' if worst.support == 1 else 's'}"
    answers = f"{worst.predicted:,} answer{'' if worst.predicted == 1 else 's'} with it"
    verb = "is" if right == 1 else "are"
    if not worst.predicted:
        said = f"never answered, for {images}"
    elif not worst.support:
        said = f"answered {worst.predicted:,} times, and no image has it"
    else:
        said = f"found in {right:,} of its {images}, and {right:,} of {answers} {verb} right"
    return f"'{printable(short(worst.label))}' is the worst {noun}: {said} (F1 {worst.f1:.2f})."


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
