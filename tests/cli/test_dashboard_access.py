"""Requests to a dashboard that is being served: which are answered, and which change something."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import optuna
import pytest

from automl.cli import dashboard_server
from automl.cli.commands import dashboard
from automl.cli.dashboard_access import Access, guarded, is_loopback, is_shared
from automl.cli.dashboard_server import listen
from automl.errors import UsageError
from tests.review.studies_on_disk import running_study


@contextmanager
def _served(access: Access, app: Any = None) -> Iterator[Any]:
    """A function that sends a request to a server, and returns status, headers and text."""

    def works(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        return [b"the page"]

    with listen(guarded(app or works, access), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def request(method: str, path: str = "/", **headers: str) -> tuple[int, dict[str, str], str]:
            connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            answer = connection.getresponse()
            try:
                return answer.status, dict(answer.getheaders()), answer.read().decode()
            finally:
                connection.close()

        request.port = server.server_port  # type: ignore[attr-defined]  # a function with an attribute
        try:
            yield request
        finally:
            server.shutdown()
            thread.join()


def _access(*, host: str = "127.0.0.1", writable: bool = False, token: bool = False) -> Access:
    return Access.to(host, writable=writable, token=token)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]:80", "192.168.0.7:99"])
def test_addresses_that_a_user_types_are_answered(host: str) -> None:
    with _served(_access()) as request:
        assert request("GET", Host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "["])
def test_name_of_another_site_that_leads_here_is_refused(host: str) -> None:
    with _served(_access()) as request:
        status, _, text = request("GET", Host=host)
    assert (status, text) == (
        403,
        f"this dashboard is not at {host!r}; open the address that `automl dashboard` printed\n",
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_page_is_read_only_unless_it_is_asked_for(method: str) -> None:
    with _served(_access()) as request:
        status, _, text = request(method)
    assert status == 403
    assert "read-only; start it with --writable" in text
    with _served(_access(writable=True)) as request:
        assert request(method)[0] == 200


def test_another_site_changes_nothing() -> None:
    with _served(_access(writable=True)) as request:
        own = f"127.0.0.1:{request.port}"
        assert request("POST", Host=own, Origin=f"http://{own}", Sec_Fetch_Site="same-origin")[0] == 200
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://["},
            {"Sec_Fetch_Site": "cross-site"},
        ):
            status, _, text = request("POST", Host=own, **headers)
            assert status == 403
            assert text == "another site sent this request, so nothing was changed\n"


def test_token_opens_the_page_once_and_then_a_cookie_does() -> None:
    access = _access(token=True)
    with _served(access) as request:
        assert "the token is missing" in request("GET", "/dashboard")[2]
        assert request("GET", "/dashboard?token=wrong")[0] == 403
        status, headers, _ = request("GET", f"/dashboard?a=1&token={access.token}")
        assert (status, headers["Location"]) == (303, "/dashboard?a=1")
        assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert request("GET", "/dashboard", Cookie=cookie)[0] == 200
        assert request("GET", "/dashboard", Cookie=cookie + "x")[0] == 403
        assert request("GET", "/dashboard", Cookie="\x01;=")[0] == 403
        assert request("GET", f"//evil.example?token={access.token}")[1]["Location"] == "/evil.example"
        _, headers, _ = request("GET", f"/a%0d%0aX-Other:%20b/caf%c3%a9?token={access.token}")
        assert (headers["Location"], "X-Other" in headers) == ("/a%0D%0AX-Other%3A%20b/caf%C3%A9", False)
    assert access.token != _access(token=True).token


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_study_cannot_be_deleted_through_the_page(tmp_path: Path) -> None:
    pytest.importorskip("optuna_dashboard")
    url = f"sqlite:///{tmp_path}/study.db"
    optuna.create_study(storage=url, study_name="mine")
    app = dashboard._application(url)
    with _served(_access(), app) as request:
        assert request("DELETE", "/api/studies/1")[0] == 403
        assert '"mine"' in request("GET", "/api/studies")[2]
    with _served(_access(writable=True), app) as request:
        assert request("DELETE", "/api/studies/1")[0] == 204
        assert '"mine"' not in request("GET", "/api/studies")[2]


def _user(uid: int, shell: str = "/bin/bash") -> SimpleNamespace:
    return SimpleNamespace(pw_uid=uid, pw_shell=shell)


def test_machine_with_other_people_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    pwd = pytest.importorskip("pwd")
    monkeypatch.setattr("automl.cli.dashboard_access.os.getuid", lambda: 1000)
    alone = [_user(0), _user(1000), _user(1001, "/usr/sbin/nologin"), _user(65534)]
    monkeypatch.setattr(pwd, "getpwall", lambda: alone)
    assert not is_shared()
    monkeypatch.setattr(pwd, "getpwall", lambda: [*alone, _user(1002)])
    assert is_shared()


def test_token_is_asked_for_where_others_could_open_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = dashboard._asks
    monkeypatch.setattr("automl.cli.dashboard_access.is_shared", lambda: False)
    assert not asks(None, "127.0.0.1", writable=False)
    assert asks(None, "127.0.0.1", writable=True)
    assert asks(None, "0.0.0.0", writable=False)
    assert asks("always", "127.0.0.1", writable=False)
    assert not asks("never", "0.0.0.0", writable=True)
    monkeypatch.setattr("automl.cli.dashboard_access.is_shared", lambda: True)
    assert asks("auto", "127.0.0.1", writable=False)
    with pytest.raises(UsageError, match="--token must be auto, always or never, got 'no'"):
        asks("no", "127.0.0.1", writable=False)


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_loopback_addresses_are_known(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_client_that_goes_away_or_sends_nothing_costs_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dashboard_server._Handler, "timeout", 0.2)
    with _served(_access()) as request:
        with socket.create_connection(("127.0.0.1", request.port)) as silent:
            assert silent.recv(1) == b""  # closed by the server
        rude = socket.create_connection(("127.0.0.1", request.port))
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset at the end
        rude.sendall(b"GET / HT")
        rude.close()
        for line in (
            b"nonsense",
            b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
            b"GET / HTTP/9.9",
            b"\xff\xfe\x00",
        ):
            with socket.create_connection(("127.0.0.1", request.port)) as other:
                other.sendall(line + b"\r\n\r\n")
        assert request("GET")[0] == 200
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nX-Long: ",
        b"POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n",
    ],
)
def test_client_that_sends_a_byte_at_a_time_is_not_waited_for_longer_than_for_a_silent_one(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(dashboard_server._Handler, "timeout", 0.5)
    with _served(_access()) as request:
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", request.port)) as slow:
            slow.sendall(begun)
            slow.settimeout(0.05)
            while time.monotonic() < start + 20:
                try:
                    slow.sendall(b"a")
                    if not slow.recv(1000):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break  # a reset
            assert time.monotonic() < start + 10
        assert request("GET")[0] == 200


@pytest.mark.parametrize("writable", [False, True])
def test_command_serves_read_only_and_checks_hosts_and_token(tmp_path: Path, writable: bool) -> None:
    pytest.importorskip("optuna_dashboard")
    running_study(tmp_path)
    options = ["--directory", str(tmp_path), "--port", "0", *(["--writable"] if writable else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "automl", "dashboard", "leaves", *options, "--token", "always"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", process.stdout.readline())
        assert found is not None

        def status(method: str, path: str, **headers: str) -> int:
            connection = HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
            connection.request(method, path, headers=headers)
            try:
                return connection.getresponse().status
            finally:
                connection.close()

        assert status("GET", "/api/studies") == 403
        assert status("GET", f"/api/studies?token={found[2]}", Host="evil.example") == 403
        connection = HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
        connection.request("GET", f"/?token={found[2]}")
        cookie = {"Cookie": str(connection.getresponse().getheader("Set-Cookie")).partition(";")[0]}
        connection.close()
        assert status("GET", "/api/studies", **cookie) == 200
        assert status("DELETE", "/api/studies/1", **cookie) == (204 if writable else 403)
    finally:
        process.terminate()
        process.communicate(timeout=20)
