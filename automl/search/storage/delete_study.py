"""Deleting a study from a database that may hold others."""

from __future__ import annotations

from sqlalchemy import delete, select

from automl.errors import StudyError
from automl.search.storage.sql import optuna_tables as rows
from automl.search.storage.sql import tables
from automl.search.storage.sql.database import open_database, storage_errors
from automl.search.storage.sql.study_lock import study_lock


def delete_study(url: str, name: str) -> None:
    """Delete the study with all its trials, in one transaction. Nothing happens if there is none.

    Raises StudyError if a search is writing to it or automl did not make it, and the errors of `open_database`.
    """
    database = open_database(url)
    try:
        with storage_errors(database.shown), database.engine.connect() as connection:
            known = rows.STUDIES.c
            found = connection.execute(select(known.study_id).where(known.study_name == name)).first()
            if found is None:
                return
            study_id = int(found[0])
            lock = study_lock(database, name, study_id)
            try:
                lock.take(connection)
                ours = select(tables.meta.c.study_id).where(tables.meta.c.study_id == study_id)
                if connection.execute(ours).first() is None:
                    raise StudyError(
                        f"the Optuna study {name!r} in {database.shown} was not made by automl and is not deleted: "
                        "give another name"
                    )
                trials = select(rows.TRIALS.c.trial_id).where(rows.TRIALS.c.study_id == study_id)
                # Children before parents.
                for table in reversed([*rows.METADATA.sorted_tables, *tables.metadata.sorted_tables]):
                    if "study_id" in table.c:
                        connection.execute(delete(table).where(table.c.study_id == study_id))
                    elif "trial_id" in table.c:
                        connection.execute(delete(table).where(table.c.trial_id.in_(trials)))
                connection.commit()
            finally:
                lock.release()
                connection.invalidate()
    finally:
        database.close()
