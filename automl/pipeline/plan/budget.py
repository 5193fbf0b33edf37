"""Divide a time limit between the search, the retrain and what follows it. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from automl.pipeline.plan.constants import (
    CLOSING,
    DEFAULT_IMAGES,
    ENOUGH_EPOCHS,
    ENOUGH_IMAGES,
    FEWEST_ROUNDS,
    FULL_TRIALS,
    HOPELESS,
    LOADS,
    MAX_EPOCHS,
    MAX_RETRAIN,
    MAX_ROUNDS,
    MAX_SLOWDOWN,
    MIN_EPOCHS,
    MIN_LENGTH,
    MIN_PART,
    MIN_ROUNDS,
    MIN_SEARCH,
    MIRRORED,
    OFTEN,
    PART_MIN_ROWS,
    PLENTY_EPOCHS,
    RETRAIN_SHARE,
    RETRAIN_SPARE,
    ROUND_IMAGES,
    ROUND_SCORINGS,
    ROUND_SECONDS,
    SCORED_ROUND,
    SCORING_SPARE,
    SETTLING,
    SIZES,
    UNBUILT,
)
from automl.training.rounds import STEP_COST


@dataclass(frozen=True)
class Work:
    """The amount of work in images, and its speed. `startup` is the time in seconds until the first trial trains.

    `scratch`: networks train from scratch, which takes more epochs than fine-tuning. `slowdown` is how many times
    longer everything takes because of other programs: speeds count the work of this process alone. `row_seconds` is
    what scoring a row takes with the slowest of the models that are known already, as measured beside these programs.
    Under cross-validation a trial trains `trainings` networks, and `images_per_second` are those of one of them.
    """

    n_train: int
    n_val: int
    n_holdout: int
    images_per_second: float
    parallel: int
    retrain_speedup: float = 1.0
    startup: float = 0.0
    scratch: bool = True
    slowdown: float = 1.0
    row_seconds: float = 0.0
    trainings: int = 1

    @property
    def epoch_seconds(self) -> float:
        """Seconds of an epoch of a trial, with all its networks: training and validation."""
        return (self.n_train + self.n_val / STEP_COST) / self.images_per_second

    @property
    def retrain_epoch_seconds(self) -> float:
        """Seconds of an epoch of the retrain, which has all cores."""
        return (self.n_train + self.n_val) / (self.images_per_second * self.retrain_speedup)

    @property
    def default_epochs(self) -> int:
        """Most epochs of a trial by default: fewer for more images."""
        return min(MAX_EPOCHS, max(MIN_EPOCHS, DEFAULT_IMAGES // max(1, self.n_train)))

    @property
    def closing_seconds(self) -> float:
        """Seconds for scoring the holdout and writing the results."""
        scoring = MIRRORED * self.n_holdout / (STEP_COST * self.images_per_second * self.trainings)
        return scoring + beside_scoring()

    def scored_round(self, times: float) -> float:
        """Return the seconds of a round that holds the scoring of all validation rows, if it takes `times` as long."""
        return SCORED_ROUND * times * self.n_val / (STEP_COST * self.images_per_second)

    def retrain_passes(self, seconds: float, epoch_seconds: float) -> float:
        """Return how many epochs a retrain of `seconds` makes: all cores train, on the validation rows as well.

        `epoch_seconds` are those of a trial.
        """
        rows = (self.n_train + self.n_val) / (self.n_train + self.n_val / STEP_COST)
        return seconds * self.retrain_speedup / max(1e-9, epoch_seconds * rows)


@dataclass(frozen=True)
class Budget:
    """Seconds of the search and the retrain (None: no limit), and the full length of a trial: `epochs`, in rounds.

    A round is `round_s` seconds of work, or an epoch if that is None. `most_epochs` is the limit of the retrain.
    """

    epochs: int
    search_s: float | None
    retrain_s: float | None
    closing_s: float
    most_epochs: int
    round_s: float | None = None


def make_budget(
    work: Work,
    *,
    remaining: float | None,
    epochs: int | None,
    round_s: float = 0.0,
    least_round: float = 0.0,
) -> Budget:
    """Divide `remaining` seconds; `epochs` is the user's limit, None for the default.

    The retrain gets the time for that many epochs, but at most 60 %, or up to 85 % until it sees enough images. The
    search gets the rest. Trials are short enough for five of full length, unless they would then predict the retrain
    too badly. Without a user's limit in epochs, trials are counted in rounds of equal time.
    `round_s`: the seconds of a round of an earlier run of the study, whose trials go on. `least_round`: seconds that a
    round should have for networks that take long to score; a trial still has three rounds.
    """
    most = epochs or work.default_epochs
    if remaining is None:
        return Budget(most, None, None, work.closing_seconds, most)
    usable = max(0.0, remaining - _reserved(work))
    if epochs is None:  # with few images, until it has seen enough of them
        longest = MAX_EPOCHS if work.scratch else most
        most = max(longest, ENOUGH_IMAGES // max(1, work.n_train))
    retrain_s = min(
        most * work.retrain_epoch_seconds * RETRAIN_SPARE, retrain_share(work, usable, round_s) * usable
    )
    search_s = usable - retrain_s
    full_s = search_s * work.parallel / FULL_TRIALS
    if epochs is not None:
        length = max(1, min(most, int(full_s / work.epoch_seconds)))
        return Budget(length, search_s + work.startup, retrain_s, work.closing_seconds, most)
    two_s = 0.75 * search_s * min(1.0, work.parallel / 2)  # at least two trials must fit
    least_s = min(two_s, MIN_LENGTH * retrain_s * work.retrain_speedup)
    full_s = min(most * work.epoch_seconds, max(full_s, least_s))
    shortest = max(_shortest_round(work), min(least_round, full_s / FEWEST_ROUNDS))
    rounds = max(1, min(most, MAX_ROUNDS, int(full_s / shortest + 1e-9)))
    round_s = max(0.1, full_s / rounds)
    return Budget(rounds, search_s + work.startup, retrain_s, work.closing_seconds, most, round_s)


def beside_delivered(budget: Budget, work: Work, images: int) -> Budget:
    """Return the budget of a study that has delivered a full retrain on `images` images.

    A retrain that would see less than half of them could not replace it, so the search gets its time.
    """
    if budget.search_s is None or budget.retrain_s is None:
        return budget
    possible = budget.retrain_s * work.images_per_second * work.retrain_speedup
    if possible >= HOPELESS * images:
        return budget
    return replace(budget, search_s=budget.search_s + budget.retrain_s, retrain_s=0.0)


def part_of_rows(work: Work, budget: Budget) -> float:
    """Return the share of the training rows that trials train on, 1 if the retrain makes only a few epochs.

    With a smaller part, trials make about as many epochs as the retrain, and so show which configurations overfit.
    Measured in docs/benchmarks/history.md, "Part of the rows".
    """
    if budget.round_s is None or budget.retrain_s is None:
        return 1.0
    retrain_s = budget.retrain_s * work.retrain_speedup
    if retrain_s * work.images_per_second < OFTEN * (work.n_train + work.n_val):
        return 1.0
    trial_s = budget.epochs * budget.round_s
    return min(1.0, max(MIN_PART, trial_s / retrain_s, PART_MIN_ROWS / max(1, work.n_train)))


def retrain_share(work: Work, usable: float, round_s: float = 0.0) -> float:
    """Return the share of `usable` seconds for the retrain, so that it sees enough images if possible.

    The search keeps time for some rounds, of at least `round_s` seconds.
    """
    wanted = enough_images(work.n_train + work.n_val)
    usable = max(usable, 1e-9)
    share = wanted / (work.images_per_second * work.retrain_speedup) / usable
    least_search = max(MIN_SEARCH, MIN_ROUNDS * max(round_s, _shortest_round(work)))
    return min(MAX_RETRAIN, max(RETRAIN_SHARE, share), max(0.5, 1.0 - least_search / usable))


def retrain_at_most(work: Work, remaining: float) -> float:
    """Return the most seconds of `remaining` that the retrain may have."""
    usable = max(0.0, remaining - _reserved(work))
    return retrain_share(work, usable) * usable


def _reserved(work: Work) -> float:
    """Return the seconds before the first trial and after the retrain."""
    slower = min(MAX_SLOWDOWN, max(1.0, work.slowdown))
    known = measured_closing(slowdown=slower, scoring=work.n_holdout * work.row_seconds)
    return max(work.closing_seconds * slower, known) + work.startup


def enough_images(rows: int) -> int:
    """Return how many images a training from scratch should see before larger images are worth the time."""
    return min(max(ENOUGH_IMAGES, ENOUGH_EPOCHS * rows), PLENTY_EPOCHS * rows)


def _shortest_round(work: Work) -> float:
    scoring = work.n_val / (STEP_COST * work.images_per_second)
    return max(ROUND_SECONDS, ROUND_SCORINGS * scoring, ROUND_IMAGES / work.images_per_second)


def reporting_seconds(work: Work, search_s: float) -> float:
    """Return the seconds before the deadline at which a trial without a report is scored.

    Three times as long as its validation should take, but at most a fifth of the search.
    """
    return min(max(2.0, 3.0 * work.n_val / (STEP_COST * work.images_per_second)), 0.2 * search_s)


def closing_seconds(budget: Budget, *, slowdown: float, n_holdout: int = 0, rate: float = math.inf) -> float:
    """Return the seconds to reserve after the retrain, if the machine is `slowdown` times slower than measured.

    `rate` is the best trial's training speed in images per second, which tells how long scoring `n_holdout` images
    takes.
    """
    slower = min(MAX_SLOWDOWN, max(1.0, slowdown))
    return max(budget.closing_s * slower, beside_scoring(slower) + MIRRORED * n_holdout / (STEP_COST * rate))


def measured_closing(*, slowdown: float, scoring: float, built: float | None = None) -> float:
    """Return the seconds to reserve after the retrain, if scoring the holdout takes `scoring` seconds.

    `built` is what it took to build the network, None if that is unknown.
    """
    return beside_scoring(min(MAX_SLOWDOWN, max(1.0, slowdown)), built) + SCORING_SPARE * scoring


def beside_scoring(slower: float = 1.0, built: float | None = None) -> float:
    """Return the seconds after the retrain for all but scoring, on a machine that others slow down `slower` times."""
    loading = LOADS * (UNBUILT * slower if built is None else built)
    return SETTLING + CLOSING * slower + loading


def affordable_size(*, n_train: int, seconds: float, rate: Callable[[int], float], most: int) -> int:
    """Return the largest side in pixels, at most `most`, at which the retrain sees enough images.

    `rate(size)` is images per second on all cores, `seconds` the remaining time. If none of `SIZES` is small enough,
    the smallest is returned. Measured in docs/benchmarks/history.md, "Size and time".
    """
    wanted = enough_images(n_train)
    fitting = [size for size in SIZES if size <= most and RETRAIN_SHARE * seconds * rate(size) >= wanted]
    return max(fitting, default=min(most, SIZES[-1]))


def shortest_limit(work: Work, *, timed: bool = False) -> float:
    """Return the fewest seconds for a trial (an epoch, with `timed` the shortest round), a retrain and the holdout."""
    trial = min(work.epoch_seconds, _shortest_round(work)) if timed else work.epoch_seconds
    return work.slowdown * (trial + work.retrain_epoch_seconds) + _reserved(work)


def retrain_epochs(budget: Budget, *, best_epoch: int) -> int:
    """Return the epochs of the retrain: those of the best trial, or the limit if time decides."""
    if budget.round_s is not None or budget.epochs < budget.most_epochs:
        return budget.most_epochs
    return best_epoch
