"""Rows that wait: few statements, and each trial's own order."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Executable

from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql import tables
from automl.search.storage.sql.write_queue import Pending

STATEMENTS: dict[str, Executable] = {
    "new": rows.NEW_TRIAL,
    "started": rows.SET_STARTED,
    "ended": rows.SET_ENDED,
    "state": rows.SET_STATE,
}


def _written(pending: Pending) -> Iterator[tuple[Executable, int, int]]:
    """(statement, trial, order) one by one, as they go to the database."""
    for statement, batch in pending:
        for row in batch:
            yield statement, row[rows.TRIAL], row["order"]


@given(st.lists(st.tuples(st.sampled_from(sorted(STATEMENTS)), st.integers(0, 4)), max_size=40))
def test_nothing_is_lost_and_what_happens_to_one_trial_keeps_its_order(news: list[tuple[str, int]]) -> None:
    pending = Pending()
    for order, (name, trial) in enumerate(news):
        pending.add(STATEMENTS[name], {rows.TRIAL: trial, "order": order})
    written = list(_written(pending))
    assert sorted(order for _, _, order in written) == list(range(len(news)))
    for trial in range(5):
        orders = [order for _, of, order in written if of == trial]
        assert orders == sorted(orders)
    assert all(statement is STATEMENTS[news[order][0]] for statement, _, order in written)


def test_the_news_of_many_trials_take_a_statement_a_kind() -> None:
    pending = Pending()
    for trial in range(100):
        pending.add(rows.SET_STARTED, {rows.TRIAL: trial})
        pending.add(rows.SET_ENDED, {rows.TRIAL: trial})
    assert [(statement, len(batch)) for statement, batch in pending] == [
        (rows.SET_STARTED, 100),
        (rows.SET_ENDED, 100),
    ]


def test_our_own_tables_know_trials_by_other_names() -> None:
    pending = Pending()
    for statement, row in (
        (tables.NEW_CHECKPOINT, {"study_id": 1, "trial": 7}),
        (tables.DROP_CHECKPOINT, {"of_study": 1, "of_number": 7}),
        (tables.NEW_CHECKPOINT, {"study_id": 1, "trial": 7}),
        (tables.NEW_CHECKPOINT, {"study_id": 1, "trial": 8}),
    ):
        pending.add(statement, row)
    assert [len(batch) for _, batch in pending] == [1, 1, 2]
