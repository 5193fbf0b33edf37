"""`automl doctor` on this machine."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from automl.cli import doctor_checks as checkup
from automl.cli import main


@pytest.mark.slow
def test_doctor_finds_this_machine_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--directory", str(tmp_path / "studies"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    levels = {check["name"]: check["level"] for check in document["checks"]}
    assert document["ok"]
    assert {"python", "torch", "torch pair", "GPU", "cores", "memory", "weights", "studies"} <= set(levels)
    assert "bad" not in levels.values()
    assert list(tmp_path.iterdir()) == [], "looking must not make the folder"


def test_folder_that_cannot_be_written_is_bad(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    check = checkup._folder("studies", tmp_path / "file" / "studies")
    assert (check.level, check.text) == ("bad", f"{tmp_path / 'file' / 'studies'} cannot be written")
    assert checkup._folder("studies", tmp_path / "a" / "b").level == "ok"


def test_cache_is_shown_with_its_size_and_place(tmp_path: Path) -> None:
    def told() -> str:
        return checkup._with_content(checkup._folder("cache", tmp_path), tmp_path).text

    assert told().startswith(f"{tmp_path} can be written")
    assert told().endswith("no decoded images in it")
    (tmp_path / ("a" * 32)).mkdir()
    (tmp_path / ("a" * 32) / "images.npy").write_bytes(bytes(2048))
    assert told().endswith("1 set of decoded images uses 2K")


def test_missing_package_is_bad_and_missing_extra_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_version", lambda name: "" if name in ("timm", "pymysql") else "1.0")
    found = {check.name: check for check in checkup._packages()}
    assert (found["timm"].level, found["pymysql"].level, found["torch"].level) == ("bad", "note", "ok")
    assert found["timm"].text == "missing; run `pip install timm`"


def test_check_that_breaks_is_a_finding() -> None:
    def _a_subject() -> checkup.Check:
        raise OSError("no")

    assert checkup._guarded(_a_subject) == checkup.Check("a subject", "bad", "OSError: no")


def test_hub_is_asked_unless_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.match(
        r"weights of 0 of \d+ architectures are cached, HF_HUB_OFFLINE switches the hub off",
        checkup._hub().text,
    )
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("HF_ENDPOINT", address)
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = checkup._hub()
        thread.join()
    assert found.level == "ok" and found.text.endswith(f"are cached, {address} can be reached")
    gone = checkup._hub()
    assert gone.level == "note"
    assert gone.text.endswith(
        "cannot be reached: models start from scratch, or from a folder (--pretrained DIR)"
    )


def test_password_in_the_address_of_the_hub_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://ann:hidden@127.0.0.1:1")
    assert "http://ann:***@127.0.0.1:1 cannot be reached" in checkup._hub().text
