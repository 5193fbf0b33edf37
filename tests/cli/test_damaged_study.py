"""Commands beside a study whose files are damaged: a sentence about it, and the others stay as they are."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from automl.cli import main
from automl.delivery.export.rows import study_rows
from automl.errors import AutomlError, DataError, StudyError
from automl.final.evaluation.labelled import Labelled
from automl.final.evaluation.seen import read_study_images
from automl.review.earlier_studies import read_past
from automl.review.report.answers import read_answers, read_label_errors, read_parts
from automl.review.studies import read_study
from automl.review.tables import read_trials
from tests.review.studies_on_disk import finished_study, running_study

WHOLE = ("study.yaml", "result.json", "plan.json", "trials.csv")


def _rewritten(value: Any) -> Callable[[bytes], bytes]:
    return lambda _: json.dumps(value).encode()


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "zeros": lambda data: b"\0" * len(data),
    "list": _rewritten([]),
    "null": _rewritten(None),
    "number": _rewritten(
        {"study": 5, "holdout": 5, "best": [], "metric": {}, "trials": 1, "time": "x", "retrain": 3}
    ),
    "words": _rewritten(
        {"best": "x", "holdout": {"accuracy": "x"}, "metric": "accuracy", "trials": {"total": []}}
    ),
    "deep": lambda _: b"[" * 100_000,
    "digits": lambda _: b'{"study": ' + b"9" * 5000 + b"}",
    "latin": lambda data: b"\xff\xfe" + data,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", WHOLE)
def test_list_shows_the_other_studies_and_each_command_says_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, way: str
) -> None:
    bad = finished_study(tmp_path, "bad")
    finished_study(tmp_path, "good")
    whole = (bad / name).read_bytes() if (bad / name).exists() else b"{}"
    (bad / name).write_bytes(WAYS[way](whole))
    assert main(["list", "--directory", str(tmp_path)]) == 0
    assert "good" in capsys.readouterr().out
    for command in ("show", "leaderboard"):
        code = main([command, "bad", "--directory", str(tmp_path)])
        said = capsys.readouterr().err
        assert code in (0, 1, 2)
        assert "automl: unexpected" not in said
        assert (code == 0) == (said == "")


@pytest.mark.parametrize("name", (*WHOLE, ".running"))
def test_list_waits_for_no_pipe_and_reads_no_terabyte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for study in ("bad", "huge"):
        path = finished_study(tmp_path, study) / name
        path.unlink(missing_ok=True)
        if study == "bad":
            os.mkfifo(path)
        else:
            with path.open("wb") as file:
                file.truncate(10**12)
    finished_study(tmp_path, "good")
    assert main(["list", "--directory", str(tmp_path)]) == 0
    assert "good" in capsys.readouterr().out


TABLES = ("holdout_predictions.csv", "label_errors.csv", "splits.csv")


def test_report_and_evaluation_wait_for_no_pipe_and_read_no_terabyte_among_the_tables(tmp_path: Path) -> None:
    for name in TABLES:
        os.mkfifo(tmp_path / name)
    for _ in range(2):
        assert read_answers(tmp_path, "classification", ()) == ()
        assert read_label_errors(tmp_path) == ()
        assert read_parts(tmp_path) == ()
        assert read_study_images(tmp_path / "model") is None
        with pytest.raises(
            DataError, match=r"splits.csv' must say which images the study held out, but cannot be read"
        ):
            study_rows(cast(Labelled, None), tmp_path)
        for name in TABLES:
            (tmp_path / name).unlink()
            (tmp_path / name).touch()
            os.truncate(tmp_path / name, 2**41)


STATEMENTS = (
    "UPDATE automl_trials SET config = '[]'",
    "UPDATE automl_trials SET config = '" + "[" * 500 + "'",
    "UPDATE automl_reports SET metrics = '7'",
    "UPDATE automl_reports SET value = 'x'",
    "UPDATE automl_reports SET epoch = 'x' WHERE trial = 1",
    "UPDATE automl_decisions SET reason = '[1]'",
    "UPDATE trials SET state = 'NOTHING'",
    "UPDATE trials SET number = NULL",
    "UPDATE studies SET study_name = 'other'",
    "UPDATE alembic_version SET version_num = 'x'",
    "UPDATE version_info SET schema_version = 77",
    "DELETE FROM study_directions",
    "DROP TABLE automl_reports",
    "DROP TABLE trials",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_damaged_database_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    study = running_study(tmp_path)
    connection = sqlite3.connect(study / "study.db")
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute(statement)
    connection.commit()
    connection.close()
    for command in (["list"], ["show", "leaves"], ["leaderboard", "leaves"]):
        code = main([*command, "--directory", str(tmp_path)])
        said = capsys.readouterr().err
        assert code in (0, 1, 2)
        assert "automl: unexpected" not in said
        assert (code == 0) == (said == "")
    try:
        read_past(read_study(study))
    except AutomlError as error:
        assert str(error)  # which a warm start notes, and goes on


def test_damaged_table_of_trials_is_told(tmp_path: Path) -> None:
    study = finished_study(tmp_path)
    text = (study / "trials.csv").read_text()
    for damaged in (
        "x" * 300_000 + "\n" + text,
        "\n".join(line[: len(line) // 2] for line in text.splitlines()),
        text.replace("complete", "finished"),
    ):
        (study / "trials.csv").write_text(damaged)
        with pytest.raises(StudyError, match=r"trials.csv must be a leaderboard"):
            read_trials(study / "trials.csv")
