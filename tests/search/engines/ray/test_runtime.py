"""What a killed process left behind is removed by the next; the folders of living ones stay."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
import weakref
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from automl.errors import EngineError
from automl.search.engines.ray import cleanup_process as ray_watcher
from automl.search.engines.ray import runtime
from automl.search.engines.ray.auth_token import FILE, MODE, TOKEN, TOKEN_FILE
from automl.search.engines.ray.runtime import (
    FOLDER,
    TUNE_FOLDER,
    RayRuntime,
    garbage_kept,
    short_place,
    sweep,
)


def test_folders_of_dead_processes_go_and_others_stay(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    names = [
        f"{FOLDER}{dead.stdout.strip()}-abc",
        f"{TUNE_FOLDER}{dead.stdout.strip()}-abc",
        f"{FOLDER}{os.getpid()}-abc",
        f"{FOLDER}old",
        "automl-other",
    ]
    for name in names:
        (tmp_path / name / "session").mkdir(parents=True)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[2:])


def test_driver_that_ends_without_a_word_is_told_of_and_cleaned_up_after(tmp_path: Path) -> None:
    folder, other = tmp_path / "session", tmp_path / "tune-1-x"
    folder.mkdir()
    other.mkdir()
    logs = folder / "r" / "session_2026-01-02" / "logs"
    logs.mkdir(parents=True)
    said = (
        f"[2026-11-25 22:28:35,193 {kind} 75 75] (raylet) agent.cc:8{kind}: of {kind}\n" for kind in "IECI"
    )
    (logs / "raylet.out").write_text("".join(said))
    command = [sys.executable, "-I", "-S", ray_watcher.__file__, str(folder), str(tmp_path / "tune-1-"), "77"]
    done = subprocess.run(command, input="", capture_output=True, text=True)
    assert done.stderr.startswith("automl: process 77 ended without a message") and not done.stdout
    assert done.stderr.endswith("; the raylet's last error: of C\n")
    assert not folder.exists() and not other.exists()


@pytest.mark.parametrize(
    ("last_lines", "told"),
    [
        ("os._exit(1)", True),
        ("command.end()", False),  # as a second Ctrl-C does
        ("session.expect_end(); command.end()", False),
    ],
)
def test_command_that_ends_by_a_signal_was_not_killed(last_lines: str, told: bool, tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from automl.interrupt import as_command
from automl.search.engines.ray.runtime import Session
command = as_command()
session = Session(Path(sys.argv[1]))
{last_lines}
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert ("ended without a message" in done.stderr) is told
    assert not list(tmp_path.iterdir())


@pytest.mark.ray
def test_matrix_products_go_on_while_ray_starts() -> None:
    # Without a limit on BLAS threads this hangs: OpenBLAS ends its threads when another thread forks.
    code = """
import faulthandler, types
import numpy as np
from automl.search import warm_up
faulthandler.dump_traceback_later(90, exit=True)
matrix = np.random.default_rng(0).random((400, 400), dtype=np.float32)
with warm_up(types.SimpleNamespace(engine="ray", address=None), cpus=1) as engine:
    rounds = 0
    while not engine._runtime._ready.is_set():
        np.linalg.eigh(matrix.T @ matrix)
        rounds += 1
print(rounds > 3)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


CLIENT = """
import sys
from ray._raylet import GcsClient
try:
    GcsClient(address=sys.argv[1]).internal_kv_keys(b"", namespace=None, timeout=5)
    print("in")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.ray
def test_ray_that_was_started_here_refuses_who_has_not_its_token() -> None:
    before = {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")}
    with RayRuntime(cpus=1) as runtime:
        runtime.wait()
        ray: Any = import_module("ray")
        address = ray.get_runtime_context().gcs_address
        (token,) = Path("/tmp").glob(f"{FOLDER}{os.getpid()}-*/{FILE}")
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
        assert {name: value for name, value in os.environ.items() if name.startswith("RAY_AUTH")} == before
        said = {
            name: subprocess.run(
                [sys.executable, "-c", CLIENT, address],
                env={**os.environ, "RAY_gcs_rpc_server_connect_timeout_s": "1", **env},
                capture_output=True,
                text=True,
            ).stdout
            for name, env in {
                "without": {MODE: "disabled"},
                "wrong": {MODE: "token", TOKEN: "0" * 64},
                "right": {MODE: "token", TOKEN_FILE: str(token)},
            }.items()
        }
    assert said.pop("right") == "in\n"
    assert all("token" in answer and answer != "in\n" for answer in said.values()), said


DRIVER = """
import signal, sys, time
from automl.search.engines.ray.runtime import RayRuntime
def stop(number, frame):
    print("in order", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
with RayRuntime(cpus=1) as runtime:
    runtime.wait()
    import ray
    assert ray.get(ray.remote(lambda: 1).remote()) == 1
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.mark.ray
def test_sigterm_to_the_whole_group_reaches_the_driver_alone_and_its_handler() -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert driver.stdout is not None
    with driver.stdout:
        assert driver.stdout.readline() == "up\n"
        raylets = ray_watcher.of_session(next(Path("/tmp").glob(f"{FOLDER}{driver.pid}-*")))
        assert raylets and all(os.getpgid(pid) != driver.pid for pid in raylets)
        os.killpg(driver.pid, signal.SIGTERM)
        assert driver.stdout.read() == "in order\n"
    assert driver.wait() == 0


class _Reference:
    """As the object references that Ray's results hold: in a cycle, so that only a collection frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_no_thread_frees_a_reference_while_ray_goes_down() -> None:
    freed: list[str] = []
    reference = _Reference()
    weakref.finalize(reference, freed.append, "freed")
    with garbage_kept():
        del reference
        gc.collect()  # as training does between two models
        assert not freed
    gc.collect()
    assert freed


LEAVES = """
import os, sys
import automl
before = list(sys.path), sys.excepthook, dict(os.environ)

def objective(config):
    yield {"loss": config["lr"]}

space = {"parameters": {"lr": {"type": "float", "low": 0.1, "high": 0.9}}}
automl.tune(objective, space, metric="loss", mode="min", max_epochs=1, n_trials=1, progress=False)
assert "ray" in sys.modules
assert sys.path == before[0], sys.path
assert sys.excepthook is before[1], sys.excepthook
assert dict(os.environ) == before[2], set(os.environ) ^ set(before[2])
print("as before")
"""


@pytest.mark.ray
def test_ray_leaves_path_hook_and_environment_of_the_caller() -> None:
    done = subprocess.run([sys.executable, "-c", LEAVES], capture_output=True, text=True)
    assert done.stdout == "as before\n", done.stderr


def test_ray_takes_a_temporary_folder_that_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that root cannot write is on a disk that is mounted read-only: the system's answer stands in for it."""
    real, only_read = os.access, {"/tmp"}
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) not in only_read and real(path, mode))
    monkeypatch.setattr(runtime, "OTHER_PLACES", ())
    monkeypatch.setattr("tempfile.tempdir", "/var/tmp")
    assert str(short_place()) == "/var/tmp"
    only_read.add("/var/tmp")
    with pytest.raises(
        EngineError, match="the temporary folder is '/var/tmp': set TMPDIR, or use --engine local"
    ):
        short_place()
