"""The answers of the dashboard's server: a best trial and importances whatever the states, artifacts kept apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

import optuna
import pytest

from automl.cli.commands.dashboard import _application
from automl.records import Config
from automl.review.studies import read_study
from automl.search import search
from tests.search.toy import ToySpace, settings

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")


def ask(app: WSGIApplication, address: str, method: str = "GET") -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    parts, said = urlsplit(address), []
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": parts.path, "QUERY_STRING": parts.query}
    setup_testing_defaults(environ)

    def start(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Any:
        said.append((status, dict(headers)))
        return lambda _: None

    body = b"".join(app(environ, start))
    return said[0][0], said[0][1], body


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> WSGIApplication:
    """The dashboard of a study whose time was up before any trial was complete."""
    url = f"sqlite:///{tmp_path_factory.mktemp('pruned') / 'study.db'}"

    def slow(config: Config) -> Iterator[dict[str, float]]:
        for round in range(1, 100):
            yield {"accuracy": config["x"] * round, "seconds": 1.0}

    found = search(slow, ToySpace(), settings(engine="simulated", storage=url, parallel=8, time_limit=6.0))
    assert found.counts["complete"] == 0
    return _application(url, lambda _: None)


def test_best_trial_is_the_first_of_the_leaderboard_without_complete_trials(pruned: WSGIApplication) -> None:
    document = json.loads(ask(pruned, "/api/studies/1?after=0")[2])
    values = [trial["values"][0] for trial in document["trials"] if trial.get("values")]
    assert len(values) > 4
    assert [best["values"] for best in document["best_trials"]] == [[max(values)]]


def test_page_that_has_the_first_trials_still_gets_the_best(pruned: WSGIApplication) -> None:
    whole = json.loads(ask(pruned, "/api/studies/1?after=0")[2])
    rest = json.loads(ask(pruned, f"/api/studies/1?after={len(whole['trials'])}")[2])
    assert rest["trials"] == [] and rest["best_trials"] == whole["best_trials"]


def test_first_page_is_that_of_the_study_where_there_is_only_one(
    pruned: WSGIApplication, tmp_path: Path
) -> None:
    status, headers, _ = ask(pruned, "/")
    assert (status, headers["Location"]) == ("302 Found", "/dashboard/studies/1")
    url = f"sqlite:///{tmp_path / 'two.db'}"
    for name in ("a", "b"):
        optuna.create_study(storage=url, study_name=name)
    _, headers, _ = ask(_application(url, lambda _: None), "/")
    assert headers["Location"].endswith("/dashboard")


def test_importances_do_not_need_complete_trials(pruned: WSGIApplication) -> None:
    (found,) = json.loads(ask(pruned, "/api/studies/1/param_importances")[2])["param_importances"]
    assert {each["name"] for each in found} == {"x", "kind", "extra"}
    assert sum(each["importance"] for each in found) == pytest.approx(1.0)
    assert ask(pruned, "/api/studies/9/param_importances")[0].startswith("404")


def test_artifact_is_a_page_of_its_own_that_other_sites_cannot_read(finished: Path) -> None:
    app = _application(f"sqlite:///{finished / 'study.db'}", lambda _: read_study(finished))
    listed = json.loads(ask(app, "/api/studies/1?after=0")[2])["artifacts"]
    report = next(each["artifact_id"] for each in listed if each["filename"] == "report.html")
    status, headers, body = ask(app, f"/artifacts/1/{report}")
    assert (status, body) == ("200 OK", b"<!doctype html><title>report</title>")
    assert "Access-Control-Allow-Origin" not in headers
    assert "sandbox" in headers["Content-Security-Policy"]


def test_artifact_whose_file_is_gone_is_not_found(finished: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "leaves"))
    app = _application(f"sqlite:///{copy / 'study.db'}", lambda _: read_study(copy))
    listed = json.loads(ask(app, "/api/studies/1?after=0")[2])["artifacts"]
    report = next(each["artifact_id"] for each in listed if each["filename"] == "report.html")
    (copy / "report.html").unlink()
    assert ask(app, f"/artifacts/1/{report}")[0] == "404 Not Found"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_files_of_a_study_can_be_neither_added_nor_removed(pruned: WSGIApplication, method: str) -> None:
    status, _, body = ask(pruned, "/api/artifacts/1/abc", method)
    assert status.startswith("400") and "none can be added or removed" in json.loads(body)["reason"]


def test_numbers_beyond_those_of_databases_are_not_found(pruned: WSGIApplication) -> None:
    for digits in (19, 30, 5000):
        for path in (
            "/api/studies/{}",
            "/api/studies/{}/param_importances",
            "/csv/{}",
            "/api/studies/1/{}/note",
        ):
            status, _, body = ask(pruned, path.format("9" * digits))
            assert (status, json.loads(body)) == ("404 Not Found", {"reason": "not found"})
