"""Schema versions: a study whose tables are of another version is shown, but not continued. Imports no Optuna."""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from automl.errors import StudyError
from automl.search.storage.sql.tables import SCHEMA_VERSION
from automl.search.storage.sql.urls import connected, masked, sqlite_file, with_driver

_VERSION = text(
    "SELECT m.schema_version FROM automl_meta m JOIN studies s ON s.study_id = m.study_id"
    " WHERE s.study_name = :study"
)


def refuse_old_study(url: str, study: str) -> None:
    """Raise StudyError if the study cannot be written to this database, before a run prepares its data.

    A database that does not exist or cannot be reached is no error here: opening it says what is wrong.
    """
    try:
        parsed = with_driver(url)
        file = sqlite_file(parsed)
        if file is not None and not file.is_file():
            return  # connecting would create it
        with connected(url) as connection:
            check_schema(connection, study, masked(url))
    except (ImportError, SQLAlchemyError):
        return


def check_schema(connection: Connection, study: str, shown: str) -> None:
    """Raise StudyError if the study was written by another version."""
    if not inspect(connection).has_table("automl_meta"):
        return
    version = connection.execute(_VERSION, {"study": study}).scalar()
    if version is not None and version != SCHEMA_VERSION:
        raise StudyError(
            f"the study {study!r} in {shown} was made by another version of automl (its tables have version {version}, "
            f"this automl writes version {SCHEMA_VERSION}) and cannot be continued: use the automl that made it, "
            "start a new study under another name, or begin this one again with --overwrite"
        )
