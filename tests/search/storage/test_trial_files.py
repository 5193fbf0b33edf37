"""The files of a trial, beside what the contract of storages says."""

import csv
from pathlib import Path

import pytest
import sqlalchemy

from automl.errors import StorageError
from automl.records import Report
from automl.search.storage.checkpoints import TrialFiles, is_disk_full
from automl.search.storage.sql.database import storage_errors


def test_log_of_an_earlier_version_is_continued_with_rounds_and_epochs(tmp_path: Path) -> None:
    log = tmp_path / "trials/t0000/log.csv"
    log.parent.mkdir(parents=True)
    rows = ("epoch,accuracy,passes,seconds", "1,0.4,0.5,1.000", "2,0.5,1.0,1.000")
    log.write_text("\n".join(rows) + "\n", encoding="utf-8")
    TrialFiles(tmp_path, logs=True).log(Report(0, 2, 0.6, 2.0, {"accuracy": 0.6, "epochs": 1.1}))
    with log.open(encoding="utf-8") as file:
        found = [(row["round"], row["accuracy"], row["epochs"]) for row in csv.DictReader(file)]
    assert found == [("1", "0.4", "0.5"), ("2", "0.6", "1.1")]


def test_full_disk_is_known_by_what_sqlite_says(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'study.db'}")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE rows (value BLOB)")
        connection.exec_driver_sql("PRAGMA max_page_count = 4")  # as on a disk that has no more room
        with pytest.raises(StorageError) as raised, storage_errors("study.db"):
            connection.exec_driver_sql("INSERT INTO rows VALUES (zeroblob(100000))")
        assert is_disk_full(raised.value)
        with pytest.raises(StorageError) as raised, storage_errors("study.db"):
            connection.exec_driver_sql("INSERT INTO nothing VALUES (1)")
        assert not is_disk_full(raised.value)
    engine.dispose()
