"""Weights from the hub: a small one on this machine stands in for it, asked through the hub's own client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from safetensors.torch import save_file

from automl.torch_setup import import_timm

_ASK = """
import json, sys
from automl.training.models.weight_sources import download, in_caches
from automl.machine import hub_answers
models = [("test_resnet", 0.4), ("test_vit", 0.4), ("resnet18", 1e9)]
answers = hub_answers()
got = download(models, seconds=60) if answers else {}
print(json.dumps([answers, {name: [w.source, str(w.file)] for name, w in got.items()},
                  list(in_caches([name for name, _ in models]))]))
"""


def _ask(endpoint: str, cache: Path) -> list[object]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub that has weights of test_resnet alone, and the paths that it was asked for."""
    save_file(import_timm().create_model("test_resnet").state_dict(), tmp_path / "served.safetensors")
    content, asked = (tmp_path / "served.safetensors").read_bytes(), []

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            asked.append(self.path)
            found = "/test_resnet.r160_in1k/" in self.path
            self.send_response(200 if found or self.path == "/" else 404)
            if found:
                self.send_header("ETag", '"' + "e" * 64 + '"')
                self.send_header("X-Repo-Commit", "c" * 40)
            else:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.end_headers()
            if found and body:
                self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_the_hub_has_is_fetched_and_what_would_take_too_long_is_not_started(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, asked = hub
    answers, got, cached = _ask(endpoint, tmp_path / "cache")
    assert answers is True and isinstance(got, dict)
    assert list(got) == ["test_resnet"] == cached
    source, file = got["test_resnet"]
    assert source == "hub" and Path(file).read_bytes() == (tmp_path / "served.safetensors").read_bytes()
    assert any("test_vit" in path for path in asked)
    assert not any("resnet18" in path for path in asked)


def test_hub_that_does_not_answer_is_distinguished_from_one_that_does(tmp_path: Path) -> None:
    assert _ask("http://127.0.0.1:9", tmp_path)[0] is False
