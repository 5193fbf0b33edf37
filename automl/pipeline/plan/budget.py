"""How a time limit is shared out between the search, the retrain and what comes after it. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from automl.training.rounds import STEP_COST

DEFAULT_IMAGES = 600_000  # images that a trial sees at most, when neither the person nor the clock says less,
# within these numbers of epochs; a retrain from scratch may have the last, where the clock allows it.
MIN_EPOCHS, MAX_EPOCHS = 20, 100
MIRRORED = 2.0  # the delivered model looks at a picture and at its mirror image
FULL_TRIALS = 5.0  # full-length trials that the search time must hold, if it can
MIN_LENGTH = (
    0.12  # of the retrain's work: what a full-length trial should have at least, to tell something of it
)
# Of the time, what may be set aside for the retrain: more than the first only until it sees enough images.
RETRAIN_SHARE, MAX_RETRAIN = 0.6, 0.85
# The search has at least so many seconds and rounds, up to half of the time: without a value nothing is compared.
MIN_SEARCH, MIN_ROUNDS = 3.0, 1.5
ENOUGH_IMAGES, ENOUGH_EPOCHS, PLENTY_EPOCHS = 80_000, 30, 40
MAX_ROUNDS = 100
# A round of a trial is at least so long: in images, in seconds, and in multiples of what it takes to score it.
ROUND_IMAGES, ROUND_SECONDS, ROUND_SCORINGS = 1000, 1.0, 8.0
# Where the retrain goes through its pictures often, trials learn from a part of them, so that they go through it about
# as often: which configuration overfits shows in no other way. At least so large a part, and so many rows.
OFTEN, MIN_PART, MIN_ROWS = 20.0, 0.25, 1000
SPARE = 1.15  # the retrain is planned longer than measured, as neighbours may slow it down
MAX_SLOWDOWN = 3.0  # beyond this, what was measured is taken for a hiccup
SIZES = (96, 64, 48, 32)  # px; sides that a training from scratch may be held to
SURE = 1.3  # of what was measured on a few pictures
CLOSING = 2.5  # seconds to score the intervals, write the model, the tables and the result, and leave


@dataclass(frozen=True)
class Work:
    """What is to be done, in images, and how fast it goes; `startup` is seconds until the first trial trains.

    `scratch`: networks learn from nothing, which takes more epochs than fine-tuning.
    """

    n_train: int
    n_val: int
    n_holdout: int
    images_per_second: float
    parallel: int
    retrain_speedup: float = 1.0
    startup: float = 0.0
    scratch: bool = True

    @property
    def epoch_seconds(self) -> float:
        """One epoch of a trial: training, then validation."""
        return (self.n_train + self.n_val / STEP_COST) / self.images_per_second

    @property
    def retrain_epoch_seconds(self) -> float:
        """One epoch of the retrain, which has all cores."""
        return (self.n_train + self.n_val) / (self.images_per_second * self.retrain_speedup)

    @property
    def default_epochs(self) -> int:
        """Most epochs of a trial when nobody says less: fewer for more images."""
        return min(MAX_EPOCHS, max(MIN_EPOCHS, DEFAULT_IMAGES // max(1, self.n_train)))

    @property
    def closing_seconds(self) -> float:
        """The holdout and the writing of what is delivered."""
        return MIRRORED * self.n_holdout / (STEP_COST * self.images_per_second) + CLOSING


@dataclass(frozen=True)
class Budget:
    """`search_s` and `retrain_s` are seconds (None: no limit); `epochs` is the full length of a trial, in rounds.

    A round takes `round_s` seconds of a trial's work; None makes it an epoch. `most_epochs` is what the retrain may
    have in epochs, and a trial could have had with enough time.
    """

    epochs: int
    search_s: float | None
    retrain_s: float | None
    closing_s: float
    most_epochs: int
    round_s: float | None = None


def make_budget(work: Work, *, remaining: float | None, epochs: int | None) -> Budget:
    """Share `remaining` seconds out; `epochs` is the most epochs that the person allows, None for the default.

    The retrain gets what it needs for that many epochs, but at most 60 %, or what it takes to see enough images, up to
    85 %. The search gets the rest, and trials are made short enough for five of full length to fit, unless they would
    then say too little about the retrain. Where the person does not count in epochs, trials are counted in rounds of
    equal time.
    """
    most = epochs or work.default_epochs
    if remaining is None:
        return Budget(most, None, None, work.closing_seconds, most)
    usable = max(0.0, remaining - work.closing_seconds - work.startup)
    if epochs is None:  # where pictures are few, until it has seen enough
        longest = MAX_EPOCHS if work.scratch else most
        most = max(longest, ENOUGH_IMAGES // max(1, work.n_train))
    retrain_s = min(most * work.retrain_epoch_seconds * SPARE, retrain_share(work, usable) * usable)
    search_s = usable - retrain_s
    full_s = search_s * work.parallel / FULL_TRIALS
    if epochs is not None:
        length = max(1, min(most, int(full_s / work.epoch_seconds)))
        return Budget(length, search_s + work.startup, retrain_s, work.closing_seconds, most)
    two_s = 0.75 * search_s * min(1.0, work.parallel / 2)  # two trials fit in any case: one is no search
    least_s = min(two_s, MIN_LENGTH * retrain_s * work.retrain_speedup)
    full_s = min(most * work.epoch_seconds, max(full_s, least_s))
    rounds = max(1, min(most, MAX_ROUNDS, int(full_s / _shortest_round(work))))
    round_s = max(0.1, full_s / rounds)
    return Budget(rounds, search_s + work.startup, retrain_s, work.closing_seconds, most, round_s)


def part_of_rows(work: Work, budget: Budget) -> float:
    """The share of the training rows that trials learn from, 1 where the retrain sees its pictures a few times only.

    With as many passes through a smaller part as the retrain has through all, trials rank configurations as it does.
    Measured in docs/benchmarks/history.md, "Part of the rows".
    """
    if budget.round_s is None or budget.retrain_s is None:
        return 1.0
    retrain_s = budget.retrain_s * work.retrain_speedup
    if retrain_s * work.images_per_second < OFTEN * (work.n_train + work.n_val):
        return 1.0
    trial_s = budget.epochs * budget.round_s
    return min(1.0, max(MIN_PART, trial_s / retrain_s, MIN_ROWS / max(1, work.n_train)))


def retrain_share(work: Work, usable: float) -> float:
    """The share of `usable` seconds that the retrain may have: enough to see enough images, if that is possible."""
    wanted = enough_images(work.n_train + work.n_val)
    usable = max(usable, 1e-9)
    share = wanted / (work.images_per_second * work.retrain_speedup) / usable
    least_search = max(MIN_SEARCH, MIN_ROUNDS * _shortest_round(work))
    return min(MAX_RETRAIN, max(RETRAIN_SHARE, share), max(0.5, 1.0 - least_search / usable))


def retrain_at_most(work: Work, remaining: float) -> float:
    """What of `remaining` seconds the retrain may have, for a configuration that needs all of it."""
    usable = max(0.0, remaining - work.closing_seconds - work.startup)
    return retrain_share(work, usable) * usable


def enough_images(rows: int) -> int:
    """What a training from scratch should see in the end, before more pixels or a search are worth its time."""
    return min(max(ENOUGH_IMAGES, ENOUGH_EPOCHS * rows), PLENTY_EPOCHS * rows)


def _shortest_round(work: Work) -> float:
    scoring = work.n_val / (STEP_COST * work.images_per_second)
    return max(ROUND_SECONDS, ROUND_SCORINGS * scoring, ROUND_IMAGES / work.images_per_second)


def reporting_seconds(work: Work, search_s: float) -> float:
    """Seconds before the deadline at which a trial that has never reported validates what it has.

    Thrice as long as its validation should take, but at most a fifth of the search.
    """
    return min(max(2.0, 3.0 * work.n_val / (STEP_COST * work.images_per_second)), 0.2 * search_s)


def closing_seconds(budget: Budget, *, slowdown: float, n_holdout: int = 0, rate: float = math.inf) -> float:
    """The closing on a machine that turned out to be `slowdown` times slower than measured before the search.

    `rate` is images a second at which the best trial trained: where it is dear, scoring the `n_holdout` images is too.
    """
    slower = min(MAX_SLOWDOWN, max(1.0, slowdown))
    return max(budget.closing_s * slower, CLOSING * slower + MIRRORED * n_holdout / (STEP_COST * rate))


def measured_closing(*, slowdown: float, scoring: float) -> float:
    """The closing where scoring the holdout should take `scoring` seconds, by a measurement on the very network."""
    return CLOSING * min(MAX_SLOWDOWN, max(1.0, slowdown)) + SURE * scoring


def affordable_size(*, n_train: int, seconds: float, rate: Callable[[int], float], most: int) -> int:
    """The largest side in pixels, at most `most`, at which the retrain sees enough images in its share of `seconds`.

    `rate(size)` is images a second on all cores. The least of `SIZES` where none is small enough. Measured
    in docs/benchmarks/history.md, "Size and time".
    """
    wanted = enough_images(n_train)
    fitting = [size for size in SIZES if size <= most and RETRAIN_SHARE * seconds * rate(size) >= wanted]
    return max(fitting, default=min(most, SIZES[-1]))


def shortest_limit(work: Work, *, timed: bool = False) -> float:
    """The least seconds, from now on, that hold one trial of one epoch (`timed`: or of the shortest round), its retrain
    and the holdout.
    """
    trial = min(work.epoch_seconds, _shortest_round(work)) if timed else work.epoch_seconds
    return work.startup + trial + work.retrain_epoch_seconds + work.closing_seconds


def retrain_epochs(budget: Budget, *, best_epoch: int) -> int:
    """Epochs of the retrain: those that the search found best; the most allowed where time decides."""
    if budget.round_s is not None or budget.epochs < budget.most_epochs:
        return budget.most_epochs
    return best_epoch
