"""Why a model is delivered: the reasons for the sentence, and what decided, for result.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from automl.final.confidence.answers import KnownAnswers
from automl.final.evidence.candidates import Alternative, Choice, Comparison, Positions
from automl.final.evidence.delivery import (
    ByValue,
    Decided,
    Delivery,
    Failed,
    Reached,
    Shorter,
    Shortfall,
    Stopped,
    TooFew,
    TooShort,
    Unknown,
    Unproven,
    Unscored,
    delivery_in_words,
)
from automl.final.evidence.earlier import Earlier
from automl.final.retrain import Retrained

RETRAINS = (Delivery.RETRAINED, Delivery.CUT_SHORT)


# Without one of these reasons there is a retrain that was scored, and the comparisons decide.
_NO_SCORE: dict[type, Decided] = {
    TooShort: Decided.TIME_LEFT,
    TooFew: Decided.TIME_LEFT,
    Failed: Decided.FAILED,
    Unscored: Decided.EARLIER_SCORES,
    Unproven: Decided.LENGTH,
    Unknown: Decided.EARLIER_MODEL,
}
_SCORED: dict[type, Decided] = {
    Stopped: Decided.CTRL_C,
    Reached: Decided.LENGTH,
    Shorter: Decided.EARLIER_MODEL,
}


@dataclass(frozen=True)
class Verdict:
    """What is known when a model is delivered.

    `why`: what is wrong with the retrain before any comparison, or why there is none; None if nothing is. `retrain` is
    the new one, if there is one. `choice`: the result of the comparisons, None without any. `rivals`: how many other
    models there are. `kept_out`: validation rows that stayed out of the retrain. `trial_images`: the number of images
    on which the best trial trained. `earlier`: the model that an earlier run delivered. `by_value`: earlier scores
    decided among the other models.
    """

    metric: str
    why: Shortfall | None
    retrain: Alternative | None
    choice: Choice | None
    rivals: int
    kept_out: int
    trial_images: int
    earlier: Earlier | None = None
    by_value: ByValue | None = None

    def reasons(self) -> tuple[Shortfall, ...]:
        """Return the reasons for the sentence, in the order in which they came up; () if nothing opposed the retrain.

        Wherever there was a retrain and another model is delivered, one of them is about the retrain.
        """
        found: list[Shortfall] = [one for one in (self.why, self.by_value) if one is not None]
        if self.choice is None:
            return tuple(found)
        found += [comparison.outscored(self.metric) for comparison in self.choice.replaced]
        lost = self._lost()
        if lost is not None:
            found.append(lost.not_better(self.metric))
        return tuple(found)

    def decided_by(self) -> Decided:
        """Return what decided for the delivered model."""
        kind, choice = type(self.why), self.choice
        if self.by_value is not None:
            return Decided.EARLIER_SCORES
        if kind in _NO_SCORE:
            return _NO_SCORE[kind]
        if choice is not None and choice.replaced:
            return Decided.COMPARISON
        if kind in _SCORED:
            return _SCORED[kind]
        done = () if choice is None else choice.comparisons
        if any(not comparison.seen for comparison in done):
            return Decided.COMPARISON
        if done:  # on rows that the retrain trained on: there it can only lose
            return Decided.NOTHING_AGAINST
        return Decided.NO_TIME if self.rivals else Decided.NOTHING_TO_COMPARE

    def evidence(self) -> dict[str, Any]:
        """Return what decided, with its numbers, for result.json."""
        done = () if self.choice is None else self.choice.comparisons
        earlier = {} if self.earlier is None else {"earlier": self.earlier.numbers()}
        return {
            "decided_by": self.decided_by().value,
            "kept_out": self.kept_out,
            "trial": {"images": self.trial_images},
            "retrain": None if self.retrain is None else _numbers(self.retrain),
            **earlier,
            "comparisons": [comparison.to_dict() for comparison in done],
        }

    def _lost(self) -> Comparison | None:
        """Return what failed to replace the earlier model that is kept: the retrain, or what replaced that."""
        choice = self.choice
        if choice is None or choice.best.name is not Delivery.EARLIER:
            return None
        against = [each for each in choice.comparisons if each.preferred is Delivery.EARLIER]
        names = RETRAINS if choice.decided is None else (choice.decided.challenger,)
        return next((each for each in against if each.challenger in names), None)


def _numbers(model: Alternative) -> dict[str, Any]:
    trained = model.trained
    return {
        "epochs": trained.epochs,
        "images": trained.images_trained,
        "n_train": trained.n_train,
        "seconds": round(trained.seconds, 2),
        "progress": round(trained.progress, 4),
        "timed": trained.timed,
    }


@dataclass(frozen=True)
class Final:
    """The model to deliver, and the `reasons` if it is not a retrain that nothing opposed. `stopped`: by Ctrl-C.

    `evidence` is what decided, for result.json. `images` are those that the retrain trained on, also if another model
    is delivered. `earlier`: the model of an earlier run, if that is kept. `answers`: its outputs on rows that it did
    not train on, or of the trial with its configuration; None if unknown. `unseen` are the positions of validation rows
    on which it did not train. `members` are those of an ensemble, for result.json. `teacher`: the model of this run
    that a student took the place of.
    """

    model: Alternative
    reasons: tuple[Shortfall, ...] = ()
    stopped: bool = False
    images: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)
    earlier: Earlier | None = None
    answers: KnownAnswers | None = field(default=None, repr=False)
    unseen: Positions = field(default_factory=lambda: np.empty(0, dtype=np.int64), repr=False, compare=False)
    members: tuple[dict[str, Any], ...] = ()
    teacher: Final | None = field(default=None, repr=False)

    @property
    def trained(self) -> Retrained:
        """The network, and what it was trained on."""
        return self.model.whole or self.model.trained

    @property
    def delivery(self) -> Delivery:
        """The kind of model."""
        return self.model.delivery

    def in_words(self) -> str:
        """Return why this model is delivered, as a sentence; "" for a retrain that nothing opposed."""
        return delivery_in_words(self.delivery, self.reasons)


def unseen_rows(model: Alternative, kept: Positions, n: int) -> Positions:
    """Return the positions of those of n validation rows on which a model did not train.

    `kept` were kept out of the retrain. A head is meant as fitted without them; of an earlier model none is known.
    """
    if model.delivery in RETRAINS:
        return kept
    return np.arange(0 if model.delivery is Delivery.EARLIER else n)
