"""`automl report` on studies as they lie on disk."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest

from automl.cli import main
from automl.config.loading import load, save
from automl.errors import UsageError
from automl.remote import local_root
from automl.review.report.study_report import report_of
from tests.review.studies_on_disk import finished_study, running_study


def test_report_prints_the_verdict_and_where_the_page_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_study(tmp_path)
    assert main(["report", "photos", "--directory", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith("A resnet10t trained from scratch has accuracy 0.9200 (0.7484 to 0.9777)")
    assert out.endswith(f"report: {tmp_path}/photos/report.html")
    page = (tmp_path / "photos" / "report.html").read_text(encoding="utf-8")
    assert f"automl predict photos --directory {tmp_path} new-images/" in page


def test_json_has_path_state_and_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running_study(tmp_path)
    out = tmp_path / "elsewhere.html"
    assert main(["report", "leaves", "--directory", str(tmp_path), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["study"], said["report"], said["state"]) == ("leaves", str(out), "running")
    assert len(said["verdict"]) == 3 and out.is_file()
    assert not (tmp_path / "leaves" / "report.html").exists()


def test_open_gives_the_page_to_a_browser_or_says_that_there_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_study(tmp_path)
    opened: list[str] = []

    def only_once(url: str) -> bool:
        opened.append(url)
        return len(opened) == 1

    monkeypatch.setattr(webbrowser, "open", only_once)
    assert main(["report", "photos", "--directory", str(tmp_path), "--open"]) == 0
    assert opened == [(tmp_path / "photos" / "report.html").as_uri()]
    assert main(["report", "photos", "--directory", str(tmp_path), "--open"]) == 2
    assert "--open needs a browser on this machine, and there is none" in capsys.readouterr().err


def test_unknown_study_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_study(tmp_path)
    assert main(["report", "photso", "--directory", str(tmp_path)]) == 2
    assert "photos" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["photos/result.json", "photos/model/new.html", "precious.csv"])
def test_nothing_else_is_replaced_by_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = finished_study(tmp_path)
    (tmp_path / "precious.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    out = tmp_path / name
    assert main(["report", "photos", "--directory", str(tmp_path), "--out", str(out)]) == 2
    assert repr(str(out)) in capsys.readouterr().err
    with pytest.raises(UsageError, match="--out must"):
        report_of(folder, out=out)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_earlier_page_is_replaced(tmp_path: Path) -> None:
    finished_study(tmp_path)
    for out in (tmp_path / "page.html", tmp_path / "photos" / "report.html"):
        for _ in range(2):
            assert main(["report", "photos", "--directory", str(tmp_path), "--out", str(out)]) == 0


def test_report_of_a_study_at_an_address_is_stored_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    there = tmp_path / "bucket"
    finished_study(there)
    url = f"file://{there}"
    assert main(["report", "photos", "--directory", url, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["address"] == f"{url}/photos/report.html"
    assert (there / "photos" / "report.html").read_bytes() == Path(said["report"]).read_bytes()
    assert main(["report", f"{url}/photos", "--out", str(tmp_path / "mine.html")]) == 0
    assert "stored" not in capsys.readouterr().out
    (there / "photos" / "report.html").unlink()
    (there / "photos" / "report.html").mkdir()  # cannot be written
    assert main(["report", "photos", "--directory", url]) == 1
    assert f"; the report is in '{said['report']}' alone" in capsys.readouterr().err


def test_report_of_a_study_that_runs_for_an_address_is_stored_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a study lies in a local folder, from which it is uploaded."""
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    url = f"file://{tmp_path}/bucket"
    study = finished_study(local_root(url))
    save(load("photos/", study="photos", directory=url), study / "study.yaml")
    assert report_of(study).address == f"{url}/photos/report.html"
    assert (tmp_path / "bucket" / "photos" / "report.html").is_file()
    moved = study.rename(tmp_path / "photos")  # a copy that somebody made is a study on this machine
    assert report_of(moved).address == ""
