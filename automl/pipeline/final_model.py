"""Make the model to deliver: retrain the best configuration, or take the best trial's own weights."""

from __future__ import annotations

import math
import shutil
import statistics
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from automl.errors import EngineError, StorageError
from automl.final.distributed_retrain import RetrainWorkers, distributed_retrain, has_checkpoint
from automl.final.retrain import Retrain, Retrained, own_weights
from automl.final.scoring import seconds_per_image
from automl.interrupt import stop_on_interrupt
from automl.pipeline.delivery import Delivery, Shortfall, Stopped, TooShort, delivery_in_words
from automl.pipeline.objective import origin_of
from automl.pipeline.plan.budget import closing_seconds, measured_closing, retrain_epochs
from automl.pipeline.plan.hardware import ray_cpus
from automl.pipeline.setup import Setup
from automl.search import SearchResult
from automl.search.reasons import Code
from automl.search.result import BestTrial
from automl.search.storage.checkpoints import checkpoint_round
from automl.training.hardware.data_parallel import most_workers
from automl.training.models.hyperparameters import Recipe
from automl.training.plan import TrainPlan
from automl.training.rounds import STEP_COST
from automl.training.trainer import Trainer

ENOUGH = 0.5  # of the best trial's epochs: a shorter retrain would be worse than the trial
NEARLY = 0.8  # of the retrain: after that, its learning rate is low enough to deliver the model
FOLDER = ".retrain"  # the folder that several workers share


@dataclass(frozen=True)
class Final:
    """The model to deliver, and `why` it is not a full retrain (None if it is). `stopped`: by Ctrl-C."""

    trained: Retrained
    delivery: Delivery = Delivery.RETRAINED
    why: Shortfall | None = None
    stopped: bool = False

    def in_words(self) -> str:
        """Return why it is not a full retrain, as a sentence; "" if it is one."""
        return delivery_in_words(self.delivery, self.why)


def interrupted(found: SearchResult) -> bool:
    """Return whether Ctrl-C stopped the search."""
    return found.stopped_for(Code.INTERRUPTED)


def final_model(setup: Setup, found: SearchResult) -> Final:
    """Retrain the best configuration on all rows but the holdout, or return the best trial's own weights.

    Own weights are used if the time left is too short for half of the best trial's epochs, or if Ctrl-C stops the
    retrain early. After a Ctrl-C in the search, another one ends the program.
    """
    plan = _plan(setup, found)
    why = _too_short(setup, found, plan)
    own = _own_weights(setup, found, plan) if why else None
    if own is not None:
        return Final(own, Delivery.OWN_WEIGHTS, why)
    return _retrain(setup, found, plan, anyway=why is not None or not _has_own_weights(found.best))


def _retrain(setup: Setup, found: SearchResult, plan: TrainPlan, *, anyway: bool) -> Final:
    """Retrain, unless the time turns out too short and it is not wanted `anyway`; then return own weights."""
    count = len(setup.data.splits.train) + len(setup.data.splits.val)
    setup.observer.stage("retrain", f"training the best configuration on all {count:,} images")
    asked = threading.Event()
    with _on_ctrl_c(found, asked.set):
        trained: Retrained | TooShort | None = _retrain_in_workers(setup, found, plan, asked.is_set)
        if trained is None:
            trained = _retrain_here(setup, found, asked.is_set, anyway=anyway)
    shutil.rmtree(setup.workspace.root / FOLDER, ignore_errors=True)
    if isinstance(trained, TooShort):
        own = _own_weights(setup, found, plan)
        if own is None:  # its checkpoint is unreadable, so a short retrain is better than nothing
            return _retrain(setup, found, plan, anyway=True)
        return Final(own, Delivery.OWN_WEIGHTS, trained)
    if not asked.is_set() or trained.progress >= 1.0:
        return Final(trained, stopped=asked.is_set())
    why = Stopped(trained.progress)
    own = _own_weights(setup, found, plan) if trained.progress < NEARLY else None
    if own is not None:
        return Final(own, Delivery.OWN_WEIGHTS, why, stopped=True)
    return Final(trained, Delivery.CUT_SHORT, why, stopped=True)


def _retrain_in_workers(
    setup: Setup, found: SearchResult, plan: TrainPlan, asked: Callable[[], bool]
) -> Retrained | None:
    """Retrain in several processes, if that is configured; return None, with a note, if it fails."""
    wanted, observer = setup.config.retrain_workers, setup.observer
    if wanted == 1:
        return None
    shutil.rmtree(setup.workspace.root / FOLDER, ignore_errors=True)  # of a run that was killed
    most = most_workers(min(Recipe.from_config(found.best.config).batch_size, setup.data.splits.info.n_train))
    if most < wanted:
        observer.note(
            f"The retrain uses {most} of {wanted} workers, because each needs 16 images of the best batch size."
        )
    if most == 1:
        return None
    try:
        return distributed_retrain(
            found.best.config,
            setup.data.splits,
            plan,
            group=_group(setup, min(most, wanted)),
            observer=observer,
            should_stop=asked,
        )
    except EngineError as error:
        observer.note(f"The retrain continues in one process: {error}.")
        return None


def _retrain_here(
    setup: Setup, found: SearchResult, asked: Callable[[], bool], *, anyway: bool
) -> Retrained | TooShort:
    """Retrain in this process, from the checkpoint of several workers if they failed.

    Returns TooShort if the time left is too short for the network, unless it is wanted `anyway`.
    """
    group, plan = _group(setup, 1), _plan(setup, found)
    left = group.checkpoint if setup.config.retrain_workers > 1 and has_checkpoint(group) else None
    retrain = Retrain(
        found.best.config, setup.data.splits, plan, work_dir=setup.workspace.root, checkpoint=left
    )
    seconds = None
    if plan.seconds is not None:
        seconds = _seconds_left(setup, found, retrain.trainer)
        why = _too_short(setup, found, replace(_plan(setup, found), seconds=seconds))
        if why and left is None and not anyway:
            return why
    return retrain.train(setup.observer, asked, seconds=seconds)


def _seconds_left(setup: Setup, found: SearchResult, trainer: Trainer) -> float:
    """Return the seconds for the retrain, after measuring how long its network takes to score the holdout."""
    info, slower = setup.data.splits.info, slowdown(setup, found)
    passes = 2 if Recipe.from_config(found.best.config).hflip else 1
    one = seconds_per_image(
        trainer.averaged, info, trainer.size, threads=setup.device.all_threads, device=setup.device.kind
    )
    closing = measured_closing(slowdown=slower, scoring=passes * info.n_holdout * one)
    return _retrain_seconds(setup, found, closing)


def _retrain_seconds(setup: Setup, found: SearchResult, closing: float) -> float:
    """Return the seconds for the retrain if `closing` seconds are reserved after it."""
    seconds = max(1.0, (setup.clock.remaining() or 0.0) - closing)
    if setup.budget.retrain_s is not None and interrupted(found):
        # After Ctrl-C, users do not want to wait for all of the time.
        seconds = min(seconds, setup.budget.retrain_s)
    return seconds


def _group(setup: Setup, workers: int) -> RetrainWorkers:
    config = setup.config
    origin, folder = origin_of(config, setup.data.splits.info), setup.workspace.root / FOLDER
    return RetrainWorkers(workers, origin, folder, config.address, ray_cpus(config))


def slowdown(setup: Setup, found: SearchResult) -> float:
    """Return how much slower the search trained than measured before it; 1 if unknown."""
    info = setup.data.splits.info
    first = next((trial for trial in found.trials if trial.number == 0 and trial.reports), None)
    if first is None:
        return 1.0 if math.isfinite(found.best.value) else math.inf
    planned = setup.budget.round_s
    if planned is None:
        rate = setup.probe.images_per_second / setup.device.slowdown
        planned = (info.n_train + info.n_val / STEP_COST) / rate
    # Of two rounds the faster one: the first one on a GPU also pays for setup.
    return statistics.median_low(report.seconds for report in first.reports) / planned


def _plan(setup: Setup, found: SearchResult) -> TrainPlan:
    best, budget = found.best, setup.budget
    longest = max(best.round, 0 if found.leader is None else found.leader.round)
    epochs = retrain_epochs(budget, best_epoch=longest or budget.epochs)
    seconds = None
    if setup.clock.remaining() is not None:
        closing = closing_seconds(
            budget,
            slowdown=slowdown(setup, found),
            n_holdout=setup.data.splits.info.n_holdout,
            rate=found.best_rate,
        )
        seconds = _retrain_seconds(setup, found, closing)
    replicas = setup.device.all_threads if setup.device.kind == "cpu" else 1
    return replace(setup.plan, epochs=epochs, replicas=replicas, deadline=None, seconds=seconds)


def _too_short(setup: Setup, found: SearchResult, plan: TrainPlan) -> TooShort | None:
    """Return why there is not enough time for the retrain, or None if there is."""
    best = next((trial for trial in found.trials if trial.number == found.best.number), None)
    if plan.seconds is None or best is None or not best.reports:
        return None
    info = setup.data.splits.info
    spent = math.fsum(report.seconds for report in best.reports)
    rows = (info.n_train + info.n_val) / (info.n_train + info.n_val / STEP_COST)
    share = plan.seconds * setup.device.speedup / max(1e-9, spent * rows)
    if share >= ENOUGH * min(1.0, plan.epochs / max(1, found.best.round)):
        return None
    return TooShort(plan.seconds, share)


def _has_own_weights(best: BestTrial) -> bool:
    """Return whether the best trial saved the weights of its best round."""
    return best.checkpoint is not None and checkpoint_round(best.checkpoint) == best.round


def _own_weights(setup: Setup, found: SearchResult, plan: TrainPlan) -> Retrained | None:
    best: BestTrial = found.best
    if best.checkpoint is None or not _has_own_weights(best):
        return None
    try:
        return own_weights(best.config, setup.data.splits, plan, best.checkpoint)
    except StorageError as error:
        setup.observer.note(str(error))
        return None


def _on_ctrl_c(found: SearchResult, stop: Callable[[], None]) -> AbstractContextManager[None]:
    return nullcontext() if interrupted(found) else stop_on_interrupt(stop)
