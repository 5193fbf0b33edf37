"""list, show, leaderboard, dashboard on studies as they lie on disk."""

from __future__ import annotations

import csv
import json
import os
import threading
import urllib.request
from pathlib import Path

import optuna
import pytest

from automl.cli import main
from automl.cli.commands.dashboard import _application, _folders, _storage_url
from automl.cli.dashboard_server import listen
from automl.errors import StorageError, StudyError, UsageError
from automl.pipeline.study_folder import FolderLock
from tests.review.studies_on_disk import RESULT, running_study


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main(list(arguments))
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def test_list_shows_finished_and_unfinished(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "list", "--directory", str(studies)).splitlines()
    assert any(line.split()[:2] == ["leaves", "unfinished"] for line in lines)
    assert any("photos" in line and "0.9200 (0.7484 to 0.9777)" in line and "9m54s" in line for line in lines)


def test_list_names_a_damaged_study_and_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("good", "data: digits\n"), ("bad", "data: [\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.yaml").write_text(text, encoding="utf-8")
    entries = json.loads(run(capsys, "list", "--directory", str(tmp_path), "--json"))["studies"]
    assert [(entry["study"], entry["state"]) for entry in entries] == [
        ("bad", "unreadable"),
        ("good", "unfinished"),
    ]


def test_list_marks_models_that_are_of_no_use_and_explains_the_marks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = {"task": "multilabel", "per_class": [{"label": "bee", "predicted": 0}]}
    for name, more in (("chance", {"usable": False}), ("mute", {"evaluation": nothing}), ("well", {})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.yaml").write_text("data: digits\n", encoding="utf-8")
        (tmp_path / name / "result.json").write_text(json.dumps({**RESULT, **more}), encoding="utf-8")
    place = ("--directory", str(tmp_path))
    rows = run(capsys, "list", *place).splitlines()
    assert [name in row and state in row for row, name, state in zip(rows[2:], *_MARKED, strict=False)] == [
        True,
        True,
        True,
    ]
    assert [line.partition(":")[0] for line in rows[5:]] == ["not usable", "answers no label"]
    entries = json.loads(run(capsys, "list", *place, "--json"))["studies"]
    assert [(entry["usable"], entry["answers_nothing"]) for entry in entries][:2] == [
        (False, False),
        (RESULT.get("usable"), True),
    ]
    for name in ("chance", "mute"):
        (tmp_path / name / "result.json").unlink()
    assert len(run(capsys, "list", *place).splitlines()) == 5


_MARKED = (("chance", "mute", "well"), ("finished, not usable", "finished, answers no label", "finished  "))


def test_list_of_nothing_says_how_to_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "start one with `automl fit DATA`" in run(capsys, "list", "--directory", str(tmp_path / "none"))


def test_show_prints_result_and_details(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "show", "photos", "--directory", str(studies))
    assert out.startswith("photos: finished\n")
    assert "0.9200 (0.7484 to 0.9777), 95 % interval" in out
    assert "weight decay 0.02" in out
    assert f"automl dashboard photos --directory {studies}" in out
    assert json.loads(run(capsys, "show", "photos", "--directory", str(studies), "--json")) == {**RESULT}


def test_show_of_an_unfinished_study_tells_how_far_it_came(
    studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = run(capsys, "show", "leaves", "--directory", str(studies))
    assert "5 trials: 1 running when it ended, 1 paused, 1 complete, 1 pruned, 1 failed" in out
    assert "val f1 0.7000, from trial 0" in out
    assert f"automl resume leaves --directory {studies}" in out
    document = json.loads(run(capsys, "show", "leaves", "--directory", str(studies), "--json"))
    assert document["best"]["val_score"] == 0.7


def test_a_study_that_a_process_runs_is_running(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, place = running_study(tmp_path), ("--directory", str(tmp_path))
    lock = FolderLock(folder)
    try:
        out = run(capsys, "show", "leaves", *place)
        assert out.startswith("leaves: running\n") and "5 trials: 1 running, 1 paused," in out
        assert f"process {os.getpid()}" in out and "automl resume" not in out
        assert json.loads(run(capsys, "show", "leaves", *place, "--json"))["running"] is True
        row = run(capsys, "list", *place).splitlines()[-1].split()
        assert row[:5] + row[6:7] == ["leaves", "running", "f1", "0.7000", "-", "5"]
        run(capsys, "report", "leaves", *place)
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert "an automl study, running;" in page and "automl resume" not in page
    finally:
        lock.release()
    entry = json.loads(run(capsys, "list", *place, "--json"))["studies"][0]
    assert (entry["running"], entry["val_score"], entry["trials"]) == (False, 0.7, 5)


def test_leaderboard_shows_the_columns_that_were_asked_for(
    studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("leaves", "--directory", str(studies))
    document = json.loads(run(capsys, "leaderboard", *place, "--json"))
    metric = f"val_{document['metric']}"
    head, _, first, *_ = run(capsys, "leaderboard", *place, "--columns", f"trial, {metric}").splitlines()
    assert head.split() == ["trial", metric]
    assert first.split() == [str(document["trials"][0]["trial"]), f"{document['trials'][0][metric]:.4f}"]
    everything = run(capsys, "leaderboard", *place, "--columns", "all")
    assert all(name in everything for name in document["trials"][0])
    assert main(["leaderboard", *place, "--columns", "lrr"]) == 2
    assert "unknown column 'lrr'" in capsys.readouterr().err


@pytest.mark.parametrize(("study", "count"), [("photos", 3), ("leaves", 5)])
def test_leaderboard_is_a_table_json_and_csv(
    studies: Path, study: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--directory", str(studies))
    table = run(capsys, "leaderboard", study, *place)
    document = json.loads(run(capsys, "leaderboard", study, *place, "--json"))
    file = tmp_path / "trials.csv"
    assert (
        run(capsys, "leaderboard", study, *place, "--csv", str(file)) == f"{count} trials written to {file}\n"
    )
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    order = [row["trial"] for row in document["trials"]]
    assert len(order) == count
    assert [int(row["trial"]) for row in rows] == order
    assert [int(line.split()[1]) for line in table.splitlines()[2:] if line.strip()[:1].isdigit()] == order
    assert "resnet10t" in table


def test_leaderboard_file_that_cannot_be_written_is_named(
    studies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", "photos", "--directory", str(studies), "--csv", "no/such/file.csv"]) == 2
    assert "--csv must be a file that can be written, got 'no/such/file.csv'" in capsys.readouterr().err


def test_leaderboard_replaces_its_own_table_only(studies: Path, tmp_path: Path) -> None:
    file, asked = tmp_path / "x.csv", ("leaderboard", "photos", "--directory", str(studies), "--csv")
    assert [main([*asked, str(file)]) for _ in range(2)] == [0, 0]
    file.write_text("file,label\n", encoding="utf-8")
    yaml = studies / "photos" / "study.yaml"
    before = yaml.read_bytes()
    assert [main([*asked, str(path)]) for path in (file, yaml)] == [2, 2]
    assert (file.read_text(encoding="utf-8"), yaml.read_bytes()) == ("file,label\n", before)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_dashboard_serves_the_study(studies: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    with listen(_application(_storage_url("leaves", str(studies), None)[0]), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/api/studies"
            with urllib.request.urlopen(url, timeout=10) as answer:
                found = json.load(answer)
        finally:
            server.shutdown()
            thread.join()
    assert [study["study_name"] for study in found["study_summaries"]] == ["leaves"]


def test_dashboard_needs_a_study_with_a_database(studies: Path, tmp_path: Path) -> None:
    with pytest.raises(
        StudyError, match="STUDY must be given, since there are several: choose one of leaves, photos"
    ):
        _storage_url(None, str(studies), None)
    with pytest.raises(StudyError, match=r"'photos' has no study.db yet: its search has not started"):
        _storage_url("photos", str(studies), None)
    (tmp_path / "x.db").touch()
    url = f"sqlite:///{tmp_path}/x.db"
    assert _storage_url(None, "nowhere", url) == (url, None)


def test_dashboard_finds_the_folders_of_the_studies_in_its_storage(studies: Path, tmp_path: Path) -> None:
    url, found = _storage_url("leaves", str(studies), None)
    find = _folders(url, str(studies), found)
    assert found is not None and (leaves := find("leaves")) is not None and leaves.path == found.path
    assert find("photos") is None  # its storage is another one
    assert find("no such") is None
    assert _folders(url, str(studies), None)("leaves") is not None
    assert _folders("sqlite:///other.db", str(studies), None)("leaves") is None


def test_dashboard_on_a_taken_port_says_so(studies: Path) -> None:
    with listen(lambda *_: [], "127.0.0.1", 0) as server:
        port = server.server_port
        with pytest.raises(
            UsageError, match=rf"must be free, got 127.0.0.1:{port} .*; try --port {port + 1}"
        ):
            listen(lambda *_: [], "127.0.0.1", port)


def test_dashboard_of_a_study_that_can_only_be_read_says_so(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db", study_name="s")
    with pytest.raises(StorageError, match="needs a database that it can write to, but .* can only be read"):
        _application(f"sqlite:///file:{tmp_path}/study.db?mode=ro&uri=true")


def test_dashboard_of_an_unreachable_storage_hides_the_password() -> None:
    pytest.importorskip("optuna_dashboard")
    with pytest.raises(StorageError, match=r"must be an Optuna database, got 'oracle\+none://a:\*\*\*@h/b'"):
        _application("oracle+none://a:secret@h/b")


def test_dashboard_of_a_file_that_does_not_exist_makes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboard", "--storage", f"sqlite:///{tmp_path}/stduy.db", "--port", "0"]) == 2
    assert (
        f"must be a database that exists, but there is no file '{tmp_path}/stduy.db'"
        in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


def test_dashboard_of_a_server_that_does_not_answer_says_so() -> None:
    pytest.importorskip("optuna_dashboard")
    pytest.importorskip("psycopg")
    with pytest.raises(
        StorageError,
        match=r"postgresql://a:\*\*\*@127.0.0.1:1/b cannot be read or written: connection failed",
    ):
        _application("postgresql://a:secret@127.0.0.1:1/b")
