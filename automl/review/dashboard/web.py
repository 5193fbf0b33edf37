"""What optuna-dashboard's server answers, mended where it looks at COMPLETE trials alone, and its artifacts kept apart.

A short study often has no COMPLETE trial: the page would then show neither a best trial nor importances.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from automl.log import get_logger
from automl.review.dashboard.importance import importances
from automl.review.dashboard.requests.checks import problem_of
from automl.review.dashboard.snapshot import Snapshot
from automl.review.dashboard.storage import DashboardStorage
from automl.terminal.printable import printable

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = get_logger(__name__)
# The logger to which optuna-dashboard writes a traceback for each answer that fails.
_TRACEBACKS = "optuna_dashboard._bottle_util"
_STUDY = re.compile(r"/api/studies/(\d+)(/param_importances)?/?")
_ARTIFACT = re.compile(r"/artifacts/.*")
_UPLOAD = re.compile(r"/api/artifacts/.*")
_PLOT = re.compile(r"/api/studies/\d+/plot/.*")
# A report is a page of its own: whatever is in it cannot ask this server for anything.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'; "
    "sandbox allow-scripts"
)


def translated(app: WSGIApplication, storage: DashboardStorage) -> WSGIApplication:
    """Return the application `app` of optuna-dashboard over `storage`, with the answers that its pages need."""

    logging.getLogger(_TRACEBACKS).addFilter(_first_line_only)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path, reading = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"] == "GET"
        if reading and path == "/" and len(studies := storage.get_all_studies()) == 1:
            number = storage.get_study_id_from_name(studies[0].study_name)
            start_response("302 Found", [("Location", f"/dashboard/studies/{number}")])
            return [b""]  # a list of one study is no choice
        if not reading and _UPLOAD.fullmatch(path):
            return _refuse(
                start_response,
                HTTPStatus.BAD_REQUEST,
                "The files of a study are those that automl wrote: none can be added or removed.",
            )
        if (problem := problem_of(environ, storage)) is not None:
            return _refuse(start_response, *problem)
        found = _STUDY.fullmatch(path) if reading else None
        snapshot = _snapshot(storage, int(found[1])) if found is not None else None
        if found is not None and snapshot is not None:
            if found[2]:
                trials = storage.get_all_trials(snapshot.study_id, deepcopy=False)
                body = {"param_importances": [importances(trials, snapshot.mode)]}
                return _send(start_response, "200 OK", json.dumps(body).encode())
            if not storage.has_complete(snapshot.study_id):
                return _study(app, snapshot, environ, start_response)
        if reading and _ARTIFACT.fullmatch(path):
            return _artifact(app, environ, start_response)
        if reading and _PLOT.fullmatch(path):
            return _plot(app, environ, start_response)
        return app(environ, start_response)

    return answer


def _first_line_only(record: logging.LogRecord) -> bool:
    """Log what went wrong in one line, in place of the record with its traceback."""
    _log.warning(
        "the dashboard has no such answer: %s", printable(record.getMessage().strip().partition("\n")[0])
    )
    return False


def _study(
    app: WSGIApplication, snapshot: Snapshot, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer with a study without a Complete trial: the best one is the first of the leaderboard all the same."""
    status, headers, body = _ask(app, environ)
    if status.startswith("200") and snapshot.best is not None:
        number, document = snapshot.best.trial, json.loads(body)
        best = _trial(document, number)
        if best is None:  # the page has it already, and asked for later trials only
            place = sorted(snapshot.trials).index(number)
            _, _, earlier = _ask(app, {**environ, "QUERY_STRING": f"after={place}"})
            best = _trial(json.loads(earlier), number)
        document["best_trials"] = document["best_trials"] if best is None else [best]
        body = json.dumps(document).encode()
    return _send(start_response, status, body, headers)


def _artifact(
    app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer with an artifact, which other sites must not read (optuna-dashboard lets them)."""
    status, headers, body = _ask(app, {**environ, "wsgi.errors": io.StringIO()})
    if status.startswith("500"):  # it was listed, and its file is gone
        return _refuse(start_response, HTTPStatus.NOT_FOUND, "this file cannot be read any more")
    kept = [pair for pair in headers if pair[0].lower() != "access-control-allow-origin"]
    more = [("Content-Security-Policy", _POLICY), ("X-Content-Type-Options", "nosniff")]
    return _send(start_response, status, body, [*kept, *more])


def _plot(app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with a diagram; Optuna draws some of certain studies only, and none without plotly."""
    status, headers, body = _ask(app, environ)
    if status.startswith("500"):
        return _refuse(start_response, HTTPStatus.BAD_REQUEST, "this diagram cannot be drawn of this study")
    return _send(start_response, status, body, headers)


def _trial(document: dict[str, Any], number: int) -> dict[str, Any] | None:
    return next((trial for trial in document["trials"] if trial["number"] == number), None)


def _ask(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and body of an answer."""
    said: list[Any] = []

    def remember(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Any:
        said[:] = [status, headers]
        return lambda _: None

    parts = app(dict(environ), remember)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return said[0], said[1], body


def _refuse(start_response: StartResponse, status: HTTPStatus, reason: str) -> list[bytes]:
    return _send(start_response, f"{status.value} {status.phrase}", json.dumps({"reason": reason}).encode())


def _send(
    start_response: StartResponse, status: str, body: bytes, headers: list[tuple[str, str]] | None = None
) -> list[bytes]:
    kept = [pair for pair in headers or [("Content-Type", "application/json")] if pair[0] != "Content-Length"]
    start_response(status, [*kept, ("Content-Length", str(len(body)))])
    return [body]


def _snapshot(storage: DashboardStorage, study_id: int) -> Snapshot | None:
    """Return the study; None if there is none, or it is not of automl."""
    try:
        return storage.snapshot(study_id)
    except KeyError:
        return None
