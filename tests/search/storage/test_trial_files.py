"""The files of a trial, beside what the contract of storages says."""

import csv
from pathlib import Path

from automl.records import Report
from automl.search.storage.checkpoints import TrialFiles


def test_log_of_an_earlier_version_is_continued_with_rounds_and_epochs(tmp_path: Path) -> None:
    log = tmp_path / "trials/t0000/log.csv"
    log.parent.mkdir(parents=True)
    rows = ("epoch,accuracy,passes,seconds", "1,0.4,0.5,1.000", "2,0.5,1.0,1.000")
    log.write_text("\n".join(rows) + "\n", encoding="utf-8")
    TrialFiles(tmp_path, logs=True).log(Report(0, 2, 0.6, 2.0, {"accuracy": 0.6, "epochs": 1.1}))
    with log.open(encoding="utf-8") as file:
        found = [(row["round"], row["accuracy"], row["epochs"]) for row in csv.DictReader(file)]
    assert found == [("1", "0.4", "0.5"), ("2", "0.6", "1.1")]
