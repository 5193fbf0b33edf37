"""The store of a search: the Optuna study, which is the source of truth, and our own tables beside it."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState as OptunaState
from sqlalchemy import Executable

from automl.log import quiet_optuna
from automl.records import Attributes, Config, HeadTrial, Mode, Report, TrialState
from automl.search.policy import Decision
from automl.search.reasons import Code, Reason
from automl.search.sampling.drafts import Draft, adopt, draw
from automl.search.sampling.study_view import open_view
from automl.search.storage.event_log import SEARCH, Event, LogEntry, read_events
from automl.search.storage.head_trials import KIND, ORIGIN, HeadTrials, is_head
from automl.search.storage.kinds import kind_of
from automl.search.storage.open_study import open_study
from automl.search.storage.reader import StoredTrial, read_trials
from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql import tables
from automl.search.storage.sql.database import Database, open_database, storage_errors
from automl.search.storage.sql.study_lock import study_lock
from automl.search.storage.sql.write_journal import Journal

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

PAUSED = "paused"
REASON = "reason"
UNFINISHED = "unfinished"
CAUSE = "cause"


@dataclass(frozen=True)
class Worker:
    """The process that runs a trial."""

    name: str
    node: str
    pid: int


class Store:
    """A study that is open for one search. Optuna's states hold at every moment:

    RUNNING while the trial trains; WAITING with the user attribute `paused` while it may still be promoted; COMPLETE at
    the full length or when the objective ended by itself, with the last round's value; PRUNED with the user attribute
    `reason`, and with `unfinished` if no other trial had beaten it (Optuna has no such state); FAIL with the user
    attribute `cause`. A trial that an earlier search left unfinished stays so until it runs again: then it is RUNNING
    and has no value any more. Every round is an intermediate value. Rows are written in order, those of a moment in one
    transaction, and a trial's end at once (`write_journal.py`). Optuna overwrites `datetime_start` at each resume; our
    own table of runs keeps all moments. Linear heads are COMPLETE trials from the beginning (`head_trials.py`).
    """

    def __init__(
        self,
        database: Database,
        study: optuna.Study,
        mode: Mode,
        sampler: BaseSampler,
        objectives: Mapping[str, Mode],
        attributes: Attributes | None = None,
    ) -> None:
        """Use `Store.open`. `mirror` is the study as samplers see it."""
        self._database = database
        self._study_id = database.optuna.get_study_id_from_name(study.study_name)
        ids: dict[int, int] = {}
        # Locked before anything is read: another search could be writing.
        lock = study_lock(database, study.study_name, self._study_id)
        self._journal = Journal(database, ids, lock)
        past = database.optuna.get_all_trials(self._study_id, deepcopy=False)
        ids |= self._journal.read(lambda connection: rows.trial_ids(connection, self._study_id))
        pruned = (trial for trial in past if trial.state is OptunaState.PRUNED)
        self._unfinished = {trial.number for trial in pruned if trial.user_attrs.get(UNFINISHED)}
        hidden = {trial.number for trial in past if is_head(trial)}
        self._view, self.mirror = open_view(sampler, mode, past, self._unfinished, hidden)
        self._mirror_study = self._view.get_study_id_from_name(self.mirror.study_name)
        self._count = len(past) - len(hidden)
        self._paused = {trial.number for trial in past if trial.state is OptunaState.WAITING}
        self._attributes = {(trial.number, key) for trial in past for key in trial.user_attrs}
        self._runs: dict[int, float] = {}
        self._objectives, self._told = objectives, attributes
        self._reached: dict[int, Mapping[str, float]] = {}
        self._heads = HeadTrials(
            self._journal, self._study_id, past, attribute=self._attribute, objectives=objectives
        )
        # Optuna's samplers are not thread-safe.
        self._sampling = threading.RLock()

    @classmethod
    def open(
        cls,
        url: str | None,
        name: str,
        *,
        fingerprint: Mapping[str, Any],
        make_sampler: Callable[[int], BaseSampler],
        objectives: Mapping[str, Mode] | None = None,
        attributes: Attributes | None = None,
    ) -> Store:
        """Open the study, or create it. `fingerprint` needs the keys `metric` and `mode`.

        `make_sampler` takes the number of trainings that the study has, so that a continued study does not draw its
        first points again. `objectives` and `attributes` are stored with each trial. Raises StudyError if the study
        exists with another fingerprint, ConfigError for a wrong URL and StorageError if the database cannot be used.
        """
        database = open_database(url)
        try:
            with storage_errors(database.shown), quiet_optuna():
                study = open_study(database, name, fingerprint, at=_utc_now())
                count = sum(not is_head(trial) for trial in study.get_trials(deepcopy=False))
                sampler = make_sampler(count)
                return cls(database, study, fingerprint["mode"], sampler, objectives or {}, attributes)
        except BaseException:
            database.close()
            raise

    @property
    def shown(self) -> str:
        """The database's URL without its password."""
        return self._database.shown

    def __len__(self) -> int:
        """The number of trainings: heads do not count."""
        return self._count

    def close(self) -> None:
        """Write all rows and close all connections. A database in memory is lost then."""
        try:
            self._journal.close()
        finally:
            self._database.close()

    def flush(self) -> None:
        """Write all rows, so that others can read them."""
        self._journal.flush()

    def trials(self) -> list[StoredTrial]:
        """Return the trainings of the study, by number."""
        return [trial for trial in self._read() if not trial.is_head]

    def heads(self) -> list[StoredTrial]:
        """Return the linear heads of the study, by number."""
        return [trial for trial in self._read() if trial.is_head]

    def keep_heads(self, heads: Sequence[HeadTrial]) -> None:
        """Write heads as COMPLETE trials that samplers do not see.

        One that the study has by its key stays as it is, unless the new one was fitted or scored on more rows, as where
        the earlier one had no time for all of them.
        """
        known = {trial.number: trial for trial in self.heads()} if len(self._heads) else {}
        new = [head for head in heads if self._heads.adds(head, known)]
        for head in new:
            self._heads.keep(head, lambda: self._view.reserve(self._mirror_study), at=_utc_now())
        if new:
            self._journal.flush_if_due(final=True)

    def draw(
        self,
        suggest: Callable[[optuna.Trial], Config],
        *,
        fixed: Mapping[str, Any] | None = None,
        sampler: BaseSampler | None = None,
    ) -> Draft:
        """Draw a configuration that is no trial yet. Any thread may ask. `sampler` replaces the study's own."""
        with self._sampling:
            return draw(self._view, self.mirror, suggest, fixed=fixed, sampler=sampler)

    def adopt(self, draft: Draft, *, time: float, origin: str) -> int:
        """Make a RUNNING trial of a draft, and return its number."""
        template = adopt(self._view, self.mirror, draft)
        add, number = self._journal.add, template.number
        add(rows.TRIALS, rows.NEW_TRIAL, rows.trial_row(self._study_id, template))
        for row in rows.param_rows(template):
            add(rows.PARAMS, rows.NEW_PARAM, row)
        for row in rows.system_attribute_rows(template):
            add(rows.SYSTEM_ATTRIBUTES, rows.NEW_SYSTEM_ATTRIBUTE, row)
        self._attribute(number, ORIGIN, origin)
        if kind := kind_of(draft.config, origin):
            self._attribute(number, KIND, kind)
        for name, value in ({} if self._told is None else self._told(draft.config)).items():
            self._attribute(number, name, value)
        own = self._row(number, config=json.dumps(draft.config), origin=origin, time=time)
        add(tables.trials, tables.NEW_TRIAL, own)
        self._count += 1
        self._journal.flush_if_due()
        return number

    def begun(self, time: float, *notes: Reason) -> None:
        """Log that a search begins, with a new policy. `notes` hold what it decides by, beside the trials."""
        reason = Reason(Code.SEARCH_BEGAN, {"trials": self._count}).with_notes(*notes)
        self._log(-1, LogEntry(SEARCH, 0, reason), time)
        self._journal.flush_if_due()

    def started(self, number: int, worker: Worker, time: float, log: LogEntry | None = None) -> None:
        """Record that the trial runs, for the first time or again. `log` says why it was chosen."""
        if log is not None:
            self._log(number, log, time)
        self._view.resume(self._mirror_id(number))
        if number in self._paused:
            self._paused.discard(number)
            self._attribute(number, PAUSED, "")
            self._state(number, rows.SET_STARTED, OptunaState.RUNNING, moment=rows.utc_now())
        if number in self._unfinished:
            self._no_longer_unfinished(number)
            self._attribute(number, REASON, "")
            self._state(number, rows.SET_REOPENED, OptunaState.RUNNING, moment=rows.utc_now())
        row = self._row(number, worker=worker.name, node=worker.node, pid=worker.pid, started=time)
        self._journal.add(tables.runs, tables.NEW_RUN, row)
        self._runs[number] = time
        self._journal.flush_if_due()

    def placed(self, number: int, worker: Worker) -> None:
        """Record which worker runs the trial."""
        if number in self._runs:
            row = self._of_run(number, to_worker=worker.name, to_node=worker.node, to_pid=worker.pid)
            self._journal.add(tables.runs, tables.MOVE_RUN, row)
            self._journal.flush_if_due()

    def report(self, report: Report, decision: Decision, time: float) -> None:
        """Record a round and its decision. A second report of the same round replaces the first."""
        number, mirror_id, add = report.trial, self._mirror_id(report.trial), self._journal.add
        if report.round in self._view.get_trial(mirror_id).intermediate_values:
            add(rows.INTERMEDIATE, rows.DROP_INTERMEDIATE, {rows.TRIAL: number, "of_step": report.round})
            add(tables.reports, tables.DROP_REPORT, self._of(number, of_round=report.round))
        self._view.set_trial_intermediate_value(mirror_id, report.round, report.value)
        add(
            rows.INTERMEDIATE,
            rows.NEW_INTERMEDIATE,
            rows.intermediate_row(number, report.round, report.value),
        )
        row = self._row(
            number,
            round=report.round,
            value=report.value if math.isfinite(report.value) else None,
            seconds=report.seconds,
            metrics=json.dumps(dict(report.metrics)),
            time=time,
            at=_utc_now(),
        )
        add(tables.reports, tables.NEW_REPORT, row)
        self._reached[number] = report.metrics
        self._decide(number, report.round, decision, time)
        self._journal.flush_if_due()

    def pause(self, number: int, round: int, reason: Reason, time: float) -> None:
        """Record that the trial left its worker and may still be promoted."""
        self._view.pause(self._mirror_id(number))
        self._paused.add(number)
        self._attribute(number, PAUSED, f"after round {round}: {reason}")
        self._state(number, rows.SET_STATE, OptunaState.WAITING)
        self._keep_objectives(number)
        self._end_run(number, time)
        self._journal.flush_if_due()

    def complete(self, number: int, value: float, time: float) -> None:
        """Record that the trial is complete. `value` is its last round's."""
        self._finish(number, OptunaState.COMPLETE, value, time)
        self._tell(number, OptunaState.COMPLETE, value)

    def end(self, number: int, decision: Decision, time: float, value: float | None = None) -> None:
        """Record that the trial was stopped for good (PRUNED, UNFINISHED) or failed, for the decision's reason.

        A stopped trial keeps its last `value`, as Optuna's `tell` does it: the dashboard shows it where pruned trials
        are included. Samplers use the values of the rounds all the same.
        """
        failed = decision.state is TrialState.FAILED
        state = OptunaState.FAIL if failed else OptunaState.PRUNED
        if number in self._unfinished:
            self._no_longer_unfinished(number)
        self._attribute(number, CAUSE if failed else REASON, str(decision.reason))
        if decision.state is TrialState.UNFINISHED:
            self._attribute(number, UNFINISHED, "ended before another trial had beaten it")
        kept = None if failed or value is None or not math.isfinite(value) else value
        self._finish(number, state, kept, time)
        self._tell(number, state, None)

    def decided(self, number: int, round: int, decision: Decision, time: float) -> None:
        """Record a decision that did not follow from a report."""
        self._decide(number, round, decision, time)
        self._journal.flush_if_due()

    def checkpoint(self, number: int, round: int | None, path: str = "") -> None:
        """Record where the trial's state of `round` is stored. None: it has no state any more."""
        self._journal.add(tables.checkpoints, tables.DROP_CHECKPOINT, self._of(number))
        if round is not None:
            row = self._row(number, round=round, path=path)
            self._journal.add(tables.checkpoints, tables.NEW_CHECKPOINT, row)
        self._journal.flush_if_due()

    def events(self) -> list[Event]:
        """Return the log of all decisions, in order, for `replay`."""
        return self._journal.read(lambda connection: read_events(connection, self._study_id))

    # ------------------------------------------------------------------------------------------------------

    def _read(self) -> list[StoredTrial]:
        return self._journal.read(lambda connection: read_trials(connection, self._study_id))

    def _row(self, number: int, **values: object) -> dict[str, object]:
        return {"study_id": self._study_id, "trial": number, **values}

    def _of(self, number: int, **values: object) -> dict[str, object]:
        return {"of_study": self._study_id, "of_number": number, **values}

    def _of_run(self, number: int, **values: object) -> dict[str, object]:
        return self._of(number, of_started=self._runs[number], **values)

    def _keep_objectives(self, number: int) -> None:
        """Store the trial's objectives as it leaves its worker. The dashboard shows them by name."""
        metrics = self._reached.pop(number, None)
        if metrics is None or not self._objectives:
            return
        self._journal.add(tables.objectives, tables.DROP_OBJECTIVES, self._of(number))
        for name, mode in self._objectives.items():
            value = metrics.get(name, math.nan)
            kept = value if math.isfinite(value) else None
            row = self._row(number, name=name, mode=mode, value=kept)
            self._journal.add(tables.objectives, tables.NEW_OBJECTIVE, row)
            self._attribute(number, f"{name} ({mode})", kept)

    def _no_longer_unfinished(self, number: int) -> None:
        self._unfinished.discard(number)
        self._attribute(number, UNFINISHED, "")
        self._journal.add(rows.VALUES, rows.DROP_VALUE, {rows.TRIAL: number})

    def _state(self, number: int, statement: Executable, state: OptunaState, **values: object) -> None:
        self._journal.add(rows.TRIALS, statement, {rows.TRIAL: number, "to_state": state, **values})

    def _attribute(self, number: int, key: str, value: str | float | None) -> None:
        text = json.dumps(value)
        if (number, key) in self._attributes:
            row = {rows.TRIAL: number, "of_key": key, "to_json": text}
            self._journal.add(rows.USER_ATTRIBUTES, rows.SET_USER_ATTRIBUTE, row)
            return
        self._attributes.add((number, key))
        row = {rows.TRIAL: number, "key": key, "value_json": text}
        self._journal.add(rows.USER_ATTRIBUTES, rows.NEW_USER_ATTRIBUTE, row)

    def _decide(self, number: int, round: int, decision: Decision, time: float) -> None:
        action, state = decision.action.value, decision.state.value
        self._log(number, LogEntry(action, round, decision.reason, decision.rung, state), time)

    def _log(self, number: int, log: LogEntry, time: float) -> None:
        row = self._row(
            number,
            round=log.round,
            action=log.action,
            state=log.state,
            rung=log.rung,
            reason=log.reason.to_json(),
            time=time,
            at=_utc_now(),
        )
        self._journal.add(tables.decisions, tables.NEW_DECISION, row)

    def _finish(self, number: int, state: OptunaState, value: float | None, time: float) -> None:
        if number in self._paused:
            self._attribute(number, PAUSED, "")
        if value is not None:
            self._journal.add(rows.VALUES, rows.NEW_VALUE, rows.value_row(number, value))
        self._state(number, rows.SET_ENDED, state, moment=rows.utc_now())
        self._keep_objectives(number)
        self._end_run(number, time)
        # Trials that are paused at the end of a search may be many, and have nothing that a crash could lose.
        self._journal.flush_if_due(final=number not in self._paused)
        self._paused.discard(number)

    def _end_run(self, number: int, time: float) -> None:
        if number in self._runs:
            self._journal.add(tables.runs, tables.END_RUN, self._of_run(number, to_ended=time))
            del self._runs[number]

    def _mirror_id(self, number: int) -> int:
        return self._view.get_trial_id_from_study_id_trial_number(self._mirror_study, number)

    def _tell(self, number: int, state: OptunaState, value: float | None) -> None:
        self._view.resume(self._mirror_id(number))
        with self._sampling, quiet_optuna():
            self.mirror.tell(number, value, state=state)


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
