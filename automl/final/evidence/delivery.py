"""Which model a study delivers, and why it may not be a full retrain of the best configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from automl.final.distillation.outcome import Distilled


class Delivery(StrEnum):
    """The kind of model that is delivered; `retrain.how` in result.json."""

    RETRAINED = "retrained"
    OWN_WEIGHTS = "own weights"
    CUT_SHORT = "cut short"
    HEAD = "linear head"
    EARLIER = "earlier model"
    ENSEMBLE = "ensemble"
    SOUP = "soup"
    DISTILLED = "distilled"


COMBINED = (Delivery.SOUP, Delivery.ENSEMBLE)  # of several models of a study
DERIVED = (*COMBINED, Delivery.DISTILLED)  # what another --deliver makes of a study that has its single model


class Decided(StrEnum):
    """What decided for the delivered model; `retrain.evidence.decided_by` in result.json."""

    COMPARISON = "comparison"
    NOTHING_AGAINST = "nothing against the retrain"
    NOTHING_TO_COMPARE = "nothing to compare"
    NO_TIME = "no time to compare"
    EARLIER_SCORES = "earlier scores"
    EARLIER_MODEL = "earlier model"
    TIME_LEFT = "time left"
    LENGTH = "length reached"
    CTRL_C = "Ctrl-C"
    FAILED = "retrain failed"


NAMES = {
    Delivery.RETRAINED: "the retrain",
    Delivery.OWN_WEIGHTS: "the best trial's own weights",
    Delivery.CUT_SHORT: "the retrain",
    Delivery.HEAD: "the linear head",
    Delivery.EARLIER: "the earlier model",
    Delivery.ENSEMBLE: "the ensemble",
    Delivery.SOUP: "the soup",
    Delivery.DISTILLED: "the distilled network",
}


@dataclass(frozen=True)
class TooShort:
    """The `seconds` left for the retrain are enough for only a `share` of a training as long as the best trial."""

    seconds: float
    share: float

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        return f"{_left(self.seconds)}, {self.share:.0%} of what a retrain as long as the best trial takes"


@dataclass(frozen=True)
class TooFew:
    """The `seconds` left hold about `images` training images, too few for a network, and another model is known."""

    seconds: float
    images: int

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        return f"{_left(self.seconds)}, enough for only about {self.images:,} training images"


@dataclass(frozen=True)
class Failed:
    """The retrain failed, for the reason `cause`, and another model is known."""

    cause: str

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        return f"the retrain failed ({self.cause})"


@dataclass(frozen=True)
class Stopped:
    """Ctrl-C stopped the retrain at `progress`, from 0 (before it began) to 1."""

    progress: float

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        if self.progress <= 0.0:
            return "Ctrl-C came before the retrain"
        return f"Ctrl-C stopped the retrain at {self.progress:.0%}"


@dataclass(frozen=True)
class Reached:
    """The retrain trained on `images`, and the best trial on `trial_images`, of which these are too small a part."""

    images: int
    trial_images: int

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        return (
            f"when its time ended, the retrain had trained on {self.images:,} images and the best trial "
            f"on {self.trial_images:,}"
        )


@dataclass(frozen=True)
class Shorter:
    """The retrain trained on `images`, and the model that an earlier run delivered on more: `earlier_images`."""

    images: int
    earlier_images: int

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        return (
            f"the retrain trained on {self.images:,} images and the earlier model on {self.earlier_images:,}"
        )


@dataclass(frozen=True)
class Outscored:
    """The `winner` replaced the `loser`: `values` by `metric` on `rows` validation images.

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
        """Return the clause of the sentence for users."""
        loser, have = NAMES[self.loser], "have" if self.winner is Delivery.OWN_WEIGHTS else "has"
        return (
            f"on {self.rows:,} validation images {NAMES[self.winner]} {have} {self.metric} {self.values[0]:.4f} "
            f"and {loser} {self.values[1]:.4f} ({_seen(loser, self.seen)}; standard error of the difference "
            f"{self.error:.4f})"
        )


@dataclass(frozen=True)
class NotBetter:
    """The `challenger` did not replace `preferred`: `values` of both by `metric` on `rows` validation images.

    `preferred` trained on `seen` of them. `error` is the standard error of the difference.
    """

    challenger: Delivery
    preferred: Delivery
    metric: str
    values: tuple[float, float]
    error: float
    rows: int
    seen: int

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        name, several = NAMES[self.preferred], self.challenger is Delivery.OWN_WEIGHTS
        have, they_are = ("have", "they are") if several else ("has", "it is")
        return (
            f"on {self.rows:,} validation images {NAMES[self.challenger]} {have} {self.metric} {self.values[0]:.4f} "
            f"and {name} {self.values[1]:.4f}, so {they_are} not better by more than one standard error "
            f"({self.error:.4f}; {_seen(name, self.seen)})"
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
        """Return the clause of the sentence for users."""
        trial = (
            "no trial had a score"
            if math.isnan(self.trial_value)
            else f"the best trial {self.trial_value:.4f}"
        )
        return (
            f"there was no time to score the retrain on validation images, where {NAMES[self.winner]} has "
            f"{self.metric} {self.value:.4f} and {trial}"
        )


@dataclass(frozen=True)
class Unproven:
    """There was no time to score the retrain, which trained on `images`, and the best trial on more: `trial_images`."""

    images: int
    trial_images: int

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        return (
            f"there was no time to score the retrain on validation images, and it trained on {self.images:,} images, "
            f"the best trial on {self.trial_images:,}"
        )


@dataclass(frozen=True)
class ByValue:
    """There is no retrain and there was no time to compare the others: the `winner` had the best known `value`.

    `trial_value` is what the best trial had on the validation images, NaN if it had none.
    """

    winner: Delivery
    metric: str
    value: float
    trial_value: float

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        trial = (
            "no trial a score" if math.isnan(self.trial_value) else f"the best trial {self.trial_value:.4f}"
        )
        return (
            f"there was no time to compare models, and on the validation images {NAMES[self.winner]} had "
            f"{self.metric} {self.value:.4f} and {trial}"
        )


@dataclass(frozen=True)
class Unknown:
    """There was no time to score the retrain, and an earlier run delivered a model."""

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        return (
            "there was no time to score the retrain on validation images, so nothing shows that it is better"
        )


@dataclass(frozen=True)
class Combined:
    """An ensemble or a soup (`kind`) of `members` replaced the model `base`, by what both answer for `rows`.

    `losses` are those of the base and of what replaced it on these validation images.
    """

    members: tuple[str, ...]
    base: Delivery
    losses: tuple[float, float]
    rows: int
    kind: Delivery = Delivery.ENSEMBLE

    def sentence(self) -> str:
        """Return the clause of the sentence for users."""
        what = "an ensemble" if self.kind is Delivery.ENSEMBLE else f"a {self.kind}"
        return (
            f"on {self.rows:,} validation images that no member trained on, the loss of {NAMES[self.base]} is "
            f"{self.losses[0]:.4f} and that of {what} {self.losses[1]:.4f} ({', '.join(self.members)})"
        )


Shortfall = (
    TooShort
    | Combined
    | Distilled
    | TooFew
    | Failed
    | Stopped
    | Reached
    | Shorter
    | Outscored
    | NotBetter
    | Unscored
    | Unproven
    | ByValue
    | Unknown
)


def delivery_in_words(delivery: Delivery, reasons: Sequence[Shortfall]) -> str:
    """Return why this model is delivered, as a sentence without full stop; "" for a retrain that nothing opposed."""
    if not reasons:
        return ""
    said = "; ".join(reason.sentence() for reason in reasons)
    return f"{said}: {_DELIVERED.get(delivery, f'{NAMES[delivery]} is delivered')}"


_DELIVERED = {
    Delivery.CUT_SHORT: "the model is delivered as it was then",
    Delivery.OWN_WEIGHTS: "the best trial's own weights are delivered",
    Delivery.EARLIER: "the earlier model is kept",
}


def _left(seconds: float) -> str:
    return f"after what scoring and writing need, {seconds:.1f} s are left for the retrain"


def _seen(name: str, rows: int) -> str:
    return f"{name} was trained on {rows:,} of them" if rows else "neither was trained on them"
