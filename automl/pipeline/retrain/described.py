"""What result.json says of the model that is delivered."""

from __future__ import annotations

from typing import Any

from automl.final.evidence.delivery import DERIVED, Delivery
from automl.final.evidence.verdict import Final
from automl.final.heads import number_of
from automl.pipeline.results import finite
from automl.search import SearchResult


def described(final: Final, found: SearchResult) -> dict[str, Any]:
    """Return the entry `retrain` of result.json."""
    trained, earlier = final.trained, final.earlier
    entry: dict[str, Any] = {}
    if final.delivery in (Delivery.HEAD, Delivery.EARLIER, *DERIVED):
        entry["config"] = final.model.config  # not that of the best trial
    if final.delivery is Delivery.HEAD:
        entry["val_score"] = finite(final.model.value)
        number = number_of(final.model, found.heads)
        entry |= {} if number is None else {"trial": number}
    if final.delivery is Delivery.DISTILLED:
        entry["teacher"] = final.evidence["distillation"]["teacher"]
    if earlier is not None and "teacher" in earlier.result["retrain"]:
        entry["teacher"] = earlier.result["retrain"]["teacher"]
    members = list(final.members) if earlier is None else earlier.result["retrain"].get("members")
    if members:
        entry["members"] = members
    entry |= {
        "how": final.delivery.value,
        "why": final.in_words(),
        "epochs": trained.epochs,
        "n_train": trained.n_train,
        "images": trained.images_trained,
        "seconds": round(trained.seconds, 2),
        "evidence": final.evidence,
    }
    return entry if earlier is None else {**entry, "made": earlier.made.value, "trial": earlier.trial}
