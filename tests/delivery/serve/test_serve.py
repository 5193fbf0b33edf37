"""A server that runs, and a client that speaks HTTP to it, also with bad intentions."""

from __future__ import annotations

import http.client
import io
import json
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import automl
from automl.cli import main
from automl.cli.dashboard_access import Access
from automl.delivery.export.model import export_model
from automl.errors import ModelError
from tests.delivery.conftest import CLASSES, info_of, know_features, write_model

for needed in ("onnxruntime", "onnxscript", "fastapi", "uvicorn", "python_multipart"):
    pytest.importorskip(needed)

# Below the check, as they import what may not be installed.
from automl.delivery.serve.limits import Limits  # noqa: E402
from automl.delivery.serve.served_model import ServedModel, serve_model  # noqa: E402
from automl.delivery.serve.server import listen, make_server  # noqa: E402

pytestmark = pytest.mark.slow
Files = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A model folder with its ONNX export."""
    folder = write_model(tmp_path_factory.mktemp("served"))
    know_features(folder, pictures)
    export_model(folder, to="onnx", data=pictures)
    return folder


class Client:
    """Sends requests to a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method,
                path,
                body,
                headers or {},
                encode_chunked=bool(headers and "Transfer-Encoding" in headers),
            )
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        kind = answer.getheader("content-type", "")
        return answer.status, json.loads(content) if "json" in kind else content.decode()

    def predict(self, files: Files, **headers: str) -> tuple[int, Any]:
        body, kind = multipart(files)
        return self.send("POST", "/predict", body, {"Content-Type": kind, **headers})


def multipart(files: Files) -> tuple[bytes, str]:
    parts = [
        b'--limit\r\nContent-Disposition: form-data; name="images"; filename="'
        + name.encode()
        + b'"\r\nContent-Type: image/png\r\n\r\n'
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + b"--limit--\r\n", "multipart/form-data; boundary=limit"


@contextmanager
def served(model: ServedModel, limits: Limits | None = None) -> Iterator[Client]:
    """Run a server in a thread."""
    listening = listen("127.0.0.1", 0)
    server = make_server(model, limits or Limits())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < until and thread.is_alive()
            time.sleep(0.01)
        yield Client(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listening.close()
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def client(model_folder: Path) -> Iterator[Client]:
    limits = Limits(
        most_bytes=3_000_000,
        most_images=8,
        image_bytes=1_000_000,
        is_ours=Access.to("127.0.0.1", writable=False, token=False).is_ours,
    )
    with served(serve_model(str(model_folder)), limits) as found:
        yield found


def files_of(pictures: Path) -> Files:
    return [(path.name, path.read_bytes()) for path in sorted(pictures.glob("*/*"))]


def test_answers_are_those_of_the_predictor_in_the_order_of_the_request(
    client: Client, model_folder: Path, pictures: Path
) -> None:
    files = files_of(pictures)[:7]
    status, said = client.predict([*files[:3], ("bad.png", b"no image"), *files[3:]])
    assert status == 200
    assert [row["file"] for row in said["predictions"]] == [name for name, _ in files]
    assert said["skipped"] == [{"file": "bad.png", "reason": "not an image"}]
    expected = automl.load(model_folder).predict_proba([content for _, content in files])
    found = np.array([[row["probabilities"][name] for name in CLASSES] for row in said["predictions"]])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    unknown = automl.load(model_folder).unknown([content for _, content in files])
    np.testing.assert_allclose([row["unknown"] for row in said["predictions"]], unknown, atol=0.01)
    assert [row["label"] for row in said["predictions"]] == [CLASSES[k] for k in expected.argmax(axis=1)]


def test_many_clients_at_once_get_their_own_answers(
    client: Client, model_folder: Path, pictures: Path
) -> None:
    files = files_of(pictures)
    expected = automl.load(model_folder).predict_proba([content for _, content in files])
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda i: client.predict([files[i % len(files)]]), range(3 * len(files))))
    for i, (status, said) in enumerate(replies):
        assert status == 200
        found = [said["predictions"][0]["probabilities"][name] for name in CLASSES]
        np.testing.assert_allclose(found, expected[i % len(files)], atol=1e-4)


def test_says_what_it_serves_without_anything_from_another_server(client: Client) -> None:
    assert client.send("GET", "/health") == (200, {"status": "ok"})
    _, said = client.send("GET", "/metadata")
    assert (said["classes"], said["runtime"]) == (list(CLASSES), "onnxruntime")
    _, openapi = client.send("GET", "/openapi.json")
    assert set(openapi["paths"]) == {"/predict", "/health", "/metadata"}
    status, page = client.send("GET", "/")
    assert status == 200 and "POST /predict" in page
    assert page.count("http") == 1 and f"http://127.0.0.1:{client.port}/predict" in page


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in some hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"0" * 1000))
        + chunk(b"IEND", b"")
    )


def chunks(n: int) -> Iterator[bytes]:
    yield multipart([("a.png", b"")])[0].partition(b"\r\n--limit--")[0]
    yield from (b"x" * 100_000 for _ in range(n))


def _form(charset: str, name: str) -> tuple[str, str, bytes, dict[str, str]]:
    body, kind = multipart([(name, b"no image")])
    return "POST", "/predict", body, {"Content-Type": f"{kind}; charset={charset}"}


HOSTILE: list[tuple[str, Callable[[Client], tuple[int, Any]], int, str]] = [
    ("another host", lambda to: to.send("GET", "/health", headers={"Host": "evil.example"}), 400, "not at"),
    ("a bomb", lambda to: to.predict([("bomb.png", bomb())]), 422, "too many pixels"),
    ("an empty file", lambda to: to.predict([("empty.png", b"")]), 422, "empty file"),
    ("a large image", lambda to: to.predict([("large.png", bytes(1_000_001))]), 422, "larger than 1 MB"),
    ("no file", lambda to: to.predict([]), 400, "send images as"),
    (
        "no form",
        lambda to: to.send("POST", "/predict", b"{}", {"Content-Type": "application/json"}),
        400,
        "send",
    ),
    (
        "a broken form",
        lambda to: to.send("POST", "/predict", b"--", {"Content-Type": "multipart/form-data; boundary=x"}),
        400,
        "",
    ),
    ("many files", lambda to: to.predict([(f"{i}.png", b"x") for i in range(9)]), 400, "Too many files"),
    ("a large request", lambda to: to.predict([("a.png", bytes(4_000_000))]), 413, "3 MB at most"),
    (
        "a large request of unknown length",
        lambda to: to.send(
            "POST",
            "/predict",
            chunks(40),
            {"Content-Type": "multipart/form-data; boundary=limit", "Transfer-Encoding": "chunked"},
        ),
        413,
        "3 MB at most",
    ),
    ("another method", lambda to: to.send("GET", "/predict"), 405, ""),
    ("a codec that reads nothing", lambda to: to.send(*_form("undefined", "a.png")), 400, "must be UTF-8"),
    (
        "half a character",
        lambda to: to.send(*_form("unicode_escape", r"\ud800.png")),
        422,
        "?.png: not an image",
    ),
    ("a long path", lambda to: to.send("GET", "/" + "a" * 60_000), 404, ""),
    ("no UTF-8 in the path", lambda to: to.send("GET", "/%ff%00..%2f..%2fetc%2fpasswd"), 404, ""),
]


@pytest.mark.parametrize(
    ("attack", "status", "word"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_bad_requests_get_one_sentence_and_the_server_goes_on(
    client: Client, attack: Callable[[Client], tuple[int, Any]], status: int, word: str
) -> None:
    try:
        found, said = attack(client)
    except ConnectionError:  # it closed the connection while the request was still being sent
        assert status == 413
    else:
        assert found == status
        assert word in said["detail"]
    assert client.send("GET", "/health")[0] == 200


def test_with_a_token_all_but_health_needs_it(model_folder: Path, pictures: Path) -> None:
    with served(serve_model(str(model_folder / "onnx")), Limits(token="secrét")) as client:
        assert client.send("GET", "/health")[0] == 200
        status, said = client.send("GET", "/metadata")
        assert status == 401 and "token" in said["detail"]
        assert client.predict(files_of(pictures)[:1])[0] == 401
        assert client.predict(files_of(pictures)[:1], Authorization="Bearer wrong")[0] == 401
        right = "Bearer secrét".encode().decode("latin-1")  # http.client sends headers as Latin-1
        assert client.predict(files_of(pictures)[:1], Authorization=right)[0] == 200


def test_host_is_checked_where_there_is_no_token(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of another site knows no token, and the proxy in front of a server may have any name."""
    found: list[Limits] = []
    monkeypatch.setattr(
        "automl.delivery.serve.server.serve", lambda model, limits, listening: found.append(limits)
    )
    for token in ("never", "always"):
        assert main(["serve", str(model_folder / "onnx"), "--port", "0", "--token", token]) == 0
    plain, guarded = found
    assert (plain.token, plain.is_ours("api.example.com"), plain.is_ours("localhost:80")) == (
        None,
        False,
        True,
    )
    assert guarded.token and guarded.is_ours("api.example.com")


def test_images_that_wait_are_scored_together_and_an_error_is_told_to_each(pictures: Path) -> None:
    sizes: list[int] = []

    def score(pixels: Any) -> Any:
        sizes.append(len(pixels))
        if sizes[-1] == 1 and len(sizes) > 1:
            raise ModelError("broken")
        time.sleep(0.2)
        return np.full((len(pixels), 3), 1 / 3, dtype=np.float32)

    said = {"task": "classification", "classes": list(CLASSES), "size": 8, "channels": 3, "pixel_range": []}
    model = ServedModel("slow", {**said, "resize": "crop"}, "onnxruntime", score)
    files = files_of(pictures)[:12]
    with served(model) as client:
        with ThreadPoolExecutor(12) as pool:
            assert {status for status, _ in pool.map(lambda file: client.predict([file]), files)} == {200}
        assert sum(sizes) == 12 and max(sizes) > 3
        assert client.predict(files[:1])[0] == 500
        sizes.clear()
        assert client.predict(files[:1])[0] == 200


def test_model_without_held_out_images_is_served_by_torch(tmp_path: Path, pictures: Path) -> None:
    folder = write_model(tmp_path, info=replace(info_of(), in_chans=3))
    told: list[str] = []
    model = serve_model(str(folder), note=told.append)
    assert model.runtime == "torch" and f"which `automl export {folder} --to onnx` writes" in told[-1]
    content = files_of(pictures)[0][1]
    expected = automl.load(folder).predict_proba([io.BytesIO(content)])
    np.testing.assert_allclose(model.score(np.stack([model.pixels(content)])), expected, atol=1e-5)
    know_features(folder, pictures)
    model = serve_model(str(folder))
    said = model.answers(model.score(np.stack([model.pixels(content)])))
    assert said[0]["unknown"] == pytest.approx(float(automl.load(folder).unknown([content])[0]), abs=1e-4)


def test_export_of_other_weights_is_not_served(model_folder: Path, tmp_path: Path, pictures: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "onnx").mkdir()
    for file in (model_folder / "onnx").iterdir():
        (folder / "onnx" / file.name).write_bytes(file.read_bytes())
    assert serve_model(str(folder)).runtime == "onnxruntime"
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = struct.pack("<f", 0.125)
    weights.write_bytes(bytes(content))
    assert serve_model(str(folder)).runtime == "torch"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 10**9),
        ("size", "40"),
        ("size", 32.5),
        ("classes", {"a": 1}),
        ("classes", [1, 2, 3]),
        ("classes", ["a", "a", "b"]),
        ("channels", True),
        ("pixel_range", ["black", "white"]),
        ("pixel_range", [0.0]),
        ("resize", "stretch"),
        ("task", ["classification"]),
        ("format", None),
    ],
)
def test_export_of_a_stranger_with_what_no_export_has_is_refused(
    model_folder: Path, tmp_path: Path, name: str, value: Any
) -> None:
    folder = shutil.copytree(model_folder / "onnx", tmp_path / "export")
    said = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for changed in ({**said, name: value}, {key: said[key] for key in said if key != name}):
        (folder / "model.json").write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(ModelError, match=rf"its model.json is not \('?{name}'? (cannot be|is missing)"):
            serve_model(str(folder))
    (folder / "model.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match="it must hold one JSON object"):
        serve_model(str(folder))


def test_graph_that_does_not_score_what_is_described_is_refused(model_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder / "onnx", tmp_path / "export")
    said = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for changed in ({"classes": [*"abcdefgh"]}, {"channels": 1}):
        (folder / "model.json").write_text(json.dumps({**said, **changed}), encoding="utf-8")
        with pytest.raises(ModelError, match="its model.onnx does not score what its model.json describes"):
            serve_model(str(folder))
    (folder / "model.json").write_text(json.dumps(said), encoding="utf-8")
    (folder / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="its model.onnx does not score"):
        serve_model(str(folder))
