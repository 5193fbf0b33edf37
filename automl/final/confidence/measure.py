"""Measure the confidence of a model on rows that it did not train on."""

from __future__ import annotations

from dataclasses import dataclass

from automl.final.confidence.answers import KnownAnswers
from automl.final.confidence.selective import RiskTable, risk_table
from automl.final.confidence.temperature import fit_temperature, tempered
from automl.records import DatasetInfo


@dataclass(frozen=True)
class Confidence:
    """The temperature of a model's probabilities, and how often its answers are wrong by their confidence, if known."""

    temperature: float = 1.0
    table: RiskTable | None = None


def confidence_of(known: KnownAnswers | None, info: DatasetInfo, *, seed: int) -> Confidence:
    """Return what answers on rows that the model did not train on say about its confidence."""
    if known is None or info.task == "regression":
        return Confidence()
    found = fit_temperature(known.targets, known.scores, info.task, seed=seed)
    if info.task != "classification":
        return Confidence(found)
    return Confidence(found, risk_table(known.targets, tempered(known.scores, found, info.task)))
