"""Which model a study delivers, and why it may not be a full retrain of the best configuration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Delivery(StrEnum):
    """The kind of model that is delivered; `retrain.how` in result.json."""

    RETRAINED = "retrained"
    OWN_WEIGHTS = "own weights"
    CUT_SHORT = "cut short"
    HEAD = "linear head"


NAMES = {
    Delivery.RETRAINED: "the retrain",
    Delivery.OWN_WEIGHTS: "the best trial's own weights",
    Delivery.CUT_SHORT: "the retrain",
    Delivery.HEAD: "the linear head",
}


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
class TooFew:
    """The `seconds` left hold about `images` training images, too few for a network, and another model is known."""

    seconds: float
    images: int

    def sentence(self) -> str:
        """Return the first clause of the sentence for users."""
        return f"the {self.seconds:.0f} s left hold only about {self.images:,} training images"


@dataclass(frozen=True)
class Stopped:
    """Ctrl-C stopped the retrain at `progress`, from 0 to 1."""

    progress: float

    def sentence(self) -> str:
        """Return the first clause of the sentence for users."""
        return f"Ctrl-C stopped the retrain at {self.progress:.0%}"


@dataclass(frozen=True)
class Reached:
    """The retrain trained on `images`, and the best trial on `trial_images`, of which these are too small a part."""

    images: int
    trial_images: int

    def sentence(self) -> str:
        """Return the first clause of the sentence for users."""
        return (
            f"when its time ended, the retrain had trained on {self.images:,} images and the best trial "
            f"on {self.trial_images:,}"
        )


@dataclass(frozen=True)
class Outscored:
    """The delivered model (`winner`) scored better than `loser`: `values` by `metric` on `rows` validation images.

    The loser trained on `seen` of them. `error` is the standard error of the difference.
    """

    winner: Delivery
    loser: Delivery
    metric: str
    values: tuple[float, float]
    error: float
    rows: int
    seen: int

    def sentence(self) -> str:
        """Return the first clause of the sentence for users."""
        loser, have = NAMES[self.loser], "have" if self.winner is Delivery.OWN_WEIGHTS else "has"
        where = (
            f"{loser} was trained on {self.seen:,} of them" if self.seen else "neither was trained on them"
        )
        return (
            f"on {self.rows:,} validation images {NAMES[self.winner]} {have} {self.metric} {self.values[0]:.4f} "
            f"and {loser} {self.values[1]:.4f} ({where}; standard error of the difference {self.error:.4f})"
        )


@dataclass(frozen=True)
class Unscored:
    """There was no time to score the retrain; before it, the `winner` had `value` on the validation images.

    `trial_value` is what the best trial had there, NaN if it had none.
    """

    winner: Delivery
    metric: str
    value: float
    trial_value: float

    def sentence(self) -> str:
        """Return the first clause of the sentence for users."""
        trial = (
            "no trial had a score"
            if math.isnan(self.trial_value)
            else f"the best trial {self.trial_value:.4f}"
        )
        return (
            f"there was no time to score the retrain on validation images, where {NAMES[self.winner]} has "
            f"{self.metric} {self.value:.4f} and {trial}"
        )


Shortfall = TooShort | TooFew | Stopped | Reached | Outscored | Unscored


def delivery_in_words(delivery: Delivery, why: Shortfall | None) -> str:
    """Return why the model is not a full retrain, as a sentence without full stop; "" if it is one."""
    if why is None:
        return ""
    if delivery is Delivery.CUT_SHORT:
        return f"{why.sentence()}: the model is delivered as it was then"
    verb = "are" if delivery is Delivery.OWN_WEIGHTS else "is"
    return f"{why.sentence()}: {NAMES[delivery]} {verb} delivered"
