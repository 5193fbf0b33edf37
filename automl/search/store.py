"""The memory of a search: the Optuna study, the only truth about states, and our own tables beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState
from sqlalchemy import Connection, delete, insert, select, update

from automl.errors import StorageError, StudyError
from automl.records import Config, Decision, Mode, Report, TrialState
from automl.search import tables
from automl.search.database import Database, open_database, storage_errors
from automl.search.fingerprint import check_same
from automl.search.patience import patient
from automl.search.sampler_view import open_view, quiet_optuna
from automl.search.stored import StoredTrial, read_trials

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

PAUSED = "paused"
REASON = "reason"
CAUSE = "cause"
ORIGIN = "origin"


@dataclass(frozen=True)
class Worker:
    """Who runs a trial."""

    name: str
    node: str
    pid: int


class Store:
    """One study, open for one search. Optuna's states tell the truth at every moment:

    RUNNING while it trains; WAITING with the user attribute `paused` while it may still be promoted; COMPLETE
    only at the full length or when the objective ended by itself, with the last epoch's value; PRUNED without
    a value, with the user attribute `reason`; FAIL without a value, with the user attribute `cause`. Every
    epoch is an intermediate value. Optuna restarts `datetime_start` at each resume; the runs in our own
    tables keep all moments.
    """

    def __init__(self, database: Database, study: optuna.Study, mode: Mode, sampler: BaseSampler) -> None:
        """Use `Store.open`. `mirror` is the study as samplers see it."""
        self._database = database
        self._optuna = database.optuna
        self._study_id = study._study_id
        past = self._optuna.get_all_trials(self._study_id, deepcopy=False)
        self._ids = {trial.number: trial._trial_id for trial in past}
        self._view, self.mirror = open_view(sampler, mode, past)
        self._runs: dict[int, int] = {}

    @classmethod
    def open(
        cls,
        url: str | None,
        name: str,
        *,
        fingerprint: Mapping[str, Any],
        make_sampler: Callable[[int], BaseSampler],
    ) -> Store:
        """Opens the study, or creates it. `fingerprint` needs the keys `metric` and `mode`.

        `make_sampler` is called with the number of trials that the study has, so that a continued study does
        not draw its first points again. Raises StudyError if the study exists with another fingerprint,
        ConfigError for an impossible URL and StorageError where the database cannot be used.
        """
        database = open_database(url)
        try:
            with storage_errors(database.shown), quiet_optuna():
                study = _open_study(database, name, fingerprint)
                count = len(study.get_trials(deepcopy=False))
                return cls(database, study, fingerprint["mode"], make_sampler(count))
        except BaseException:
            database.close()
            raise

    @property
    def shown(self) -> str:
        """The database's URL without its password."""
        return self._database.shown

    def __len__(self) -> int:
        return len(self._ids)

    def close(self) -> None:
        """Gives back all connections; one in memory is gone then."""
        self._database.close()

    @patient
    def trials(self) -> list[StoredTrial]:
        """All trials of the study, by number, with what happened to them."""
        with storage_errors(self.shown):
            frozen = self._optuna.get_all_trials(self._study_id, deepcopy=False)
            with self._database.engine.connect() as connection:
                return read_trials(connection, self._study_id, frozen)

    def create(
        self,
        suggest: Callable[[optuna.Trial], Config],
        *,
        time: float,
        fixed: Mapping[str, Any] | None = None,
        origin: str = "sampler",
    ) -> tuple[int, Config]:
        """A new RUNNING trial: its number and configuration. `fixed` are Optuna's parameters to use, where
        given.
        """
        with quiet_optuna():
            if fixed is not None:
                self.mirror.enqueue_trial(dict(fixed))
            trial = self.mirror.ask()
            config = suggest(trial)
        template = self._view.get_trial(trial._trial_id)
        number = self._create(template)
        if number != trial.number:
            raise StorageError(
                f"one search at a time may write to a study, but trial {number} appeared in {self.shown} "
                "while this one ran: stop the other one"
            )
        self._describe(number, config=json.dumps(config), origin=origin, time=time)
        return number, config

    @patient
    def _create(self, template: optuna.trial.FrozenTrial) -> int:
        with storage_errors(self.shown):
            trial_id = self._optuna.create_new_trial(self._study_id, template_trial=template)
        number = self._number(trial_id)
        self._ids[number] = trial_id
        return number

    @patient
    def _number(self, trial_id: int) -> int:
        with storage_errors(self.shown):
            return self._optuna.get_trial_number_from_id(trial_id)

    @patient
    def _describe(self, number: int, *, config: str, origin: str, time: float) -> None:
        with self._writing() as connection:
            self._optuna.set_trial_user_attr(self._ids[number], ORIGIN, origin)
            connection.execute(self._delete(tables.trials, number))
            row = self._row(number, config=config, origin=origin, time=time)
            connection.execute(insert(tables.trials), row)

    @patient
    def started(self, number: int, worker: Worker, time: float) -> None:
        """A worker runs the trial now, for the first time or again."""
        trial_id = self._ids[number]
        self._view.resume(self._mirror_id(number))
        with self._writing() as connection:
            if self._optuna.get_trial(trial_id).state is OptunaState.WAITING:
                self._optuna.set_trial_user_attr(trial_id, PAUSED, "")
                self._optuna.set_trial_state_values(trial_id, OptunaState.RUNNING)
            row = self._row(number, worker=worker.name, node=worker.node, pid=worker.pid, started=time)
            key = connection.execute(insert(tables.runs), row).inserted_primary_key
            if key is not None:
                self._runs[number] = key[0]

    @patient
    def moved(self, number: int, worker: Worker) -> None:
        """It became known which worker runs the trial."""
        if number in self._runs:
            which = tables.runs.c.id == self._runs[number]
            values = {"worker": worker.name, "node": worker.node, "pid": worker.pid}
            with self._writing() as connection:
                connection.execute(update(tables.runs).where(which).values(values))

    @patient
    def report(self, report: Report, decision: Decision, time: float) -> None:
        """An epoch and what was decided about it; a second report of the same epoch replaces the first."""
        self._view.set_trial_intermediate_value(self._mirror_id(report.trial), report.epoch, report.value)
        with self._writing() as connection:
            self._optuna.set_trial_intermediate_value(self._ids[report.trial], report.epoch, report.value)
            row = self._row(
                report.trial,
                epoch=report.epoch,
                value=report.value if math.isfinite(report.value) else None,
                seconds=report.seconds,
                metrics=json.dumps(dict(report.metrics)),
                time=time,
                at=_utc_now(),
            )
            connection.execute(self._delete(tables.reports, report.trial, epoch=report.epoch))
            connection.execute(insert(tables.reports), row)
            self._decide(connection, report.trial, report.epoch, decision, time)

    @patient
    def pause(self, number: int, epoch: int, reason: str, time: float) -> None:
        """The trial left its worker and may still be promoted."""
        trial_id = self._ids[number]
        self._view.pause(self._mirror_id(number))
        with self._writing() as connection:
            self._optuna.set_trial_user_attr(trial_id, PAUSED, f"after epoch {epoch}: {reason}")
            self._optuna.set_trial_state_values(trial_id, OptunaState.WAITING)
            self._end_run(connection, number, time)
        self._runs.pop(number, None)

    @patient
    def complete(self, number: int, value: float, time: float) -> None:
        """The trial reached its end; `value` is its last epoch's."""
        with self._writing() as connection:
            self._settle(number, OptunaState.COMPLETE, [value])
            self._end_run(connection, number, time)
        self._runs.pop(number, None)
        self._tell(number, OptunaState.COMPLETE, value)

    @patient
    def end(self, number: int, decision: Decision, time: float, value: float | None = None) -> None:
        """The trial was stopped for good (PRUNED) or broke (FAILED), for the decision's reason.

        A pruned trial keeps its last `value`, as Optuna's own `tell` would have it: the dashboard then shows it where
        pruned trials are asked for, and samplers go by the values of the epochs all the same.
        """
        failed = decision.state is TrialState.FAILED
        state = OptunaState.FAIL if failed else OptunaState.PRUNED
        with self._writing() as connection:
            kept = None if failed or value is None or not math.isfinite(value) else [value]
            self._settle(number, state, kept, **{CAUSE if failed else REASON: decision.reason})
            self._end_run(connection, number, time)
        self._runs.pop(number, None)
        self._tell(number, state, None)

    @patient
    def decided(self, number: int, epoch: int, decision: Decision, time: float) -> None:
        """A decision that no report led to."""
        with self._writing() as connection:
            self._decide(connection, number, epoch, decision, time)

    @patient
    def checkpoint(self, number: int, epoch: int | None, path: str = "") -> None:
        """Where the trial's state of `epoch` lies; None: it has none any more."""
        with self._writing() as connection:
            connection.execute(self._delete(tables.checkpoints, number))
            if epoch is not None:
                connection.execute(insert(tables.checkpoints), self._row(number, epoch=epoch, path=path))

    # ------------------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        # Optuna writes through connections of its own, and SQLite has one writer: ours must not begin before
        # Optuna's statements are through. SQLAlchemy begins at the first statement, so inside of these blocks
        # Optuna comes first.
        with storage_errors(self.shown), self._database.engine.connect() as connection:
            yield connection
            connection.commit()

    def _row(self, number: int, **values: object) -> dict[str, object]:
        return {"study_id": self._study_id, "trial": number, **values}

    def _delete(self, table: Any, number: int, **where: object) -> Any:
        statement = delete(table).where(table.c.study_id == self._study_id, table.c.trial == number)
        for column, value in where.items():
            statement = statement.where(table.c[column] == value)
        return statement

    def _decide(
        self, connection: Connection, number: int, epoch: int, decision: Decision, time: float
    ) -> None:
        row = self._row(
            number,
            epoch=epoch,
            action=decision.action.value,
            state=decision.state.value,
            rung=decision.rung,
            reason=decision.reason,
            time=time,
            at=_utc_now(),
        )
        connection.execute(insert(tables.decisions), row)

    def _settle(self, number: int, state: OptunaState, values: list[float] | None, **attributes: str) -> None:
        """Ends the trial for good; nothing where an earlier try of the same write has done it."""
        trial_id = self._ids[number]
        if self._optuna.get_trial(trial_id).state.is_finished():
            return
        for key, text in attributes.items():
            self._optuna.set_trial_user_attr(trial_id, key, text)
        self._optuna.set_trial_state_values(trial_id, state, values)

    def _end_run(self, connection: Connection, number: int, time: float) -> None:
        run = self._runs.get(number)
        if run is not None:
            connection.execute(update(tables.runs).where(tables.runs.c.id == run).values(ended=time))

    def _mirror_id(self, number: int) -> int:
        return self._view.get_trial_id_from_study_id_trial_number(self.mirror._study_id, number)

    def _tell(self, number: int, state: OptunaState, value: float | None) -> None:
        self._view.resume(self._mirror_id(number))
        with quiet_optuna():
            self.mirror.tell(number, value, state=state)


def _open_study(database: Database, name: str, fingerprint: Mapping[str, Any]) -> optuna.Study:
    direction = StudyDirection.MAXIMIZE if fingerprint["mode"] == "max" else StudyDirection.MINIMIZE
    known = {study.study_name for study in database.optuna.get_all_studies()}
    study = optuna.create_study(
        storage=database.optuna, study_name=name, direction=direction, load_if_exists=True
    )
    query = select(tables.meta).where(tables.meta.c.study_id == study._study_id)
    with database.engine.begin() as connection:
        row = connection.execute(query).mappings().first()
        if row is None:
            if name in known and study.get_trials(deepcopy=False):
                raise StudyError(
                    f"the Optuna study {name!r} in {database.shown} was not made by automl: give another name"
                )
            study.set_metric_names([fingerprint["metric"]])
            values = {
                "study_id": study._study_id,
                "schema_version": tables.SCHEMA_VERSION,
                "fingerprint": json.dumps(fingerprint),
                "at": _utc_now(),
            }
            connection.execute(insert(tables.meta), values)
            return study
    if row["schema_version"] != tables.SCHEMA_VERSION:
        raise StudyError(
            f"the study {name!r} has tables of version {row['schema_version']}, this automl reads version "
            f"{tables.SCHEMA_VERSION}: use the version of automl that made it"
        )
    check_same(name, json.loads(row["fingerprint"]), fingerprint)
    return study


def _utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
