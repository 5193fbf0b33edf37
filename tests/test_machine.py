"""What this machine offers."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from automl.machine import cache_folder, free_memory, private_memory, resident_memory, usable_cores


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


def test_free_memory_is_what_this_machine_has() -> None:
    assert 0 < free_memory() < 2**50


def test_memory_of_the_process_grows_by_what_it_takes_and_mapped_files_are_not_private(
    tmp_path: Path,
) -> None:
    size = 64 << 20
    file = tmp_path / "mapped"
    file.write_bytes(bytes(size))
    resident, private = resident_memory(), private_memory()
    mapped = np.memmap(file, dtype=np.uint8, mode="r")
    assert mapped[:: 1 << 12].sum() == 0  # every page is read
    assert resident_memory() - resident > 0.9 * size
    assert private_memory() - private < 0.3 * size
    block = np.ones(size, dtype=np.uint8)
    assert private_memory() - private > 0.9 * size and len(block) == size


def test_memory_of_a_fork_is_its_own() -> None:
    private_memory()
    child = os.fork()
    if child == 0:
        os._exit(0 if private_memory() > 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
