"""How a time limit is shared out between the search, the retrain and what comes after it. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DEFAULT_IMAGES = 600_000  # images that a trial sees at most, when neither the person nor the clock says less,
FEWEST_EPOCHS, MOST_EPOCHS = 20, 100  # within these numbers of epochs
EVAL_SPEEDUP = 3.0  # forward alone costs a third of forward and backward
FULL_TRIALS = 5.0  # full-length trials that the search time must hold, if it can
RETRAIN_SHARE = 0.6  # most of the time that may be set aside for the retrain
SPARE = 1.15  # the retrain is planned longer than measured, as neighbours may slow it down
MOST_SLOWDOWN = 3.0  # beyond this, what was measured is taken for a hiccup
SIZES = (96, 64, 48, 32)  # px; sides that a training from scratch may be held to
# What a training from scratch should see in the end, before more pixels are worth their time.
WANTED_IMAGES, WANTED_EPOCHS = 30_000, 12
CLOSING = 4.0  # seconds to score the intervals, write the model, the tables and the result, and leave


@dataclass(frozen=True)
class Work:
    """What is to be done, in images, and how fast it goes."""

    n_train: int
    n_val: int
    n_holdout: int
    images_per_second: float
    parallel: int
    retrain_speedup: float = 1.0

    @property
    def epoch_seconds(self) -> float:
        """One epoch of a trial: training, then validation."""
        return (self.n_train + self.n_val / EVAL_SPEEDUP) / self.images_per_second

    @property
    def retrain_epoch_seconds(self) -> float:
        """One epoch of the retrain, which has all cores."""
        return (self.n_train + self.n_val) / (self.images_per_second * self.retrain_speedup)

    @property
    def default_epochs(self) -> int:
        """Most epochs of a trial when nobody says less: fewer for more images."""
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, DEFAULT_IMAGES // max(1, self.n_train)))

    @property
    def closing_seconds(self) -> float:
        """The holdout and the writing of what is delivered."""
        return self.n_holdout / (EVAL_SPEEDUP * self.images_per_second) + CLOSING


@dataclass(frozen=True)
class Budget:
    """`search_s` and `retrain_s` are seconds (None: no limit); `epochs` is the full length of a trial.

    `most_epochs` is what a trial could have had with enough time; where `epochs` is less, the retrain may be longer
    than a trial.
    """

    epochs: int
    search_s: float | None
    retrain_s: float | None
    closing_s: float
    most_epochs: int


def make_budget(work: Work, *, remaining: float | None, epochs: int | None) -> Budget:
    """Share `remaining` seconds out; `epochs` is the most epochs that the person allows, None for the default.

    The retrain gets what it needs for that many epochs, but at most 60 %. The search gets the rest, and trials are
    made short enough for five of full length to fit.
    """
    most = epochs or work.default_epochs
    if remaining is None:
        return Budget(most, None, None, work.closing_seconds, most)
    usable = max(0.0, remaining - work.closing_seconds)
    retrain_s = min(most * work.retrain_epoch_seconds * SPARE, RETRAIN_SHARE * usable)
    search_s = usable - retrain_s
    held = int(search_s * work.parallel / work.epoch_seconds / FULL_TRIALS)
    length = max(1, min(most, held))
    return Budget(length, search_s, retrain_s, work.closing_seconds, most)


def reporting_seconds(work: Work, search_s: float) -> float:
    """Seconds before the deadline at which a trial that has never reported validates what it has.

    Thrice as long as its validation should take, but at most a fifth of the search.
    """
    return min(max(2.0, 3.0 * work.n_val / (EVAL_SPEEDUP * work.images_per_second)), 0.2 * search_s)


def closing_seconds(budget: Budget, *, slowdown: float) -> float:
    """The closing on a machine that turned out to be `slowdown` times slower than measured before the search."""
    return budget.closing_s * min(MOST_SLOWDOWN, max(1.0, slowdown))


def affordable_size(*, n_train: int, seconds: float, rate: Callable[[int], float], most: int) -> int:
    """The largest side in pixels, at most `most`, at which the retrain sees enough images in its share of `seconds`.

    `rate(size)` is images a second on all cores. The least of `SIZES` where none is small enough. Measured
    in docs/benchmarks.md, "Size and time".
    """
    wanted = max(WANTED_IMAGES, WANTED_EPOCHS * n_train)
    fitting = [size for size in SIZES if size <= most and RETRAIN_SHARE * seconds * rate(size) >= wanted]
    return max(fitting, default=min(most, SIZES[-1]))


def shortest_limit(work: Work) -> float:
    """The least seconds, from now on, that hold one trial of one epoch, its retrain and the holdout."""
    return work.epoch_seconds + work.retrain_epoch_seconds + work.closing_seconds


def retrain_epochs(budget: Budget, *, best_epoch: int) -> int:
    """Epochs of the retrain: those that the search found best; the most allowed where time cut trials short."""
    return budget.most_epochs if budget.epochs < budget.most_epochs else best_epoch
