"""Requests that no page sends: each gets a status below 500 and a reason, and the terminal stays quiet."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication
from wsgiref.util import setup_testing_defaults

import optuna
import pytest

from automl.cli.commands.dashboard import _application

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
JSON = "application/json"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> WSGIApplication:
    """The dashboard of two studies: a page of one leads elsewhere. Trial 1 is done, trial 2 runs."""
    url = f"sqlite:///{tmp_path_factory.mktemp('requests') / 'study.db'}"
    study = optuna.create_study(storage=url, study_name="one")
    study.tell(study.ask(), 1.0)
    study.ask()
    optuna.create_study(storage=url, study_name="two")
    return _application(url, lambda _: None)


def ask(
    app: WSGIApplication,
    path: str,
    query: str = "",
    *,
    method: str = "GET",
    body: bytes = b"",
    kind: str = JSON,
    **environ: str,
) -> tuple[int, dict[str, str], bytes, str]:
    """Status, headers and body of an answer, and what the server printed."""
    said: list[Any] = []
    given: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        **environ,
    }
    setup_testing_defaults(given)

    def start(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Any:
        said[:] = [int(status[:3]), dict(headers)]
        return lambda _: None

    parts = app(given, start)
    content = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    return said[0], said[1], content, given["wsgi.errors"].getvalue()


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/api/studies/1", "after=abc", 400),
        ("/api/studies/1", "after=", 400),
        ("/api/studies/1", "after=-1", 400),
        ("/api/studies/1", "after=nan", 400),
        ("/api/studies/1", "%61fter=1e3", 400),
        ("/api/studies/1", "after=" + "9" * 5000, 400),
        ("/api/studies/1", "after=0&after=x", 400),
        ("/api/studies/-1", "", 404),
        ("/api/studies/-99999999999999999999", "", 404),
        ("/api/studies/9", "", 404),
        ("/api/studies/9/plot/slice", "", 404),
        ("/api/studies/1/plot/pareto_front", "", 400),
        ("/csv/9", "", 404),
        ("/csv/1", "trial_ids=x", 400),
        ("/artifacts/9/abc", "", 404),
        ("/artifacts/1/99/abc", "", 404),
        ("/static//etc/passwd", "", 404),
        ("/static/../../../../etc/passwd", "", 403),
        ("/static/a\0b", "", 404),
        ("/static/" + "a" * 300, "", 404),
        ("/" + "a" * 5000, "", 414),
        ("/api/stu\xffdies", "", 404),
    ],
)
def test_reading_what_is_not_there_is_refused(
    app: WSGIApplication, path: str, query: str, status: int
) -> None:
    found, _, body, printed = ask(app, path, query)
    assert (found, printed) == (status, "")
    assert b"root:" not in body


def test_diagram_that_cannot_be_drawn_is_one_line_in_the_log(
    app: WSGIApplication, caplog: pytest.LogCaptureFixture
) -> None:
    status, _, _, printed = ask(app, "/api/studies/1/plot/pareto_front")
    assert (status, printed) == (400, "")
    (record,) = caplog.records
    assert record.name.startswith("automl.") and "\n" not in record.getMessage()
    assert record.getMessage().startswith("the dashboard has no such answer: Exception: ")


def test_pages_are_answered_without_an_encoding(app: WSGIApplication) -> None:
    """Curl and health checks send no Accept-Encoding."""
    assert ask(app, "/favicon.ico")[0] == 200
    assert ask(app, "/static/caf\xc3\xa9")[0] == 404
    assert ask(app, "/api/studies/1", "after=1")[0] == 200
    assert ask(app, "/api/studies/1/")[0] == 200


@pytest.mark.parametrize(
    ("path", "method", "body", "kind", "status"),
    [
        ("/api/studies", "POST", b"", JSON, 400),
        ("/api/studies", "POST", b"study_name=x", "application/x-www-form-urlencoded", 400),
        ("/api/studies", "POST", b"[]", JSON, 400),
        ("/api/studies", "POST", b"{", JSON, 400),
        ("/api/studies", "POST", b"[" * 100_000, JSON, 400),
        ("/api/studies", "POST", b'{"study_name": 3, "directions": ["minimize"]}', JSON, 400),
        ("/api/studies", "POST", b'{"study_name": "x", "directions": [1]}', JSON, 400),
        ("/api/studies", "POST", b'{"study_name": "\\ud800", "directions": ["minimize"]}', JSON, 400),
        ("/api/studies/9/rename", "POST", b'{"study_name": "x"}', JSON, 404),
        ("/api/studies/1/note", "PUT", b'{"version": "x", "body": "y"}', JSON, 400),
        ("/api/studies/1/note", "PUT", b'{"version": 1, "body": 2}', JSON, 400),
        ("/api/studies/1/99/note", "PUT", b'{"version": 1, "body": "y"}', JSON, 404),
        ("/api/studies/1/preference", "POST", b'{"mode": "ChooseWorst", "candidates": [[]]}', JSON, 400),
        ("/api/trials/99/tell", "POST", b'{"state": "Fail"}', JSON, 404),
        ("/api/trials/1/tell", "POST", b'{"state": "Fail"}', JSON, 409),
        ("/api/trials/1/user-attrs", "POST", b'{"user_attrs": {"a": 1}}', JSON, 409),
        ("/api/trials/2/tell", "POST", b'{"state": "Complete", "values": [NaN]}', JSON, 400),
        ("/api/trials/2/tell", "POST", b'{"state": "Complete", "values": ["1e999"]}', JSON, 400),
        ("/api/trials/2/user-attrs", "POST", b'{"user_attrs": [1]}', JSON, 400),
        ("/api/studies/1", "PATCH", b"{}", JSON, 405),
        ("/api/studies/-1", "DELETE", b"", JSON, 404),
        ("/dashboard", "POST", b"", JSON, 405),
    ],
)
def test_changing_with_a_wrong_document_is_refused(
    app: WSGIApplication, path: str, method: str, body: bytes, kind: str, status: int
) -> None:
    found, _, content, printed = ask(app, path, method=method, body=body, kind=kind)
    assert (found, printed) == (status, "")
    if path.startswith("/api/") and status != 405:
        assert json.loads(content)["reason"]


@pytest.mark.parametrize(
    ("length", "status"), [("abc", 400), ("-1", 400), ("9" * 5000, 400), ("9" * 12, 413), ("7", 400)]
)
def test_absurd_lengths_are_refused_before_anything_is_read(
    app: WSGIApplication, length: str, status: int
) -> None:
    assert ask(app, "/api/studies", method="POST", CONTENT_LENGTH=length)[0] == status


def test_right_documents_still_change_the_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=url, study_name="mine")
    study.ask()
    app = _application(url, lambda _: None)
    for path, method, body, status in (
        ("/api/studies/1/note", "PUT", b'{"version": 1, "body": "text"}', 204),
        ("/api/trials/1/user-attrs", "POST", b'{"user_attrs": {"a": 1}}', 204),
        ("/api/trials/1/tell", "POST", b'{"state": "Complete", "values": [0.5]}', 204),
        ("/api/studies", "POST", b'{"study_name": "other", "directions": ["minimize"]}', 201),
        ("/api/studies/2", "DELETE", b"", 204),
    ):
        assert ask(app, path, method=method, body=body)[0] == status, path
    assert study.trials[0].value == 0.5
