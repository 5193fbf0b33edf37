"""Clients that send a request a byte at a time, or take no answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from tests.delivery.conftest import CLASSES

for needed in ("onnxruntime", "onnxscript", "fastapi", "uvicorn", "python_multipart"):
    pytest.importorskip(needed)

# Below the check, as they import what may not be installed.
from automl.delivery.serve.limits import Limits  # noqa: E402
from automl.delivery.serve.served_model import ServedModel  # noqa: E402
from tests.delivery.serve.test_serve import Client, served  # noqa: E402

_PATIENCE = 0.5  # seconds
_POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"


def _quick() -> ServedModel:
    def score(pixels: Any) -> Any:
        return np.full((len(pixels), 3), 1 / 3, dtype=np.float32)

    said = {"task": "classification", "classes": list(CLASSES), "size": 8, "channels": 3, "pixel_range": []}
    return ServedModel("quick", {**said, "resize": "crop"}, "onnxruntime", score)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with served(_quick(), Limits(patience=_PATIENCE, token="secret")) as found:
        yield found


def _closed_after(port: int, begun: bytes, then: bytes) -> tuple[float, bytes]:
    """Send a byte at a time; return the seconds until the server closed the connection, and what it said."""
    start, said = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(begun)
        slow.settimeout(0.05)
        while time.monotonic() < start + 20:
            try:
                slow.sendall(then)
                received = slow.recv(10_000)
            except TimeoutError:
                continue
            except OSError:
                break  # a reset
            if not received:
                break
            said += received
    return time.monotonic() - start, said


@pytest.mark.parametrize(
    ("begun", "then"),
    [
        (b"", b""),
        (b"G", b"E"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a"),
        (_POST + b"Authorization: Bearer secret\r\nContent-Length: 900000\r\n\r\n--b\r\n", b"a"),
        (_POST + b"Authorization: Bearer secret\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (_POST + b"Content-Length: 900000\r\n\r\n", b"a"),  # without the token
        (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n", b"a"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /he", b"a"),
    ],
)
def test_request_that_never_ends_is_given_up_and_others_are_answered(
    client: Client, begun: bytes, then: bytes
) -> None:
    seconds, _ = _closed_after(client.port, begun, then)
    assert 0.8 * _PATIENCE < seconds < 10
    assert client.send("GET", "/health")[0] == 200


def test_client_is_told_that_its_body_took_too_long(client: Client) -> None:
    begun = _POST + b"Authorization: Bearer secret\r\nContent-Length: 900000\r\n\r\n--b\r\n"
    _, said = _closed_after(client.port, begun, b"")
    assert said.startswith(b"HTTP/1.1 408") and b"the request took too long to arrive" in said


def test_answer_that_is_not_taken_is_given_up(client: Client) -> None:
    """More answers than the buffers of both sides hold."""
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n\r\n"
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", client.port)) as deaf, pytest.raises(ConnectionError):
        deaf.settimeout(0.05)
        while time.monotonic() < start + 20:
            with suppress(TimeoutError):
                deaf.sendall(asked * 100)
    assert client.send("GET", "/health")[0] == 200


@pytest.mark.parametrize(
    "sent", [_POST + b"Content-Length: 900000\r\n\r\n--b\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: "]
)
def test_server_that_stops_while_a_request_arrives_answers_it_without_a_traceback(
    sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(_quick(), Limits(patience=60.0)) as client:
        slow = socket.create_connection(("127.0.0.1", client.port))
        slow.sendall(sent)
        assert client.send("GET", "/health")[0] == 200
    with slow:
        if sent.startswith(b"POST"):
            assert slow.recv(10_000).startswith(b"HTTP/1.1 503")
    assert "Traceback" not in capfd.readouterr().err


def test_connection_may_be_used_for_requests_for_longer_than_one_may_take(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as steady:
        start = time.monotonic()
        while time.monotonic() < start + 3 * _PATIENCE:
            steady.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                assert (received := steady.recv(10_000))
                answer += received
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(0.1)
