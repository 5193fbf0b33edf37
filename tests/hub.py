"""A small Hugging Face hub on this machine, asked through the hub's own client."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import pytest
from safetensors.torch import save

from automl.torch_setup import import_timm

Manner = Literal["normal", "slow", "breaks", "breaks once", "hangs", "absent"]
_PIECE, _PAUSE = 1024, 0.05  # bytes and seconds of a slow hub


class _Handler(BaseHTTPRequestHandler):
    hub: StandIn

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        begin, content = self._answer()
        if self.hub.manner == "slow":
            self._send_slowly(content[begin:])
        elif content:
            self._send(content[begin:])

    def _answer(self) -> tuple[int, bytes]:
        """Send the head of an answer; return where the content begins, and the content, empty if there is none."""
        hub = self.hub
        hub.asked.append(self.path)
        name = next((name for name in hub.files if f"/timm/{name}/" in self.path), "")
        if name and hub.manner == "hangs":
            hub.over.wait(60)
        content = hub.files.get(name, b"")
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response((206 if begin else 200) if name or self.path == "/" else 404)
        if name:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "c" * 40)
        else:
            self.send_header("X-Error-Code", "RepoNotFound")
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        return begin, content

    def _send(self, content: bytes) -> None:
        hub = self.hub
        if hub.manner == "breaks" or (hub.manner == "breaks once" and not hub.broken):
            hub.broken = True
            content = content[: len(content) // 2]
            self.close_connection = True
        hub.sent += self.wfile.write(content)

    def _send_slowly(self, content: bytes) -> None:
        for start in range(0, len(content), _PIECE):
            if self.hub.over.wait(_PAUSE):
                return
            self.hub.sent += self.wfile.write(content[start : start + _PIECE])

    def handle(self) -> None:
        with suppress(OSError):  # whoever asked has gone
            super().handle()

    def log_message(self, *args: object) -> None:
        """Silent."""


class StandIn:
    """A hub with the file model.safetensors of some repositories, by name with tag, in some manner.

    "slow" sends 20 kB a second, "breaks" closes each connection half-way, "breaks once" only the first, and "hangs"
    answers requests for files with nothing. `asked` are the paths of all requests, `sent` the bytes of all files.
    """

    def __init__(self, files: Mapping[str, bytes], manner: Manner = "normal") -> None:
        self.files, self.manner = dict(files), manner
        self.asked: list[str] = []
        self.sent = 0
        self.broken = False
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop it, and end what it is sending."""
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def weights_of(*names: str) -> dict[str, bytes]:
    """The files of networks that were never trained, by name with tag."""
    timm = import_timm()
    return {name: save(timm.create_model(name, pretrained=False).state_dict()) for name in names}


@contextmanager
def asked_instead(monkeypatch: pytest.MonkeyPatch, address: str, cache: Path) -> Iterator[None]:
    """The hub's client of this process asks `address`, and keeps files in `cache`."""
    from huggingface_hub import constants

    with monkeypatch.context() as patch:
        patch.setenv("HF_ENDPOINT", address)
        patch.setenv("HF_HUB_OFFLINE", "0")
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "HF_HUB_CACHE", str(cache))
        patch.setattr(constants, "ENDPOINT", address)
        patch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield
