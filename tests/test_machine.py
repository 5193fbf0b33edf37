"""What this machine offers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from automl.machine import cache_folder, usable_cores


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert usable_cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert usable_cores() == (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"AUTOML_CACHE_DIR": "/a"}, Path("/a")),
        ({"AUTOML_CACHE_DIR": "", "XDG_CACHE_HOME": "/b"}, Path("/b/automl")),
        ({"AUTOML_CACHE_DIR": "", "XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "automl"),
    ],
)
def test_cache_folder_follows_the_environment(
    variables: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == folder
