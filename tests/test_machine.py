"""What this machine offers."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from automl.machine import (
    Moment,
    cache_folder,
    cores,
    free_memory,
    hub_answers,
    is_alive,
    private_memory,
    process_start,
    slowdown,
)
from automl.pipeline.clock import Clock


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
    asked, over = threading.Event(), threading.Event()

    def hangs(*args: object, **options: object) -> None:
        asked.set()
        over.wait(30)
        raise OSError("no such name")

    monkeypatch.setattr("socket.getaddrinfo", hangs)
    begun = time.monotonic()
    assert not hub_answers(0.3)
    assert asked.is_set() and time.monotonic() - begun < 10
    over.set()


def test_hub_that_is_switched_off_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("asked"))
    assert not hub_answers()


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert cores() == (os.cpu_count() or 1)


def test_free_memory_is_what_this_machine_has() -> None:
    assert 0 < free_memory() < 2**50


# In a process of its own: in this one, what earlier tests leave to be collected may go meanwhile.
MEMORY = """
import sys
import numpy as np
from automl.machine import private_memory, resident_memory
size = 64 << 20
resident, private = resident_memory(), private_memory()
mapped = np.memmap(sys.argv[1], dtype=np.uint8, mode="r")
assert mapped[:: 1 << 12].sum() == 0  # every page is read
assert resident_memory() - resident > 0.9 * size
assert private_memory() - private < 0.3 * size
block = np.ones(size, dtype=np.uint8)
assert private_memory() - private > 0.9 * size and len(block) == size
"""


def test_memory_of_the_process_grows_by_what_it_takes_and_mapped_files_are_not_private(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(bytes(64 << 20))
    done = subprocess.run([sys.executable, "-c", MEMORY, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_memory_of_a_fork_is_its_own() -> None:
    private_memory()
    child = os.fork()
    if child == 0:
        os._exit(0 if private_memory() > 0 else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_clock_of_the_system_that_is_set_changes_neither_deadline_nor_time_used(
    jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, deadline = Clock(60.0), Moment.now().later(60.0)
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + jump)
    assert deadline.left() == pytest.approx(60.0, abs=5.0) and not deadline.passed()
    assert clock.elapsed() == pytest.approx(0.0, abs=5.0)
    assert clock.remaining() == pytest.approx(60.0, abs=5.0)
    assert deadline.after(clock.started) == pytest.approx(60.0, abs=5.0)


def test_stages_of_the_clock_sum_up_to_the_time_used() -> None:
    clock = Clock(None, Moment.now().later(-5.0))
    for name in ("setup", "search", "setup"):
        clock.finish_stage(name)
    assert list(clock.stages) == ["setup", "search"] and clock.remaining() is None
    assert sum(clock.stages.values()) == pytest.approx(clock.elapsed(), abs=1.0)
    assert clock.stages["setup"] >= 5.0


def test_deadline_of_another_machine_is_compared_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    deadline = Moment(steady=-1e9, wall=1000.0, clock="another boot")
    monkeypatch.setattr(time, "time", lambda: 940.0)
    assert deadline.left() == pytest.approx(60.0) and not deadline.passed()
    assert deadline.later(-61.0).passed()
    assert Moment(0.0, 990.0, "a third").after(deadline) == pytest.approx(-10.0)


def test_deadline_holds_in_another_process() -> None:
    deadline = Moment.now().later(60.0)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).left())"
    # A wall time that is wrong by an hour shows which clock the other process compared.
    sent = pickle.dumps(replace(deadline, wall=deadline.wall + 3600.0))
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert 0.0 < float(done.stdout) <= 60.0


def test_process_starts_before_its_first_line_runs() -> None:
    code = "import time; time.sleep(0.3); from automl.machine import process_start; print(-process_start().left())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.3 <= float(done.stdout) < 30.0
    assert process_start().passed()


def test_process_that_seems_to_have_started_long_ago_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "clock_gettime", lambda clock: 1e9)
    assert process_start().left() == pytest.approx(0.0, abs=5.0)


def test_machine_without_other_work_is_not_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1.0 <= slowdown() < 1000.0
    start = time.thread_time()
    monkeypatch.setattr(time, "perf_counter", lambda: 3.0 * (time.thread_time() - start))
    assert slowdown() == pytest.approx(3.0, rel=0.05)  # as if two other threads shared this core


def test_process_that_was_alive_is_seen_to_have_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert is_alive(child.pid)
    child.communicate(b"\n")
    assert not is_alive(child.pid)
