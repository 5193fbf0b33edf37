"""The plan as text for users."""

from __future__ import annotations

from automl.config.checks import DEFAULT_FOLDS
from automl.config.durations import format_duration, significant
from automl.config.sizes import format_size
from automl.pipeline.plan.budget import Budget, Work
from automl.pipeline.plan.constants import FEWEST_PASSES, FULL_TRIALS
from automl.pipeline.plan.hardware import Device
from automl.training.speed_probe import Probe


def epochs_in_words(range_s: tuple[float, float], work: Work) -> str:
    """Return how long an epoch of the measured configuration takes, and the range of the space (seconds)."""
    low, high = range_s
    span = f"{significant(low)} to {significant(high)} s"
    return f"an epoch takes about {significant(work.epoch_seconds)} s, and {span} in most of the search space"


def share_in_words(share: float) -> str:
    """Return that trials train on a share of the training images, and why."""
    return (
        f"Trials train on {share:.0%} of the training images, to make about as many epochs as the retrain and so show "
        "overfitting. The final model trains on all images, and usually scores higher."
    )


def cv_in_words(budget: Budget, work: Work) -> str:
    """Return a suggestion to score trials by cross-validation; "" if the search holds too few of such trials."""
    needed = FULL_TRIALS * DEFAULT_FOLDS * FEWEST_PASSES * work.epoch_seconds
    if budget.search_s is not None and budget.search_s * work.parallel < needed:
        return ""
    return (
        f"{work.n_val:,} validation images tell little about a trial: `--val cv` scores it on all "
        f"{work.n_train + work.n_val:,} images out of fold, by {DEFAULT_FOLDS} times the work."
    )


def plan_in_words(
    budget: Budget, measured: Probe, device: Device, *, folds: int = 0, hopeless: bool = False
) -> str:
    """Return the division of the time, the trials and the measured speed. Under cross-validation there are `folds`.

    `hopeless`: there is no retrain because it could not replace the delivered one.
    """
    speed = (
        f"a trial trains {measured.images_per_second / device.slowdown:.0f} images/s in {measured.precision}"
    )
    if measured.memory:
        speed += f" with {format_size(round(measured.memory, -8))} of memory"
    place = f"{device.gpus} GPU{'s' * (device.gpus != 1)}" if device.gpus else device.kind
    length = f"{budget.epochs} epoch{'s' * (budget.epochs != 1)}"
    if budget.round_s is not None:
        took = format_duration(round(budget.epochs * budget.round_s))
        length = f"{took} in {budget.epochs} round{'s' * (budget.epochs != 1)}"
    trials = f"{device.parallel} at a time on {place}, up to {length} each"
    if folds:
        trials += f", of {folds} networks, one for each fold"
    if budget.search_s is None or budget.retrain_s is None:
        return f"Plan: trials {trials}; {speed}"
    search, final = format_duration(round(budget.search_s)), format_duration(round(budget.retrain_s))
    rest = f"{final} for the retrain"
    if hopeless:
        rest = "none for a retrain, as the delivered model's was more than twice as long as this time holds"
    return f"Plan: {search} for the search (trials {trials}), {rest}; {speed}"


def too_short_in_words(remaining: float, work: Work) -> str:
    """Return a sentence for a time that is too short for a whole trial, a retrain and the rest."""
    epoch = "an epoch" if work.trainings == 1 else f"an epoch of the {work.trainings} networks of --val cv"
    return (
        f"The {format_duration(round(remaining))} left are too short for a whole trial and a retrain ({epoch} takes "
        f"{work.epoch_seconds * work.slowdown:.1f} s here): one configuration trains as long as the time allows, and "
        "the best model by then is delivered."
    )
