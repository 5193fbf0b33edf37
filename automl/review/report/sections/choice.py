"""Why this model is delivered: what it was compared with, and why the trial with the best score was not taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from automl.final.evidence.delivery import NAMES, Decided, Delivery
from automl.records import TrialRow
from automl.review.describe import score
from automl.review.evaluation.text import Table
from automl.review.report.facts import Facts
from automl.search.control.suggestions import PORTFOLIO

_DECIDED = {
    Decided.NOTHING_TO_COMPARE: "There was no other model to compare it with.",
    Decided.NO_TIME: "There was no time to compare it with other models.",
}
_NOTE = (
    "Each row is a model against the one that was preferred until then. It replaces that one only if it is better by "
    "more than the standard error of the difference."
)
_SEEN = " Where the preferred model was trained on some of the images, its score is too good: only a lower one counts."


@dataclass(frozen=True)
class WhyThis:
    """What the section shows: sentences, a row for each comparison, and one for each student of a distillation."""

    sentences: tuple[str, ...]
    comparisons: Table | None
    students: Table | None = None


def why_this(facts: Facts) -> WhyThis:
    """Return why the delivered model is the one, from the result and the trials."""
    retrain = facts.result.get("retrain", {})
    evidence = retrain.get("evidence") or {}
    found = evidence.get("comparisons") or ()
    said = [not_the_best(facts), _decided(retrain, evidence)]
    taught = evidence.get("distillation")
    return WhyThis(
        tuple(sentence for sentence in said if sentence),
        _table(found, facts.metric) if found else None,
        _students(taught, facts.metric) if taught else None,
    )


def not_the_best(facts: Facts) -> str:
    """Return why the best trial of the result is not the one with the best score, as a sentence; "" if it is.

    The reasons are those of the search (`search.control.incumbent`) and of the retrain, which takes trials from
    scratch or from weights by what their curves promise.
    """
    best, rows = facts.history.best, facts.history.trained
    taken = next((row for row in rows if row.trial == facts.result.get("best", {}).get("trial")), None)
    if best is None or taken is None or taken.value is None or taken.trial == best.trial:
        return ""
    if best.value == taken.value:
        return f"Trials {taken.trial} and {best.trial} have equal scores, {score(best.value)}; one has to be taken."
    return (
        f"Trial {best.trial} has the best score, {score(best.value)}, but trial {taken.trial} ({score(taken.value)}) "
        f"is taken: {_reason(facts, best, taken)}."
    )


def _reason(facts: Facts, best: TrialRow, taken: TrialRow) -> str:
    stored = {trial.number: trial for trial in facts.history.trials}
    first, other = stored.get(best.trial), stored.get(taken.trial)
    if first is None or other is None:
        return "why is not known, as the study's database cannot be read"
    if first.kind != other.kind:
        return f"it is {other.kind}, and by the curves of the trials that promised more at the length of the retrain"
    scored = first.reports[-1].rows if first.reports else 0
    if 0 < scored < facts.result.get("data", {}).get("n_val", 0):
        return f"trial {best.trial} was scored on {scored:,} validation images only"
    if first.origin == other.origin == PORTFOLIO:
        return (
            f"both are from the portfolio, where trial {taken.trial} comes earlier, and was at most one standard "
            "error behind in the last round that both had"
        )
    return "the study does not say why"


def _decided(retrain: Mapping[str, Any], evidence: Mapping[str, Any]) -> str:
    why = str(retrain.get("why") or "")
    if why:
        return f"{why[:1].upper()}{why[1:]}."
    comparisons = evidence.get("comparisons") or ()
    if comparisons and not any(one["won"] for one in comparisons):
        name = NAMES.get(retrain.get("how", Delivery.RETRAINED), "the model")
        return f"Nothing that {name} was compared with is better by more than one standard error."
    return _DECIDED.get(evidence.get("decided_by", ""), "")


def _table(found: Any, metric: str) -> Table:
    columns = (
        "compared",
        metric,
        "preferred",
        f"its {metric}",
        "validation images",
        "it trained on",
        "better by",
        "standard error",
        "replaces it",
    )
    rows = tuple(
        (
            _name(one["challenger"]),
            score(one["challenger_value"]),
            _name(one["preferred"]),
            score(one["preferred_value"]),
            f"{one['rows']:,}",
            f"{one['preferred_trained_on']:,}",
            score(one["better_by"]),
            score(one["standard_error"]),
            "yes" if one["won"] else "no",
        )
        for one in found
    )
    seen = _SEEN if any(one["preferred_trained_on"] for one in found) else ""
    right = (columns[1], *columns[3:8])
    return Table("What the model was compared with", columns, rows, right, _NOTE + seen)


def _students(taught: Mapping[str, Any], metric: str) -> Table:
    """Return the teacher and its students: what each costs and reached on the validation images that decided."""
    columns = (
        "network",
        "parameters",
        "MB",
        "ms",
        "began with",
        metric,
        "loss",
        "standard error",
        "certainty",
        "outcome",
    )
    teacher = taught["teacher"]
    rows = [(teacher["name"], *_costs(teacher), "", score(teacher["value"]), "", "", "", "teacher")]
    for place, one in enumerate(taught["students"]):
        said = "delivered" if place == taught["chosen"] else one["why"]
        numbers = (score(one[name]) for name in ("value", "loss", "standard_error"))
        certainty = one.get("certainty")  # None in results of earlier versions
        certain = "-" if certainty is None else f"{certainty:.0%}"
        name = f"{one['model']} at {one['size']} px"
        rows.append((name, *_costs(one), one["begun_with"], *numbers, certain, said))
    note = (
        f"The smallest network is delivered that loses at most {score(taught['max_loss'])} on {taught['rows']:,} "
        "validation images that neither it nor its teacher trained on. The certainty is the probability that it loses "
        "no more on all images of this kind: few images leave it low, and then the loss may be larger."
    )
    right = (*columns[1:4], *columns[5:9])
    return Table("Smaller networks that learned from it", columns, tuple(rows), right, note)


def _costs(one: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return parameters, megabytes and milliseconds of a network."""
    latency = one.get("ms_per_image")
    return f"{one['params']:,}", f"{one['bytes'] / 1e6:.2f}", "-" if latency is None else f"{latency:.1f}"


def _name(kind: str) -> str:
    names = {str(known): name for known, name in NAMES.items()}
    return names.get(kind, kind).removeprefix("the ")
