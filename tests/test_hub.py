"""Whether the Hugging Face hub is asked, and where."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from automl.hub import hub_address, hub_answers, hub_is_off


def test_hub_whose_name_is_looked_up_for_ever_costs_the_time_that_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    asked = threading.Event()

    def hangs(*args: object, **options: object) -> None:
        asked.set()
        time.sleep(3)
        raise OSError("no such name")

    monkeypatch.setattr("socket.getaddrinfo", hangs)
    begun = time.monotonic()
    assert not hub_answers(0.3)
    assert asked.is_set() and time.monotonic() - begun < 2.5


def test_hub_that_is_switched_off_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("asked"))
    assert not hub_answers()


def test_address_is_the_one_that_the_library_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://mirror.example")
    assert hub_address() == "https://mirror.example"
    monkeypatch.delitem(sys.modules, "huggingface_hub.constants")
    monkeypatch.setenv("HF_ENDPOINT", "https://other.example")
    assert hub_address() == "https://other.example"
    monkeypatch.delenv("HF_ENDPOINT")
    assert hub_address() == "https://huggingface.co"


@pytest.mark.parametrize(("value", "off"), [("1", True), ("0", False), ("", False), ("yes", True)])
def test_variable_switches_the_hub_off(value: str, off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "huggingface_hub.constants", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert hub_is_off() is off


def test_asking_does_not_import_the_library_whose_settings_may_still_change() -> None:
    code = "import sys, automl.hub as h; h.hub_answers(0.1); print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
