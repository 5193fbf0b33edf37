"""A teacher and the validation rows that decide about its students."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl.final.cost.latency import measure_latency
from automl.final.distillation.outcome import Distilled, Size
from automl.final.evidence.answers import answered
from automl.final.evidence.candidates import Alternative, Candidate, Positions
from automl.final.evidence.delivery import NAMES, Delivery
from automl.final.evidence.paired import Difference, paired_difference
from automl.final.evidence.verdict import Final
from automl.final.heads import number_of
from automl.final.retrain import Retrained, without
from automl.machine import slowdown
from automl.pipeline.distillation.students import Student
from automl.pipeline.distillation.teacher import Teacher
from automl.pipeline.plan.budget import measured_closing
from automl.pipeline.plan.constants import SCORING_SPARE, SETTLING
from automl.pipeline.setup import Setup
from automl.records import SearchSplits
from automl.search import SearchResult
from automl.torch_setup import set_threads
from automl.training.steps.metrics import compute
from automl.training.steps.standard_errors import allowed_loss, standard_error

Array = npt.NDArray[Any]
BEFORE_SCORING = 0.5  # seconds from the last step of a student to its first answer
_KINDS = {Delivery.OWN_WEIGHTS: "the network", Delivery.HEAD: "the linear head"}


@dataclass(frozen=True)
class Case:
    """A teacher of this `size` that answers `scores` for the rows that decide, whose right answers are `targets`.

    `rows` are positions among the validation rows, on none of which it trained. It takes `per_row` seconds for one.
    """

    setup: Setup
    name: str
    teacher: Teacher
    size: Size
    rows: Positions
    targets: Array
    scores: Array
    per_row: float

    @classmethod
    def of(cls, setup: Setup, found: SearchResult, final: Final, rows: Positions) -> Case | None:
        """Return the case of the model in `final`; None if there is no time to score it."""
        model = final.model
        known = answers(setup, model, rows)
        if len(known.rows) < len(rows):
            return None
        val = setup.data.splits.val
        targets = np.load(val.targets, mmap_mode="r")[np.load(val.index)[rows]]
        teacher = Teacher(model, setup.device.kind)
        words = f"{str(model.config['model']).partition('.')[0]} at {model.trained.size} px"
        return cls(
            setup,
            _name(model, found),
            teacher,
            teacher.size(words),
            rows,
            np.asarray(targets),
            known.scores,
            known.seconds_per_row,
        )

    @property
    def value(self) -> float:
        """What the teacher has by the metric."""
        return compute(self.setup.metric.name, self.targets, self.scores, self.setup.data.splits.info.task)

    @property
    def most(self) -> float:
        """How much of the metric a student may lose."""
        metric, value = self.setup.metric.name, self.value
        error = standard_error(metric, value, self.setup.data.splits.info, len(self.rows))
        return allowed_loss(metric, value, error, self.setup.config.max_loss)

    @property
    def spare(self) -> float:
        """Seconds beside what the end of the study needs with the teacher; infinite without a limit."""
        left = self.setup.clock.remaining()
        if left is None:
            return math.inf
        scoring = self.setup.data.splits.info.n_holdout * self.per_row
        return left - measured_closing(slowdown=slowdown(), scoring=scoring)

    def left(self) -> float:
        """Return the seconds for training students, who are scored after it and are not slower than their teacher."""
        scoring = SCORING_SPARE * len(self.rows) * self.per_row
        return self.spare - scoring - BEFORE_SCORING * max(1.0, slowdown())

    def splits(self, index: Path) -> SearchSplits:
        """Return the rows that students train on; `index` is the file for the numbers of the validation rows."""
        splits = self.setup.data.splits
        return replace(splits, val=without(splits.val, self.rows, index))

    def answers(self, model: Alternative) -> Candidate:
        """Score a student on the rows that decide."""
        return answers(self.setup, model, self.rows)

    def compared(self, scores: Array) -> Difference:
        """Return the teacher (first) beside a student that has these scores on the rows that decide."""
        setup = self.setup
        task = setup.data.splits.info.task
        return paired_difference(
            setup.metric.name, self.targets, self.scores, scores, task, seed=setup.config.seed
        )

    def finished(self, student: Student, trained: Retrained) -> Alternative:
        """Return a trained student as a model that may be delivered."""
        fitting = self.setup.fitting
        mirrored = None if fitting is None else fitting.mirrored(student.config)
        return Alternative(Delivery.DISTILLED, student.config, trained, mirrored=mirrored)

    def latency(self, trained: Retrained) -> float:
        """Measure the milliseconds that an image takes."""
        device = self.setup.device
        return measure_latency(
            trained.model,
            channels=trained.info.in_chans,
            side=trained.size,
            threads=device.all_threads,
            device=device.kind,
        ).p50

    def told(self) -> Distilled:
        """Return the record of the case, without students."""
        name, metric = self.name, self.setup.metric.name
        return Distilled(name, self.size, metric, self.value, self.most, len(self.rows))


def answers(setup: Setup, model: Alternative, rows: Positions) -> Candidate:
    """Score a model on validation rows, as many as there is time for. A head is one without the rows that it was fitted
    on at last."""
    set_threads(setup.device.all_threads)  # nothing else is running
    left = setup.clock.remaining()
    closing = measured_closing(slowdown=1.0, scoring=0.0) - SETTLING  # nothing is left to settle
    until = None if left is None else time.monotonic() + left - closing
    val, none = setup.data.splits.val, np.zeros(len(setup.data.splits.val), dtype=bool)
    found = answered(model, val, rows, seen=none, device=setup.device.kind, until=until)
    return replace(found.candidate, seconds_per_row=found.seconds_per_row)


def _name(model: Alternative, found: SearchResult) -> str:
    """Return what a teacher is, such as "the retrain of trial 3"."""
    if model.delivery is Delivery.EARLIER:
        return NAMES[Delivery.EARLIER]
    head = model.delivery is Delivery.HEAD
    number = number_of(model, found.heads) if head else found.best.number
    kind = _KINDS.get(model.delivery, "the retrain")
    return kind if number is None else f"{kind} of trial {number}"
