"""Rows for our own tables, as `optuna_rows.py` has them for Optuna's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, bindparam, delete, insert, update

from automl.search.storage.sql import tables


def _of_trial(table: Table) -> Any:
    return (table.c.study_id == bindparam("of_study")) & (table.c.trial == bindparam("of_number"))


NEW_TRIAL = insert(tables.trials)
NEW_REPORT = insert(tables.reports)
NEW_DECISION = insert(tables.decisions)
NEW_CHECKPOINT = insert(tables.checkpoints)
NEW_RUN = insert(tables.runs)
DROP_CHECKPOINT = delete(tables.checkpoints).where(_of_trial(tables.checkpoints))
NEW_OBJECTIVE = insert(tables.objectives)
DROP_OBJECTIVES = delete(tables.objectives).where(_of_trial(tables.objectives))
DROP_REPORT = delete(tables.reports).where(
    _of_trial(tables.reports), tables.reports.c.round == bindparam("of_round")
)
# A run is known by the moment at which it began: its key comes only with the transaction that writes it.
_THIS_RUN = update(tables.runs).where(
    _of_trial(tables.runs), tables.runs.c.started == bindparam("of_started"), tables.runs.c.ended.is_(None)
)
END_RUN = _THIS_RUN.values(ended=bindparam("to_ended"))
MOVE_RUN = _THIS_RUN.values(worker=bindparam("to_worker"), node=bindparam("to_node"), pid=bindparam("to_pid"))
