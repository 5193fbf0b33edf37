"""Make the model to deliver: retrain the best configuration, and deliver the best of the models that are known."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from automl.data.splits import VAL
from automl.errors import EngineError, StorageError
from automl.final.distributed_retrain import RetrainWorkers, distributed_retrain, has_checkpoint
from automl.final.evidence.answers import Answered, answered
from automl.final.evidence.candidates import (
    Alternative,
    Candidate,
    Choice,
    Judge,
    Positions,
    best_known,
    choose,
    kept_rows,
)
from automl.final.evidence.delivery import (
    Delivery,
    Outscored,
    Reached,
    Shortfall,
    Stopped,
    TooFew,
    TooShort,
    Unscored,
    delivery_in_words,
)
from automl.final.retrain import Retrain, Retrained, best_checkpoint, own_weights, without
from automl.interrupt import stop_on_interrupt
from automl.pipeline.objective import origin_of
from automl.pipeline.plan.hardware import ray_cpus
from automl.pipeline.retrain_time import CERTAIN, RetrainTime, interrupted
from automl.pipeline.setup import Setup
from automl.records import Config, SearchSplits
from automl.search import SearchResult
from automl.torch_setup import set_threads
from automl.training.hardware.data_parallel import most_workers
from automl.training.hardware.out_of_memory import release
from automl.training.models.hyperparameters import Recipe
from automl.training.models.memory_format import to_cpu
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer

NEARLY = 0.8  # of the retrain: after that, its learning rate is low enough to deliver the model
FOLDER = ".retrain"  # the folder that several workers share
KEPT_INDEX = "retrain_val_index.npy"
FEWEST_KEPT = 10  # validation rows: fewer would decide nothing
COMPARING = (
    0.05  # of the time left after the search: at most so much for scoring one model on validation rows
)


@dataclass(frozen=True)
class Final:
    """The model to deliver, and `why` it is not a full retrain (None if it is). `stopped`: by Ctrl-C.

    `evidence` is what decided, for result.json. `images` are those that the retrain trained on, also if another model
    is delivered.
    """

    model: Alternative
    why: Shortfall | None = None
    stopped: bool = False
    images: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def trained(self) -> Retrained:
        """The network, and what it was trained on."""
        return self.model.trained

    @property
    def delivery(self) -> Delivery:
        """The kind of model."""
        return self.model.delivery

    def in_words(self) -> str:
        """Return why it is not a full retrain, as a sentence; "" if it is one."""
        return delivery_in_words(self.delivery, self.why)


def final_model(setup: Setup, found: SearchResult) -> Final:
    """Retrain the best configuration on all rows but the holdout, and return the best of the models that are known.

    Those are the retrain, the best trial's own weights and `setup.alternatives`. There is no retrain if the time left
    is too short for half of the best trial's work. The retrain is preferred unless it saw less than that or was stopped
    early by Ctrl-C; another model replaces the preferred one if it is better on validation rows by more than one
    standard error (`choose`). A third of the validation rows stays out of the retrain, for this comparison, if it
    is planned with less than twice the best trial's work, or if an alternative is as good as the best trial.
    After a Ctrl-C in the search, another one ends the program.
    """
    contest = _Contest(setup, found)
    plan = contest.time.plan()
    why = contest.time.too_short(plan)
    contest.enter_others(plan)
    if why and contest.others:
        return contest.final(why)
    few = contest.time.too_few(plan)
    if few and contest.others:
        return contest.final(few)
    if contest.time.share(plan) < CERTAIN or contest.alternative_leads():
        contest.keep_rows()
    plan = contest.time.plan()
    asked = threading.Event()
    setup.observer.stage("retrain", f"training the best configuration on {_images(contest)}")
    with _on_ctrl_c(found, asked.set):
        trained = _retrain(contest, plan, asked.is_set, anyway=not contest.others)
        shutil.rmtree(setup.workspace.root / FOLDER, ignore_errors=True)
        if isinstance(trained, TooShort):
            return contest.final(trained)
        return contest.decide(trained, plan, stopped=asked.is_set())


class _Contest:
    """The models that may be delivered, and the validation rows that compare them.

    `kept` are positions of validation rows that stay out of the retrain.
    """

    def __init__(self, setup: Setup, found: SearchResult) -> None:
        self.setup, self.found, self.time = setup, found, RetrainTime(setup, found)
        self.splits: SearchSplits = setup.data.splits
        self.others: list[Candidate] = []
        self.kept: Positions = np.empty(0, dtype=np.int64)
        self._third = self._order = self.kept
        self.per_row: list[float] = []  # seconds that the best trial's network took to score a row

    @property
    def _judge(self) -> Judge:
        val = self.setup.data.splits.val
        targets = np.load(val.targets, mmap_mode="r")[np.load(val.index)]
        info, seed = self.setup.data.splits.info, self.setup.config.seed
        return Judge(self.setup.metric.name, info, targets, seed)

    def enter_others(self, plan: TrainPlan) -> None:
        """Score the best trial's own weights and the alternatives on validation rows, as far as the time allows.

        The rows that may be kept out of the retrain are scored first.
        """
        own = _own_weights(self.setup, self.found, plan)
        models = [*([] if own is None else [own]), *self.setup.alternatives]
        if not models:
            return
        data, seed = self.setup.data, self.setup.config.seed
        groups = data.labelled.together[np.array(data.split.parts) == VAL]  # in the order of the rows
        self._third = kept_rows(self._judge.targets, groups, seed=seed)
        n, rng = len(data.splits.val), np.random.default_rng(seed)
        rest = np.setdiff1d(np.arange(n), self._third)
        self._order = np.concatenate([rng.permutation(self._third), rng.permutation(rest)])
        for model in models:
            found = self._score(model, self._order, seen=np.zeros(n, dtype=bool))
            if model is own and len(found.candidate.rows):
                self.per_row.append(found.seconds_per_row)
            self._order = self._order[: len(found.candidate.rows)]
            self.others.append(found.candidate)
        self.time = replace(self.time, compared=len(self._order))

    def alternative_leads(self) -> bool:
        """Return whether an alternative is at least as good as the best trial, up to one standard error."""
        trial, judge = self.others[:1], self._judge
        others = [other for other in self.others if other.name is not Delivery.OWN_WEIGHTS]
        if not others or not trial or trial[0].name is not Delivery.OWN_WEIGHTS:
            return bool(others)
        return not all(choose([other, trial[0]], judge).decided for other in others)

    def keep_rows(self) -> None:
        """Keep a third of the validation rows out of the retrain, if they are enough to compare models."""
        if len(self._third) < FEWEST_KEPT or not self.others:
            return
        self.kept, data = self._third, self.setup.data
        rest = without(data.splits.val, self.kept, self.setup.workspace.root / KEPT_INDEX)
        self.splits = replace(data.splits, val=rest)

    def decide(self, trained: Retrained, plan: TrainPlan, *, stopped: bool) -> Final:
        """Return the best of the retrain and the others. `stopped`: Ctrl-C ended the retrain."""
        cut = stopped and trained.progress < 1.0
        why: Shortfall | None = Stopped(trained.progress) if cut else None
        poor = cut and trained.progress < NEARLY
        images = self.time.trial_images
        if not cut and trained.images_trained < self.time.enough(plan) * images:
            why, poor = Reached(trained.images_trained, images), True
        kind = Delivery.CUT_SHORT if cut else Delivery.RETRAINED
        model = Alternative(kind, self.found.best.config, trained)
        if not self.others:
            return self.final(why, retrain=model, stopped=stopped)
        seen = np.ones(self.setup.data.splits.info.n_val, dtype=bool)
        seen[self.kept] = False
        candidate = self._score(model, self._order, seen=seen).candidate
        if not len(candidate.rows):
            return self._unscored(why, model, stopped=stopped)
        found = choose(
            [*self.others[:1], candidate, *self.others[1:]] if poor else [candidate, *self.others],
            self._judge,
        )
        return self.final(why, retrain=model, stopped=stopped, choice=found)

    def _unscored(self, why: Shortfall | None, retrain: Alternative, *, stopped: bool) -> Final:
        """Return what is delivered if there was no time to score the retrain: the best that is known without it."""
        trial = self.found.best.value
        known = best_known(self.setup.alternatives, trial, self._judge)
        if known is None:
            return self.final(why, retrain=retrain, stopped=stopped)
        why = Unscored(known.delivery, self.setup.metric.name, known.value, trial)
        evidence = self._evidence(why, retrain, None)
        return Final(known, why, stopped, retrain.trained.images_trained, evidence)

    def final(
        self,
        why: Shortfall | None,
        *,
        retrain: Alternative | None = None,
        stopped: bool = False,
        choice: Choice | None = None,
    ) -> Final:
        """Return what is delivered: the choice, or without one the retrain, or the best of the others."""
        if choice is None and retrain is None:
            choice = choose(self.others, self._judge)
        model = choice.best.model if choice is not None else retrain
        if model is None:
            raise ValueError("no model is known: there must be a retrain, or another candidate")
        decided = None if choice is None else choice.decided
        if decided is not None and retrain is not None:
            why = Outscored(
                decided.challenger,
                decided.preferred,
                self.setup.metric.name,
                (decided.found.first, decided.found.second),
                decided.found.error,
                decided.found.rows,
                decided.seen,
            )
        images = 0 if retrain is None else retrain.trained.images_trained
        return Final(model, why, stopped, images, self._evidence(why, retrain, choice))

    def _evidence(
        self, why: Shortfall | None, retrain: Alternative | None, choice: Choice | None
    ) -> dict[str, Any]:
        """Return what decided, with its numbers, for result.json."""
        done = () if choice is None else choice.comparisons
        by = _DECIDED.get(type(why), "comparison" if done else "nothing to compare")
        if why is None and self.others and not done:
            by = "no time to compare"
        return {
            "decided_by": by,
            "kept_out": len(self.kept),
            "trial": {"images": self.time.trial_images},
            "retrain": None if retrain is None else _numbers(retrain),
            "comparisons": [comparison.to_dict() for comparison in done],
        }

    def _score(self, model: Alternative, order: Positions, *, seen: np.ndarray) -> Answered:
        """Score a model on validation rows, within its part of the time left."""
        setup, left = self.setup, self.setup.clock.remaining()
        until = None if left is None else time.monotonic() + COMPARING * left
        set_threads(setup.device.all_threads)  # nothing else is running
        found = answered(
            model, setup.data.splits.val, order, seen=seen, device=setup.device.kind, until=until
        )
        if setup.device.kind != "cpu":
            to_cpu(model.trained.model)  # the retrain needs the memory of the GPU
            release()
        return found


_DECIDED: dict[type, str] = {
    TooShort: "time left",
    TooFew: "time left",
    Stopped: "Ctrl-C",
    Reached: "length reached",
    Outscored: "comparison",
    Unscored: "earlier scores",
}


def _numbers(model: Alternative) -> dict[str, Any]:
    trained = model.trained
    return {
        "epochs": trained.epochs,
        "images": trained.images_trained,
        "n_train": trained.n_train,
        "seconds": round(trained.seconds, 2),
        "progress": round(trained.progress, 4),
    }


def _images(contest: _Contest) -> str:
    splits, kept = contest.splits, len(contest.kept)
    count = len(splits.train) + len(splits.val)
    if not kept:
        return f"all {count:,} images"
    return f"{count:,} images; {kept:,} are kept out, to compare it with the best trial"


def _retrain(
    contest: _Contest, plan: TrainPlan, asked: Callable[[], bool], *, anyway: bool
) -> Retrained | TooShort:
    """Retrain in several processes or in this one. TooShort, if the time is too short and it is not wanted `anyway`."""
    trained = _retrain_in_workers(contest, plan, asked)
    return _retrain_here(contest, asked, anyway=anyway) if trained is None else trained


def _retrain_in_workers(contest: _Contest, plan: TrainPlan, asked: Callable[[], bool]) -> Retrained | None:
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
            should_stop=asked,
        )
    except EngineError as error:
        observer.note(f"The retrain continues in one process: {error}.")
        return None


def _retrain_here(contest: _Contest, asked: Callable[[], bool], *, anyway: bool) -> Retrained | TooShort:
    """Retrain in this process, from the checkpoint of several workers if they failed.

    Returns TooShort if the time left is too short for the network, unless it is wanted `anyway`.
    """
    setup, found, spare = contest.setup, contest.found, contest.time
    group, plan = _group(setup, 1), spare.plan()
    left = group.checkpoint if setup.config.retrain_workers > 1 and has_checkpoint(group) else None
    retrain = Retrain(found.best.config, contest.splits, plan, work_dir=setup.workspace.root, checkpoint=left)
    if plan.seconds is None:
        return retrain.train(setup.observer, asked)
    per_row = [*contest.per_row, spare.per_row(retrain.trainer)]
    seconds = spare.capped(max(1.0, spare.left(per_row)))
    why = spare.too_short(replace(plan, seconds=seconds))
    if why and left is None and not anyway:
        return why
    end = None if not interrupted(found) else time.monotonic() + seconds  # after Ctrl-C it never takes longer

    def more(trainer: Trainer) -> float:
        per_row.append(spare.per_row(trainer))
        later = spare.left(per_row)
        return later if end is None else min(later, end - time.monotonic())

    return retrain.train(setup.observer, asked, seconds=seconds, left=more)


def _group(setup: Setup, workers: int) -> RetrainWorkers:
    config = setup.config
    origin, folder = origin_of(config, setup.data.splits.info), setup.workspace.root / FOLDER
    return RetrainWorkers(workers, origin, folder, config.address, ray_cpus(config))


def _own_weights(setup: Setup, found: SearchResult, plan: TrainPlan) -> Alternative | None:
    """Return the best trial's own network; None if it left no weights of its best round, or they cannot be read."""
    config: Config = found.best.config
    place = best_checkpoint(found.best)
    if place is None:
        return None
    try:
        return Alternative(Delivery.OWN_WEIGHTS, config, own_weights(config, setup.data.splits, plan, place))
    except StorageError as error:
        setup.observer.note(str(error))
        return None


def _on_ctrl_c(found: SearchResult, stop: Callable[[], None]) -> AbstractContextManager[None]:
    return nullcontext() if interrupted(found) else stop_on_interrupt(stop)
