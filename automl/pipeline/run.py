"""One run of a study, with its stages."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from threading import Event

from automl.config import StudyConfig, save
from automl.config.durations import format_duration
from automl.config.names import directory_flag
from automl.data import Source
from automl.errors import ModelError, StorageError
from automl.final.confidence.measure_known import seconds_for_features
from automl.final.evaluation.seen import SPLITS_FILE
from automl.final.evidence.delivery import DERIVED
from automl.final.evidence.earlier import Earlier, read_earlier
from automl.final.evidence.verdict import Final
from automl.final.evidence.words import scored_on
from automl.final.predictor import Predictor
from automl.interrupt import stop_on_interrupt
from automl.machine import cores
from automl.pipeline.context import Context, ledger_of, owner_of
from automl.pipeline.deliver.draft import put_in_place, recover, write_draft
from automl.pipeline.deliver.former import is_derived, keep_former, keep_unscored, was_chosen
from automl.pipeline.deliver.sealed import Sealed
from automl.pipeline.distillation.distil import distilled, with_time_to_distil
from automl.pipeline.label_errors import write_label_errors
from automl.pipeline.objective import node_trial, origin_of
from automl.pipeline.plan.constants import MOST_COMBINED
from automl.pipeline.report.during_search import ReportsDuringSearch
from automl.pipeline.report.own_report import report_during_search, reserve
from automl.pipeline.results import (
    Outcome,
    Scores,
    keep_model,
    kept_scores,
    took_when_timed,
    unchanged,
    write_outcome,
)
from automl.pipeline.retrain.combine import (
    SMALL,
    as_it_is,
    asks_anew,
    combined,
    single_stays,
    with_time_to_combine,
)
from automl.pipeline.retrain.described import described
from automl.pipeline.retrain.final_model import final_model
from automl.pipeline.retrain.judge import val_trivial
from automl.pipeline.retrain.promise import promised
from automl.pipeline.retrain.read_on import read_on
from automl.pipeline.retrain.retrain_time import RetrainTime, interrupted
from automl.pipeline.setup import Setup, prepare
from automl.pipeline.study_folder import DATA_REPORT, write_text
from automl.records import OnFailure
from automl.result import FitResult
from automl.review.front.kept import delivered_trial
from automl.search import SearchResult, SearchSettings, search
from automl.search.engines.base import Engine
from automl.search.policy import Significance
from automl.search.policy.significance import judged_by
from automl.search.reasons import Code, Reason
from automl.search.storage.delete_study import delete_study
from automl.search.storage.schema_version import refuse_old_study
from automl.search.storage.sql.database import require_reachable
from automl.search.storage.sql.urls import sqlite_url
from automl.training.models.complexity import MACS, PARAMS


@dataclass(frozen=True)
class Run:
    """A prepared study, and the engine that runs its trials. Each public method is a stage."""

    setup: Setup
    engine: Engine

    @classmethod
    def prepare(cls, context: Context, source: Source, engine: Engine) -> Run:
        """Run stage `setup`: read the data, plan the time, and write what `resume` needs."""
        config = context.config
        storage = config.storage or sqlite_url(context.workspace.database)
        if not config.overwrite:
            refuse_old_study(storage, config.study)
        owner = owner_of(context)
        room = engine.resources() if config.address is not None else None
        context.clock.hold_back(reserve(config.time_limit))
        context = replace(context, ledger=ledger_of(context))
        ledger_of(context).holds(cores())
        setup = prepare(context, source, room=room, owner=owner)
        if config.storage is not None:
            require_reachable(config.storage)  # it may have gone since, and nothing is left of the study then
        if config.overwrite and config.storage is not None:
            delete_study(config.storage, config.study)
        save(context.asked or config, setup.workspace.study_yaml)
        setup.workspace.begin()
        write_text(setup.workspace.root / DATA_REPORT, setup.data.report.to_json() + "\n")
        setup.data.write_table(
            setup.workspace.root / SPLITS_FILE
        )  # it names the rows, while a search runs too
        setup.clock.finish_stage("setup")
        return cls(setup, engine)

    def finish(self) -> FitResult:
        """Run the stages after the setup. If an earlier model is still the best, the holdout stays closed."""
        found = self.search()
        if found.stopped_for(Code.DISK_FULL):
            raise StorageError(no_room(self.setup.config))
        if interrupted(found):
            self._note_stopped(found)
        asked = Event()  # by Ctrl-C
        with nullcontext() if interrupted(found) else stop_on_interrupt(asked.set):
            promise = promised(self.setup, found)
            found = promise.found
            earlier = self.earlier_model()
            left = None if earlier is None else RetrainTime(self.setup, found).plan().seconds
            kept = None if earlier is None else keep_model(found, earlier, left)
            anew = earlier is not None and asks_anew(self.setup, earlier) and not interrupted(found)
            if kept is not None and earlier is not None and not anew:
                self._note(f"The best configuration has not changed{_no_longer(kept, left)}.")
                self._note_single(earlier)
                return unchanged(self.setup, found) or self.write_results(found, kept)
            if promise.words:
                self._note(promise.words)
            self._note_best(found)
            setup = self.setup
            if earlier is None:
                setup, found = read_on(
                    setup, replace(promise, found=found), partial(_search_settings, setup), asked.is_set
                )
            label_errors = write_label_errors(setup, found)
            if asked.is_set():  # as in the search
                found = replace(found, stopped=Reason(Code.INTERRUPTED))
                self._note_stopped(found)
            final = replace(self, setup=setup).retrain(
                found, earlier, promise.value, asked, again=kept is not None
            )
            if kept is not None and final.delivery not in DERIVED:
                self._note("Nothing better was found, so the model and its holdout score are kept.")
                return self.write_results(found, kept)
        with self._ignore_first_ctrl_c(found, final):
            outcome = self.deliver(found, final)
            self.setup.observer.stage("deliver", f"writing {self.setup.workspace.root}")
            if label_errors:
                self._note(label_errors)
            return self.write_results(found, outcome)

    def _note_single(self, earlier: Earlier) -> None:
        if why := single_stays(self.setup, earlier):
            self._note(why)

    def _note_stopped(self, found: SearchResult) -> None:
        self._note(f"Search stopped; {_next_step(found)}. Press Ctrl-C again to quit at once.")

    def earlier_model(self) -> Earlier | None:
        """Return the model that an earlier run delivered; None, with a note, if it cannot be used."""
        setup, workspace = self.setup, self.setup.workspace
        recover(workspace)
        result = workspace.read_result()
        if result is None:
            return None
        try:
            reads = workspace.holdout_reads()
            return read_earlier(workspace.root, result, setup.data.splits, reads=reads)
        except ModelError as error:
            why = str(error).splitlines()[0]
            self._note(f"The model of the earlier run cannot be used, so a new one is made: {why}.")
            return None

    def search(self) -> SearchResult:
        """Run stage `search`: find the best configuration."""
        setup = self.setup
        setup.observer.stage("search", f"searching for the best {setup.metric.name}")
        trivial = val_trivial(setup)
        info = setup.data.splits.info
        self._note(
            f"To beat {scored_on(info.folds)}: {setup.metric.name} {trivial.value:.4f} ({trivial.words})."
        )
        origin = origin_of(setup.config, info)
        objective = partial(node_trial, splits=setup.data.splits, plan=setup.plan, origin=origin)
        settings = _search_settings(setup)
        observer = ReportsDuringSearch(setup.observer, partial(report_during_search, setup))
        ledger, parallel = ledger_of(setup), setup.device.parallel
        ledger.holds(parallel * setup.device.threads, workers=parallel)
        found = search(objective, setup.space, settings, observer, engine=self.engine)
        ledger.worked(found.seconds * parallel)
        ledger.holds(setup.device.all_threads)
        if setup.config.retrain_workers == 1:  # several workers need the engine again
            self.engine.release()
        setup.clock.finish_stage("search")
        return found

    def retrain(
        self,
        found: SearchResult,
        earlier: Earlier | None,
        promise: float,
        asked: Event,
        *,
        again: bool,
    ) -> Final:
        """Run stage `retrain`: make the model to deliver, or keep the `earlier` one. `asked`: by Ctrl-C, to stop.

        `again`: the best trial is that of the earlier run, and others are combined with its model. If that has trained
        on the images that would decide, the trial is trained again without some of them.
        """
        pressed = (lambda: False) if interrupted(found) else asked.is_set
        ledger_of(self.setup).holds(self.setup.device.all_threads * self.setup.config.retrain_workers)
        small = self.setup.config.deliver == SMALL
        single = with_time_to_distil(self.setup) if small else with_time_to_combine(self.setup, found)
        begin = as_it_is(self.setup, earlier) if again and earlier else None
        before = None if again else earlier
        final = begin or final_model(single, found, before, promise=promise, asked=pressed)
        final = (distilled if small else combined)(self.setup, found, final, pressed)
        if final.earlier is not None:
            self._note_single(final.earlier)
        if why := final.in_words():
            self._note(f"{why[:1].upper()}{why[1:]}.")
        self.setup.clock.finish_stage("retrain")
        return final

    def deliver(self, found: SearchResult, final: Final) -> Outcome:
        """Write the model and score it on the holdout; an earlier model that is kept has both already."""
        predictor = None
        if final.earlier is not None:
            scores = kept_scores(final.earlier)
        else:
            self.setup.observer.stage("holdout", "scoring the sealed holdout")
            self.write_model(found, final)
            predictor, scores = self.holdout(factory=str(final.model.config["model"]))
        return Outcome(
            best_config=found.best.config,
            trial=found.best.number,
            retrain=described(final, found),
            retrain_images=final.images,
            scores=scores,
            stopped="search" if interrupted(found) else "retrain" if final.stopped else None,
            predictor=predictor,
        )

    def write_model(self, found: SearchResult, final: Final) -> None:
        """Write the model, then replace an earlier one. The teacher of a student is kept."""
        workspace = self.setup.workspace
        result = workspace.read_result()
        if result is not None and (was_chosen(result) or final.delivery in DERIVED or is_derived(result)):
            place = keep_former(workspace, result)
            self._note(
                f"The former model is kept in {place.relative_to(workspace.root)}; "
                f"`{self._deliver(place.name)}` makes it the model again."
            )
        if final.teacher is not None:
            self._keep_teacher(found, final.teacher)
        draft = write_draft(workspace, final.model, final.answers, seed=self.setup.config.seed)
        put_in_place(workspace, draft)

    def _deliver(self, former: str) -> str:
        config = self.setup.config
        return f"automl deliver {config.study} --former {former}{directory_flag(config.directory)}"

    def _keep_teacher(self, found: SearchResult, teacher: Final) -> None:
        workspace, best = self.setup.workspace, found.best
        weights = teacher.trained.weights
        result = {
            "best": {"trial": best.number, "config": best.config},
            "retrain": described(teacher, found),
            "weights": None if weights is None else weights.about(),
        }
        if delivered_trial(result) is None:  # a head that is no trial, which `automl deliver` could not tell
            return
        folder = write_draft(workspace, teacher.model, teacher.answers, seed=self.setup.config.seed)
        place = keep_unscored(workspace, folder, result)
        self._note(
            f"The teacher is kept in {place.relative_to(workspace.root)}; `{self._deliver(place.name)}` makes it the "
            "model, and scores it on the holdout then."
        )

    def holdout(self, *, factory: str) -> tuple[Predictor, Scores]:
        """Run stage `holdout`: score the delivered model on the holdout, once. Returns the loaded model as well."""
        setup = self.setup
        ledger_of(setup).holds(setup.device.all_threads)
        predictor = Predictor.load(setup.workspace.model_dir, factory=factory, device=setup.device.kind)
        sealed = Sealed(
            setup.workspace, setup.data, setup.metric.name, setup.config.seed, setup.device.all_threads
        )
        scores, per_row = sealed.score(predictor)
        seconds = seconds_for_features(setup.config.time_limit, setup.clock.remaining())
        sealed.write_known(setup.workspace.model_dir, predictor, seconds=seconds, per_row=per_row)
        setup.clock.finish_stage("holdout")
        return predictor, scores

    def write_results(self, found: SearchResult, outcome: Outcome) -> FitResult:
        """Write all results, result.json last."""
        return write_outcome(self.setup, found, outcome)

    def _note_best(self, found: SearchResult) -> None:
        """Show a note if the retrained trial is not the one with the best score."""
        if not found.scored and not interrupted(found):
            self._note(
                "No trial was scored: the first configuration is retrained if the time left is enough, and is compared "
                "with no other configuration."
            )
        leader = found.leader
        if leader is not None and leader.rows and not 0 < found.best.rows <= leader.rows:
            self._note(
                f"Trial {leader.trial} has the best score, but on {leader.rows} validation images only, and is within "
                f"one standard error of trial {found.best.number}, which is kept because it was scored on more."
            )
        elif leader is not None:
            self._note(
                f"Trial {leader.trial} has the best score, but is within one standard error of trial "
                f"{found.best.number}, which is kept because it comes earlier in the portfolio."
            )

    def _ignore_first_ctrl_c(self, found: SearchResult, final: Final) -> AbstractContextManager[None]:
        """Return a context that ignores the first Ctrl-C of a study, since the rest takes only seconds."""
        if interrupted(found) or final.stopped:
            return nullcontext()
        return stop_on_interrupt(lambda: self._note("Almost done; press Ctrl-C again to quit at once."))

    def _note(self, text: str) -> None:
        self.setup.observer.note(text)


def _next_step(found: SearchResult) -> str:
    if found.scored:
        return "the best configuration so far is retrained"
    return "no trial has a score yet, so the best linear head is delivered"


def _no_longer(kept: Outcome, left: float | None) -> str:
    """Return that the model is kept, and why it is not trained for longer, as the end of a sentence."""
    took = took_when_timed(kept.retrain)
    why = ""
    if took is not None and left is not None:
        times = format_duration(left), format_duration(took)
        why = f", and the {times[0]} left for a retrain are not clearly more than its {times[1]}"
    return f"{why}, so the model and its holdout score are kept"


def no_room(config: StudyConfig) -> str:
    """Return the message for a full disk."""
    return (
        f"the disk of {str(config.study_dir)!r} is full, so the study stopped; free some space, then resume with "
        f"`automl resume {config.study}{directory_flag(config.directory)}`"
    )


def _search_settings(setup: Setup) -> SearchSettings:
    config, device = setup.config, setup.device
    return SearchSettings(
        study=config.study,
        metric=setup.metric.name,
        mode=setup.metric.mode,
        max_rounds=setup.budget.epochs,
        n_trials=config.n_trials,
        deadline=setup.plan.deadline,
        parallel=device.parallel,
        engine=config.engine,
        policy=config.policy,
        portfolio=setup.portfolio,
        size_limits=setup.size_limits,
        sampler=config.sampler,
        seed=config.seed,
        storage=config.storage or sqlite_url(setup.workspace.database),
        directory=setup.workspace.root,
        max_disk=config.max_disk,
        address=config.address,
        cpus_per_trial=device.threads,
        gpus_per_trial=device.gpus_per_trial,
        deliver_anyway=True,
        expect=setup.expect,
        significance=_significance(setup),
        heads=setup.heads,
        identity={key: setup.identity[key] for key in ("data", "task", "seed")},
        owner=setup.owner,
        on_failure=OnFailure(config.on_failure),
        objectives={PARAMS: "min", MACS: "min"},
        keep_best=0 if config.deliver == "single" else MOST_COMBINED,
        attributes=setup.pretrained.attributes,
    )


def _significance(setup: Setup) -> Significance | None:
    """Return what a difference of validation scores is worth, from the trivial answer to the training rows."""
    metric = setup.metric
    return judged_by(metric.name, metric.mode, val_trivial(setup).value, setup.data.splits.info)
