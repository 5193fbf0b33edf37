"""The plan, as a person reads it before the search."""

from __future__ import annotations

from automl.config.durations import format_duration
from automl.config.sizes import format_size
from automl.pipeline.plan.budget import Budget, Work
from automl.pipeline.plan.hardware import Device
from automl.training.speed_probe import Probe


def epochs_in_words(range_s: tuple[float, float], work: Work) -> str:
    """How long an epoch of the measured configuration takes, and one of most of the space (seconds)."""
    low, high = range_s
    return f"an epoch should take {work.epoch_seconds:.2g} s, in most of the space {low:.2g} to {high:.2g} s"


def share_in_words(share: float) -> str:
    """That trials learn from a share of the training images, and why."""
    return (
        f"Trials learn from {share:.0%} of the training images, which they go through about as often as the retrain "
        "goes through all: so they tell what overfits. Their scores are lower than that of the final model will be."
    )


def plan_in_words(budget: Budget, measured: Probe, device: Device) -> str:
    """The speed that was measured, what the time is shared out to, and the trials."""
    speed = f"{measured.images_per_second / device.slowdown:.0f} images/s a trial in {measured.precision}"
    if measured.memory:
        speed += f" and about {format_size(round(measured.memory, -8))}"
    place = f"{device.gpus} GPU{'s' * (device.gpus != 1)}" if device.gpus else device.kind
    length = f"{budget.epochs} epoch{'s' * (budget.epochs != 1)}"
    if budget.round_s is not None:
        length = f"{format_duration(round(budget.epochs * budget.round_s))} in {budget.epochs} rounds"
    trials = f"{device.parallel} at once on {place}, up to {length} each"
    if budget.search_s is None or budget.retrain_s is None:
        return f"Plan: {speed}; trials: {trials}"
    search, final = format_duration(round(budget.search_s)), format_duration(round(budget.retrain_s))
    return f"Plan: {speed}; {search} of search ({trials}), {final} kept for the retrain"
