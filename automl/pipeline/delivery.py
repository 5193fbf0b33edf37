"""Which model a study delivers, and why it is not a full retrain of the best configuration."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Delivery(StrEnum):
    """The model that is delivered; `result.json` holds these values as `retrain.how`."""

    RETRAINED = "retrained"
    OWN_WEIGHTS = "own weights"
    CUT_SHORT = "cut short"


@dataclass(frozen=True)
class TooShort:
    """The time left for the retrain, in seconds, holds only a `share` of a training as long as the best trial."""

    seconds: float
    share: float

    def sentence(self) -> str:
        """The start of a sentence for a person."""
        return f"the {self.seconds:.0f} s left hold {self.share:.0%} of a retrain as long as the best trial"


@dataclass(frozen=True)
class Stopped:
    """Ctrl-C stopped the retrain when it had come to `progress`, from 0 to 1."""

    progress: float

    def sentence(self) -> str:
        """The start of a sentence for a person."""
        return f"the retrain was stopped by Ctrl-C after {self.progress:.0%}"


Shortfall = TooShort | Stopped
_DELIVERED = {
    Delivery.OWN_WEIGHTS: "the best trial's own weights are delivered",
    Delivery.CUT_SHORT: "it is delivered as far as it came",
}


def delivery_in_words(delivery: Delivery, why: Shortfall | None) -> str:
    """Return the sentence, without a full stop, that says why the model is not a full retrain; "" where it is one."""
    return "" if why is None else f"{why.sentence()}: {_DELIVERED[delivery]}"
