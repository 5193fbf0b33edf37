"""A headless Chromium that tests drive by its own protocol over pipes: no driver, no port, no network.

https://chromedevtools.github.io/devtools-protocol; `--remote-debugging-pipe` reads file descriptor 3 and writes 4.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
    *("--disable-background-networking", "--disable-extensions", "--disable-dev-shm-usage"),
    "--remote-debugging-pipe",
)
PATIENCE = 60.0  # seconds for one answer, on a machine that others use


class Browser:
    """A browser with one page. `requests`, `errors` collect what the page asked for and what its console said."""

    def __init__(self, process: subprocess.Popen[bytes], read: int, write: int) -> None:
        self._process, self._read, self._write = process, read, write
        self._buffer, self._number, self._session = b"", 0, ""
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._loaded = False
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def emulate_print(self) -> None:
        """Show the page as on paper until the next `open`."""
        self._call("Emulation.setEmulatedMedia", {"media": "print"})

    def open(self, page: Path | str, *, width: int = 1440, height: int = 900, dark: bool = False) -> float:
        """Load a page at a size of the window and wait for it; return the seconds until it was loaded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.requests.clear()
        self.errors.clear()
        self._loaded, begun = False, time.monotonic()
        self._call("Page.navigate", {"url": page.as_uri() if isinstance(page, Path) else page})
        while not self._loaded:
            self._take(begun + PATIENCE)
        return time.monotonic() - begun

    def run(self, script: str) -> Any:
        """Return the value of an expression on the page; raises AssertionError for an exception in it."""
        found = self._call(
            "Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True}
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, such as "Tab" or "Enter"."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        event |= {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", {"type": kind, **event})

    def accessibility_tree(self) -> list[dict[str, Any]]:
        """Return the nodes that a screen reader gets."""
        nodes: list[dict[str, Any]] = self._call("Accessibility.getFullAXTree")["nodes"]
        return nodes

    def screenshot(self, path: Path, *, most_height: int = 16_000) -> None:
        """Write the whole page as PNG."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": 0,
            "width": size["width"],
            "height": min(size["height"], most_height),
            "scale": 1,
        }
        found = self._call(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
        )
        path.write_bytes(base64.b64decode(found["data"]))

    def print(self, path: Path) -> None:
        """Write the page as it is printed, as PDF."""
        found = self._call("Page.printToPDF", {"printBackground": True})
        path.write_bytes(base64.b64decode(found["data"]))

    def _call(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params or {}}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            answer = self._take(until)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found

    def _take(self, until: float) -> dict[str, Any]:
        """Return the next message, and remember what it says about the page."""
        while b"\0" not in self._buffer:
            assert time.monotonic() < until, "the browser does not answer"
            part = os.read(self._read, 2**20)
            assert part, "the browser has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._remember(message.get("method", ""), message.get("params", {}))
        return message

    def _remember(self, method: str, said: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(said["exceptionDetails"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.errors.append(said["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.errors.append(str(said["args"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a Chromium for this block, with a profile of its own."""
    program = next(found for name in NAMES if (found := shutil.which(name)))
    to_read, to_write = os.pipe(), os.pipe()

    def only_pipes() -> None:
        # Copies first: the ends may have the numbers 3 and 4 themselves.
        commands, answers = os.dup(to_read[0]), os.dup(to_write[1])
        os.dup2(commands, 3)
        os.dup2(answers, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=only_pipes,
            close_fds=False,
        )
        os.close(to_read[0])
        os.close(to_write[1])
        try:
            yield Browser(process, to_write[0], to_read[1])
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(to_write[0])
            os.close(to_read[1])
