"""Which model a study delivers, and why it may not be a full retrain of the best configuration."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Delivery(StrEnum):
    """The kind of model that is delivered; `retrain.how` in result.json."""

    RETRAINED = "retrained"
    OWN_WEIGHTS = "own weights"
    CUT_SHORT = "cut short"


@dataclass(frozen=True)
class TooShort:
    """The `seconds` left for the retrain are enough for only a `share` of a training as long as the best trial."""

    seconds: float
    share: float

    def sentence(self) -> str:
        """Return the first clause of the sentence for users."""
        return (
            f"the {self.seconds:.0f} s left are only {self.share:.0%} of a retrain as long as the best trial"
        )


@dataclass(frozen=True)
class Stopped:
    """Ctrl-C stopped the retrain at `progress`, from 0 to 1."""

    progress: float

    def sentence(self) -> str:
        """Return the first clause of the sentence for users."""
        return f"Ctrl-C stopped the retrain at {self.progress:.0%}"


Shortfall = TooShort | Stopped
_DELIVERED = {
    Delivery.OWN_WEIGHTS: "the best trial's own weights are delivered",
    Delivery.CUT_SHORT: "the model is delivered as it was then",
}


def delivery_in_words(delivery: Delivery, why: Shortfall | None) -> str:
    """Return why the model is not a full retrain, as a sentence without full stop; "" if it is one."""
    return "" if why is None else f"{why.sentence()}: {_DELIVERED[delivery]}"
