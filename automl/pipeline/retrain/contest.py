"""The models that may be delivered, and what is known about each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from automl.data.splits import VAL
from automl.final.confidence.answers import known_answers
from automl.final.evidence.answers import Answered, answered, remembered
from automl.final.evidence.candidates import (
    Alternative,
    Candidate,
    Choice,
    Judge,
    Positions,
    best_by_value,
    best_known,
    choose,
    head_before_own,
    hopeless,
    kept_rows,
    leading,
    safe_head,
    unless_better,
)
from automl.final.evidence.delivery import (
    ByValue,
    Delivery,
    Reached,
    Shorter,
    Shortfall,
    Stopped,
    Unknown,
    Unproven,
    Unscored,
)
from automl.final.evidence.earlier import Earlier
from automl.final.evidence.own_model import crossed_dict, decides, out_of_fold, own_model, worse_mirrored
from automl.final.evidence.verdict import RETRAINS, Final, Verdict, unseen_rows
from automl.final.evidence.words import training_images
from automl.final.retrain import KEPT_INDEX, Retrained, without
from automl.machine import Moment
from automl.pipeline.plan.constants import FEWEST_COMBINED
from automl.pipeline.retrain.judge import judge_of
from automl.pipeline.retrain.retrain_time import RetrainTime, interrupted
from automl.pipeline.setup import Setup
from automl.records import SearchSplits
from automl.search import SearchResult
from automl.search.reasons import Code, Reason
from automl.torch_setup import set_threads
from automl.training.hardware.out_of_memory import release
from automl.training.models.memory_format import to_cpu
from automl.training.plan import TrainPlan

NEARLY = 0.9  # of the retrain: after that, its learning rate is low enough to deliver the model
FEWEST_KEPT = 10  # validation rows: fewer would decide nothing
FEW = 300  # validation rows: so many are all needed to decide against a head
COMPARING = 0.05  # of the time left after the search: at most, for scoring one model on validation rows
LEAST_S = 0.1  # seconds that a retrain is planned with at least


class Contest:
    """The models that may be delivered, and the validation rows that compare them.

    `others` are the best trial's own weights and the alternatives, `earlier` is the model of an earlier run. `kept` are
    positions of validation rows that stay out of the retrain. `asked` returns whether Ctrl-C was pressed: scoring then
    ends with the batch.
    """

    def __init__(
        self,
        setup: Setup,
        found: SearchResult,
        model: Earlier | None,
        promise: float,
        asked: Callable[[], bool] = lambda: False,
    ) -> None:
        self.promise, self.asked = promise, asked
        self.setup, self.found, self.time = setup, found, RetrainTime(setup, found)
        self.splits: SearchSplits = setup.data.splits
        self.crossed = out_of_fold(found.best, self.splits, setup.alternatives, self.judge)
        self.others: list[Candidate] = []
        self._hopeless = list[Alternative]()
        self.beaten = list[Candidate]()  # of them: what the retrain is better than before its end
        self.earlier: Candidate | None = None
        self._model = model
        # Whether the best configuration scores mirror images as well; None: if it trained on them.
        fitting = setup.fitting
        self.mirrored = None if fitting is None else fitting.mirrored(found.best.config)
        self.kept: Positions = np.empty(0, dtype=np.int64)
        self._third = self._order = self.kept
        # Seconds that the network to retrain takes to score a row, and to be built, as measured.
        self.per_row: list[float] = []
        self.built: float | None = None

    @property
    def rivals(self) -> list[Candidate]:
        """All models but the retrain, the preferred one first."""
        return [*([] if self.earlier is None else [self.earlier]), *self.others]

    @property
    def others_per_row(self) -> float:
        """Seconds that the slowest model took to score a row, of those that may have to score the holdout as well.

        Those are not the best trial's own weights, which are as fast as the retrain, and no hopeless heads.
        """
        others = (one for one in self.unbeaten if one.name is not Delivery.OWN_WEIGHTS)
        likely = (one.seconds_per_row for one in others if not hopeless(one.model, self.promise, self.judge))
        return max(likely, default=0.0)

    @property
    def unbeaten(self) -> list[Candidate]:
        """The others, without those that a look at the retrain has left out (`look.py`)."""
        return [one for one in self.others if all(one is not other for other in self.beaten)]

    @property
    def judge(self) -> Judge:
        """What candidates are compared by."""
        return judge_of(self.setup, self.found)

    def interrupt(self) -> None:
        """Take a Ctrl-C as one in the search: the retrain takes no longer than planned."""
        self.found = replace(self.found, stopped=Reason(Code.INTERRUPTED))
        self.time = replace(self.time, found=self.found)
        self.asked = lambda: False

    def timed(self, plan: TrainPlan) -> TrainPlan:
        """Return the plan with the seconds that scoring leaves for the retrain, once its network was measured."""
        if plan.seconds is None or not self.per_row:
            return plan
        left = self.left()
        return replace(plan, seconds=self.time.capped(max(LEAST_S, left)))

    def left(self) -> float:
        """Return the seconds left for the retrain, by what was measured so far; they may be negative."""
        return self.time.left(self.per_row or [0.0], others=self.others_per_row, built=self.built)

    def no_retrain(self, plan: TrainPlan) -> Shortfall | None:
        """Return why no retrain begins although another model is known; None if one does.

        A network that was not measured is measured first, unless even a scoring that takes no time leaves too little.
        """
        if self.asked() or (interrupted(self.found) and not self.found.scored):
            return Stopped(0.0)
        if plan.seconds is None:
            return None
        if not self.per_row and self.setup.config.retrain_workers == 1:
            plan = replace(plan, seconds=self.time.capped(max(LEAST_S, self.left())))
        return self.time.too_short(plan) or self.time.too_few(plan)

    def enter_others(self, plan: TrainPlan) -> None:
        """Score the rivals of the retrain on validation rows in time, first on those that may be kept out of it."""
        begun = Moment.now()
        own = own_model(self.found.best, self.setup.data.splits, plan, note=self.setup.observer.note)
        own = None if own is None else replace(own, mirrored=self.mirrored)
        self.built = None if own is None else Moment.now().after(begun)
        earlier = self._model
        models = [*([] if own is None else [own]), *leading(self.setup.alternatives, self.judge)]
        if own is not None:  # they are compared only if there is no retrain
            self._hopeless = [one for one in models if hopeless(one, self.promise, self.judge)]
            models = [one for one in models if all(one is not other for other in self._hopeless)]
        if not models and earlier is None:
            return
        n, rng = len(self.setup.data.splits.val), np.random.default_rng(self.setup.config.seed)
        self._third = self._rows_to_keep()
        rest = np.setdiff1d(np.arange(n), self._third)
        self._order = np.concatenate([rng.permutation(self._third), rng.permutation(rest)])
        for model in models:
            entered = self._enter(model, np.zeros(n, dtype=bool), measured=model is own)
            self.others.append(self._mirrored_or_not(entered) if model is own else entered)
        if earlier is not None:
            self.earlier = self._enter(earlier.model, earlier.seen(n))
        self.time = replace(self.time, compared=len(self._order))

    def _mirrored_or_not(self, own: Candidate) -> Candidate:
        """Return the best trial's own network, without mirror images if they make it worse on the rows that chose it.

        The retrain, which has the same configuration, is then scored without them too.
        """
        if self.splits.folds or self.judge.trial_rows or not worse_mirrored(own, self.judge):
            return own
        alone = self.score(replace(own.model, mirrored=False), own.rows, seen=own.seen).candidate
        if len(alone.rows) < len(own.rows):  # there is no time left
            return own
        self.mirrored = False
        return replace(alone, seconds_per_row=own.seconds_per_row)

    def _rows_to_keep(self) -> Positions:
        """Return the rows that may be kept out of the retrain: those that an earlier retrain did not see either."""
        data, earlier, n = self.setup.data, self._model, len(self.setup.data.splits.val)
        if earlier is not None and FEWEST_KEPT <= len(earlier.unseen) < n:
            return earlier.unseen
        groups = data.labelled.together[np.array(data.split.parts) == VAL]  # in the order of the rows
        return kept_rows(self.judge.targets, groups, seed=self.setup.config.seed)

    def _enter(self, model: Alternative, seen: np.ndarray, *, measured: bool = False) -> Candidate:
        val, row_seconds = self.setup.data.splits.val, self.setup.row_seconds
        known = remembered(model, val, self._order, seen=seen, seconds_per_row=row_seconds)
        found = known or self.score(model, self._order, seen=seen, most=self.time.beyond_closing())
        self._order = self._order[: len(found.candidate.rows)]
        if not len(self._order):
            return found.candidate
        if measured and found.is_measured:
            self.per_row.append(found.seconds_per_row)
        elif measured:
            self.per_row.append(self.time.per_row(model.trained.model, model.trained.size))
        return replace(found.candidate, seconds_per_row=found.seconds_per_row)

    @property
    def may_combine(self) -> bool:
        """Whether rows are kept out of the retrain because an ensemble may begin with it."""
        wanted = self.setup.config.deliver != "single" and not self.setup.data.splits.folds
        return wanted and len(self._third) >= FEWEST_COMBINED

    def alternative_leads(self) -> bool:
        """Return whether an alternative is at least as good as the best trial, up to one standard error.

        Or whether a head is preferred to the retrain, which can prove itself only on rows that it did not see.
        """
        if self.safe_head is not None or self.crossed is not None:
            return self.safe_head is not None
        others = [other for other in self.others if other.name is not Delivery.OWN_WEIGHTS]
        if not others or len(others) == len(self.others):
            return bool(others)
        return not all(choose([other, self.others[0]], self.judge).decided for other in others)

    def enter_hopeless(self) -> None:
        """Score the heads that are far below what the retrain promises as well, as there is no retrain."""
        unseen = np.zeros(len(self.setup.data.splits.val), dtype=bool)
        self.others += [self._enter(model, unseen) for model in self._hopeless]

    @property
    def safe_head(self) -> Candidate | None:
        """The head that is delivered unless the retrain is better on validation rows; None if there is none.

        There is none where the best trial is better than it out of fold, on all rows.
        """
        if self.earlier or decides(self.crossed):
            return None
        return safe_head(self.others, self.promise, self.judge)

    def keep_rows(self) -> None:
        """Keep a third of the validation rows out of the retrain, if they are enough to compare models.

        All of them, if they are few, the retrain must be better than a head, and more than a third were scored.
        """
        if len(self._third) < FEWEST_KEPT or not self.rivals:
            return
        self.kept, data, n = self._third, self.setup.data, len(self.setup.data.splits.val)
        if self.safe_head is not None and len(self._third) < len(self._order) and n <= FEW:
            self.kept = np.arange(n)
        rest = without(data.splits.val, self.kept, self.setup.workspace.root / KEPT_INDEX)
        self.splits = replace(data.splits, val=rest)

    def images_in_words(self) -> str:
        """Return on how many images the retrain trains."""
        count = len(self.splits.train) + len(self.splits.val)
        only = len(self.rivals) == 1 and not self.earlier
        return training_images(count, len(self.kept), only_trial=only)

    def decide(self, trained: Retrained, plan: TrainPlan, *, stopped: bool) -> Final:
        """Return the best of the retrain and the others. `stopped`: Ctrl-C ended the retrain."""
        cut = stopped and trained.progress < 1.0
        why: Shortfall | None = Stopped(trained.progress) if cut else None
        poor, images = cut and trained.progress < NEARLY, self.time.trial_images
        if not cut and trained.images_trained < self.time.enough(plan) * images:
            why, poor = Reached(trained.images_trained, images), True
        kind = Delivery.CUT_SHORT if cut else Delivery.RETRAINED
        model = Alternative(kind, self.found.best.config, trained, mirrored=self.mirrored)
        if not self.rivals:
            return self.final(why, retrain=model, stopped=stopped)
        seen = ~np.isin(np.arange(len(self.setup.data.splits.val)), self.kept)
        candidate = self.score(model, self._order, seen=seen, spare=self._reserved()).candidate
        if not len(candidate.rows):
            return self._unscored(why, model, stopped=stopped)
        shorter = self._shorter(trained)
        if poor or shorter is not None:
            first = [] if self.earlier is None else [self.earlier]
            better = self.others[:1] if poor else []
            choice = choose([*first, *better, candidate, *self.others[len(better) :]], self.judge)
        else:
            self.others = self.unbeaten  # no time is left for the others
            head = self.safe_head
            others = [rival for rival in self.rivals if rival is not head]
            choice = choose([*([] if head is None else [head]), candidate, *others], self.judge)
            if self.earlier is not None and choice.best.name not in (kind, Delivery.EARLIER):
                choice = unless_better(choice, self.earlier, self.judge)
        return self.final(why or shorter, retrain=model, stopped=stopped, choice=choice)

    def _shorter(self, trained: Retrained) -> Shorter | None:
        """Return that the retrain is shorter than the earlier model; None if it is not."""
        shorter = self._model is not None and not self.time.as_long(trained, self._model)
        return Shorter(trained.images_trained, self._model.images) if shorter and self._model else None

    def _unscored(self, why: Shortfall | None, retrain: Alternative, *, stopped: bool) -> Final:
        """Return what is delivered if there was no time to score the retrain: the best that is known without it."""
        if self.earlier is not None:
            return self.final(Unknown(), retrain=retrain, stopped=stopped, model=self.earlier.model)
        trial = self.found.best.value
        known = best_known(self.setup.alternatives, trial, self.judge)
        if known is not None:
            why = Unscored(known.delivery, self.setup.metric.name, known.value, trial)
            return self.final(why, retrain=retrain, stopped=stopped, model=known)
        images, own = retrain.trained.images_trained, self._own
        if own is None or images >= self.time.trial_images:
            return self.final(why, retrain=retrain, stopped=stopped)
        why = why or Unproven(images, self.time.trial_images)
        return self.final(why, retrain=retrain, stopped=stopped, model=own)

    @property
    def _own(self) -> Alternative | None:
        """The best trial's own network, if it left one."""
        first = self.others[0] if self.others else None
        return first.model if first is not None and first.name is Delivery.OWN_WEIGHTS else None

    def final(
        self,
        why: Shortfall | None,
        *,
        retrain: Alternative | None = None,
        stopped: bool = False,
        choice: Choice | None = None,
        model: Alternative | None = None,
    ) -> Final:
        """Return what is delivered: `model`, or else the choice, the retrain, or the best of the others."""
        by_value: ByValue | None = None
        if retrain is None:
            choice = choose(head_before_own(self.rivals, self.found.best.value, self.judge), self.judge)
            if self.earlier is None and not choice.comparisons:  # there was no time to score them
                model = best_by_value(self._own, self.setup.alternatives, self.judge)
        if model is not None and choice is not None and model is not choice.best.model:
            by_value = ByValue(model.delivery, self.setup.metric.name, model.value, self.found.best.value)
        model = model or (choice.best.model if choice is not None else retrain)
        assert model is not None, "no model is known: there must be a retrain, or another candidate"
        verdict = Verdict(
            metric=self.setup.metric.name,
            why=why,
            retrain=retrain,
            choice=choice,
            rivals=len(self.rivals),
            kept_out=len(self.kept),
            trial_images=self.time.trial_images,
            earlier=self._model,
            by_value=by_value,
        )
        images = 0 if retrain is None else retrain.trained.images_trained
        kept = self._model if model.delivery is Delivery.EARLIER else None
        evidence = verdict.evidence() | (
            {} if self.crossed is None else {"out_of_fold": crossed_dict(self.crossed)}
        )
        entered = [*([] if choice is None else [choice.best]), *self.others]
        answers = known_answers(model, entered, self.found.best, self.setup.data.splits)
        unseen = unseen_rows(model, self.kept, len(self.setup.data.splits.val))
        return Final(model, verdict.reasons(), stopped, images, evidence, kept, answers, unseen)

    def _reserved(self) -> float:
        """Return the seconds that were reserved for scoring the retrain on validation rows, as far as they are left."""
        if not self.per_row or self.setup.clock.remaining() is None:
            return 0.0
        return replace(self.time, compared=0).left(self.per_row, others=self.others_per_row, built=self.built)

    def score(
        self,
        model: Alternative,
        order: Positions,
        *,
        seen: np.ndarray,
        spare: float = 0.0,
        most: float = math.inf,
    ) -> Answered:
        """Score a model on validation rows, within its part of the time left, or `spare` seconds if that is more.

        It has at most `most` seconds: without any, no row is scored.

        Ctrl-C ends the scoring of a rival with the batch; the retrain, which it ends as well, is scored all the same.
        """
        setup, left = self.setup, self.setup.clock.remaining()
        until = None if left is None else time.monotonic() + min(most, max(COMPARING * left, spare))
        set_threads(setup.device.all_threads)  # nothing else is running
        found = answered(
            model,
            setup.data.splits.val,
            order,
            seen=seen,
            device=setup.device.kind,
            until=until,
            should_stop=self.asked if model.delivery not in RETRAINS else None,
        )
        if setup.device.kind != "cpu":
            to_cpu(model.trained.model)  # the retrain needs the memory of the GPU
            release()
        return found
