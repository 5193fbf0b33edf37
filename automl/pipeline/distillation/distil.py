"""Distil the model that would be delivered into the smallest network that keeps its metric."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl.data.splits import VAL
from automl.errors import ModelError, TrialError
from automl.final.confidence.answers import KnownAnswers
from automl.final.distillation.outcome import Distilled, Tried, middle, trainings
from automl.final.evidence.candidates import KEPT_PART, Positions, kept_rows
from automl.final.evidence.verdict import RETRAINS, Final
from automl.final.retrain import KEPT_INDEX, Retrained
from automl.machine import Moment
from automl.pipeline.distillation.case import Array, Case
from automl.pipeline.distillation.students import Student, students
from automl.pipeline.distillation.training import NoTime, Training
from automl.pipeline.plan.constants import DISTILLING_SHARE, FEWEST_COMBINED
from automl.pipeline.retrain.combine import asks_anew
from automl.pipeline.retrain.retrain_time import RetrainTime
from automl.pipeline.setup import Setup
from automl.search import SearchResult
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.training.models.memory_format import to_cpu

FOLDER = ".distillation"  # in the study's folder, while students train
COUNTING_SHARE = 0.05  # of the time for students: at most, for finding out which networks are smaller
LATENCY_S = 5.0  # seconds that must be left, so that latencies are measured


def with_time_to_distil(setup: Setup) -> Setup:
    """Return the setup for making the teacher: it leaves time for students, if there may be any."""
    left = setup.clock.remaining()
    if left is None or _no_rows(setup, len(setup.data.splits.val) // KEPT_PART):
        return setup
    return replace(setup, clock=setup.clock.shortened(DISTILLING_SHARE * left))


def distilled(setup: Setup, found: SearchResult, final: Final, should_stop: Callable[[], bool]) -> Final:
    """Return the smallest student of the model in `final` that keeps the metric, or `final` if none does.

    Students train as the retrain does, on the same rows, but learn what the teacher answers. They are compared with it
    on validation rows that neither trained on; the holdout takes no part. The smallest one is sought by bisection over
    three sizes at most. It is delivered if the metric on these rows is not lower by more than --max-loss. After Ctrl-C
    the teacher is delivered.
    """
    if final.stopped or should_stop():
        return final
    if final.earlier is not None:
        if not asks_anew(setup, final.earlier):
            return final
        final = replace(final, unseen=final.earlier.unseen)
    rows = _deciding_rows(setup, final)
    why = _no_rows(setup, len(rows))
    if final.model.config["model"] == LINEAR_ON_PIXELS:
        why = "a linear model on pixels is as small as a model can be"
    if not why:
        setup.observer.stage("distil", "looking for smaller networks that answer as the model does")
        made = _outcome(setup, found, final, rows, should_stop)
        if isinstance(made, Final):
            return made
        why = made
    setup.observer.note(f"No smaller network: {why}.")
    return final


def _no_rows(setup: Setup, n: int) -> str:
    """Return why `n` validation rows cannot decide; "" if they can."""
    if setup.data.splits.folds:
        return "under cross-validation no image is left by which networks could be compared"
    if n < FEWEST_COMBINED:
        return (
            f"only {n} of {len(setup.data.splits.val)} validation images are left that the model did not train on, "
            f"and {FEWEST_COMBINED} are needed (a third is kept out of the final training)"
        )
    return ""


def _deciding_rows(setup: Setup, final: Final) -> Positions:
    """Return the positions of the validation rows that decide: those that the retrain did not see, else a third."""
    if final.delivery in RETRAINS or not len(final.unseen):
        return final.unseen
    data = setup.data
    groups = data.labelled.together[np.array(data.split.parts) == VAL]
    targets = np.load(data.splits.val.targets, mmap_mode="r")[np.load(data.splits.val.index)]
    third = kept_rows(targets, groups, seed=setup.config.seed)
    return np.asarray(third[np.isin(third, final.unseen)])


def _outcome(
    setup: Setup, found: SearchResult, final: Final, rows: Positions, should_stop: Callable[[], bool]
) -> Final | str:
    """Return the model to deliver, or why no student was even tried."""
    case = Case.of(setup, found, final, rows)
    if case is None:
        return "there was no time to score the model itself"
    left = case.left()
    until = None if math.isinf(left) else Moment.now().later(COUNTING_SHARE * left)
    waiting = students(setup, found, case.size, final.model.config, until=until)
    if not waiting:
        return f"the study knows none that is clearly smaller than {case.size.words}"
    folder = setup.workspace.root / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir()
    try:
        training = Training(
            setup,
            case.teacher,
            case.splits(folder / "val_index.npy"),
            RetrainTime(setup, found).plan(),
            case.per_row,
            folder,
            case.left,
            should_stop,
        )
        lessons = _Lessons(case, training, waiting)
        lessons.search()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if setup.device.kind != "cpu":
        to_cpu(case.teacher.trained.model)
    images = final.images + lessons.images
    if should_stop():
        setup.observer.note(f"Ctrl-C ended the distillation: {case.name} is delivered.")
        return replace(final, stopped=True, images=images)
    return _final(replace(final, images=images), case, lessons)


@dataclass(frozen=True)
class _Best:
    """The smallest student so far that keeps the metric: its place, and what it answers for the rows that decide."""

    place: int
    student: Student
    trained: Retrained
    scores: Array


class _Lessons:
    """The search for the smallest student, by training some of those that are `waiting`, from small to large."""

    def __init__(self, case: Case, training: Training, waiting: Sequence[Student]) -> None:
        self._case, self._training, self._waiting = case, training, waiting
        self.tried: dict[int, Tried] = {}
        self.best: _Best | None = None
        self.images = 0

    def search(self) -> None:
        """Train students by bisection. Where there is no time for one, a smaller one takes less."""
        low, high = 0, len(self._waiting)
        while low < high and not self._training.should_stop():
            place = middle(low, high)
            left = self._case.left()
            seconds = None if math.isinf(left) else left / trainings(low, high)
            self._try(place, seconds)
            tried = self.tried.get(place)
            too_small = tried is not None and not tried.keeps and not tried.late
            low, high = (place + 1, high) if too_small else (low, place)

    def _try(self, place: int, seconds: float | None) -> None:
        """Train a student and compare it, unless Ctrl-C is pressed meanwhile."""
        case, training, student = self._case, self._training, self._waiting[place]
        case.setup.observer.stage("distil", f"teaching {student.size.words}")
        tried = Tried(student.size, student.begun, most=case.most)
        try:
            made = training.taught(student, seconds)
        except (ModelError, TrialError) as error:
            if not training.should_stop():
                self.tried[place] = replace(tried, why=f"its training failed ({error})")
            return
        if isinstance(made, NoTime):
            self.tried[place] = replace(tried, why=made.why, late=True)
            return
        self.images += made.model.images_trained
        if training.should_stop():
            return
        known = case.answers(case.finished(student, made.model))
        if len(known.rows) < len(case.rows):
            self.tried[place] = replace(tried, why="no time to score it", late=True)
            return
        self.tried[place] = tried = replace(
            tried,
            found=case.compared(known.scores),
            images=made.model.images_trained,
            seconds=made.model.seconds,
            stored=made.stored,
        )
        if tried.keeps:  # smaller than the one before
            self.best = _Best(place, student, made.model, known.scores)


def _final(final: Final, case: Case, lessons: _Lessons) -> Final:
    """Return the student that is delivered with what is known of it, or the teacher with why it stays."""
    best, places = lessons.best, sorted(lessons.tried)
    told = replace(case.told(), tried=tuple(lessons.tried[place] for place in places))
    if best is None:
        return _telling(final, told)
    told = replace(told, chosen=places.index(best.place))
    if case.spare >= LATENCY_S:
        told = told.measured(case.latency(case.teacher.trained), case.latency(best.trained))
    case.splits(
        case.setup.workspace.root / KEPT_INDEX
    )  # by this file, a later run knows what the model has seen
    teacher = final if final.earlier is None else None  # else it lies in the study's folder
    final = _telling(final, told)
    return replace(
        final,
        teacher=teacher,
        model=case.finished(best.student, best.trained),
        earlier=None,
        evidence={**final.evidence, "kept_out": len(case.rows)},
        answers=KnownAnswers(case.targets, best.scores),
        unseen=case.rows,
    )


def _telling(final: Final, told: Distilled) -> Final:
    evidence = {**final.evidence, "distillation": told.to_dict()}
    return replace(final, reasons=(*final.reasons, told), evidence=evidence)
