"""Make the model to deliver: retrain the best configuration, and deliver the best of the models that are known."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace

from automl.errors import EngineError, TrialError
from automl.final.distributed_retrain import RetrainWorkers, distributed_retrain, has_checkpoint
from automl.final.evidence.delivery import Failed, Shortfall, Stopped, TooShort
from automl.final.evidence.earlier import Earlier
from automl.final.evidence.verdict import Final
from automl.final.retrain import Retrain, Retrained
from automl.machine import Moment
from automl.pipeline.objective import origin_of
from automl.pipeline.plan.hardware import ray_cpus
from automl.pipeline.retrain.contest import Contest
from automl.pipeline.retrain.look import look
from automl.pipeline.retrain.retrain_time import CERTAIN, interrupted
from automl.pipeline.setup import Setup
from automl.search import SearchResult
from automl.training.hardware.data_parallel import most_workers
from automl.training.models.hyperparameters import Recipe
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer

FOLDER = ".retrain"  # the folder that several workers share
ANYWAY_S = 1.0  # seconds of a retrain without which there is no model at all
LONG_ENOUGH = 10.0  # seconds of a retrain in which scoring is measured again: that takes up to a second


def final_model(
    setup: Setup,
    found: SearchResult,
    earlier: Earlier | None = None,
    *,
    promise: float = math.nan,
    asked: Callable[[], bool] = lambda: False,
) -> Final:
    """Retrain the best configuration on all rows but the holdout, and return the best of the models that are known.

    Those are the retrain, the best trial's own weights, `setup.alternatives`, and the model that an `earlier` run
    delivered. There is no retrain if the time left is too short for half of the best trial's work. The retrain is
    preferred unless it saw less than that, was stopped early by Ctrl-C, or is shorter than the earlier model; another
    model replaces the preferred one if it is better on validation rows by more than one standard error (`choose`). A
    third of the validation rows stays out of the retrain, for this comparison, if it is planned with less than twice
    the best trial's work, if an alternative is as good as the best trial, or if there is an earlier model. A head on
    features is preferred to a retrain whose `promise` (its value by the curves of the trials) is not better by more
    than a standard error; then all rows stay out if they are few. `asked` returns whether Ctrl-C was pressed since the
    search: then the best model by now is delivered. Raises TrialError if the retrain fails and no other model is known.
    """
    contest = Contest(setup, found, earlier, promise, asked)
    contest.enter_others(contest.time.plan())
    plan = contest.timed(contest.time.plan())
    if contest.rivals and (short := contest.no_retrain(plan)):
        contest.enter_hopeless()
        return contest.final(short, stopped=asked())
    early = asked()
    if early:  # no model is known yet
        contest.interrupt()
    if (
        contest.may_combine
        or contest.time.share(plan) < CERTAIN
        or contest.earlier
        or contest.alternative_leads()
    ):
        contest.keep_rows()
    plan = contest.timed(contest.time.plan())
    setup.observer.stage("retrain", f"training the best configuration on {contest.images_in_words()}")
    trained = _retrain(contest, plan)
    shutil.rmtree(setup.workspace.root / FOLDER, ignore_errors=True)
    stopped = contest.asked()
    if not isinstance(trained, Retrained):
        return contest.final(trained, stopped=stopped or early)
    return replace(contest.decide(trained, plan, stopped=stopped), stopped=stopped or early)


def _retrain(contest: Contest, plan: TrainPlan) -> Retrained | Shortfall:
    """Retrain in several processes or in this one. If another model is known, return why there is no retrain."""
    try:
        trained = _retrain_in_workers(contest, plan)
        return _retrain_here(contest, anyway=not contest.rivals) if trained is None else trained
    except TrialError as error:
        if not contest.rivals:
            raise
        return Stopped(0.0) if contest.asked() else Failed(str(error))


def _retrain_in_workers(contest: Contest, plan: TrainPlan) -> Retrained | None:
    """Retrain in several processes, if that is configured; return None, with a note, if it fails."""
    setup, found = contest.setup, contest.found
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
            contest.splits,
            plan,
            group=_group(setup, min(most, wanted)),
            observer=observer,
            should_stop=contest.asked,
        )
    except EngineError as error:
        observer.note(f"The retrain continues in one process: {error}.")
        return None


def _retrain_here(contest: Contest, *, anyway: bool) -> Retrained | TooShort:
    """Retrain in this process, from the checkpoint of several workers if they failed.

    Returns TooShort if the time left is too short for the network, unless it is wanted `anyway`.
    """
    setup, found, spare = contest.setup, contest.found, contest.time
    group, plan = _group(setup, 1), spare.plan()
    left = group.checkpoint if setup.config.retrain_workers > 1 and has_checkpoint(group) else None
    begun = Moment.now()
    retrain = Retrain(found.best.config, contest.splits, plan, work_dir=setup.workspace.root, checkpoint=left)
    contest.built = Moment.now().after(begun)
    if plan.seconds is None:
        return retrain.train(setup.observer, contest.asked)
    per_row = contest.per_row
    per_row.append(spare.per_row(retrain.trainer.averaged, retrain.trainer.size))
    plan = contest.timed(plan)
    why = spare.too_short(plan)
    if why and left is None and not anyway:
        return why
    seconds = max(plan.seconds or 0.0, ANYWAY_S if anyway else 0.0)
    end = None if not interrupted(found) else time.monotonic() + seconds  # after Ctrl-C it never takes longer

    def more(trainer: Trainer) -> float:
        if seconds >= LONG_ENOUGH:
            per_row.append(spare.per_row(trainer.averaged, trainer.size))
            look(contest, trainer)
        later = contest.left()
        return later if end is None else min(later, end - time.monotonic())

    few = spare.few_passes(plan)
    return retrain.train(setup.observer, contest.asked, seconds=seconds, left=more, keep_outputs=few)


def _group(setup: Setup, workers: int) -> RetrainWorkers:
    config = setup.config
    origin, folder = origin_of(config, setup.data.splits.info), setup.workspace.root / FOLDER
    return RetrainWorkers(workers, origin, folder, config.address, ray_cpus(config))
