"""What this machine offers."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from automl.machine import cache_folder, hub_answers


def test_cache_folder_is_the_one_of_the_environment_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", "/data/cache")
    assert cache_folder() == Path("/data/cache")
    monkeypatch.delenv("AUTOML_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/me/.cache")
    assert cache_folder() == Path("/home/me/.cache/automl")


def test_hub_whose_name_is_looked_up_for_ever_costs_the_time_that_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
