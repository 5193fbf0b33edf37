"""Worker processes that cannot start end the search with their error, and code beside the user does not run in them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import automl
from automl.search.engines.ray.failed_starts import ENOUGH, cause_of_failed_starts

START_S = 40.0  # that Python and Ray take before a worker is asked for, on a busy machine
ROOT = Path(automl.__file__).parents[1]
CHAIN = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
ImportError: not the real one

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
ImportError: some dependencies are missing
"""
SCRIPT = """
import automl

def objective(config):
    yield {"score": config["x"]}

space = automl.SearchSpace.from_dict({"parameters": {"x": {"type": "float", "low": 0, "high": 1}}})
print(automl.tune(objective, space, metric="score", max_epochs=1, n_trials=2, parallel=1).best_value)
"""
# Runs in workers only; elsewhere it is numpy.
BROKEN = """
import pathlib, sys
here = str(pathlib.Path(__file__).parent)
if "default_worker" in sys.argv[0] or sys.argv[0].startswith("ray::"):
    raise ImportError("not the real one")
sys.path.remove(here)
del sys.modules[__name__]
import numpy
sys.path.insert(0, here)
"""


def _logs(folder: Path, pids: list[int], text: str) -> None:
    logs = folder / "r" / "session_2026" / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for number, pid in enumerate(pids):
        (logs / f"worker-{number:03d}-01000000-{pid}.err").write_text(text, encoding="utf-8")


def _ended(count: int) -> list[int]:
    code = "import os; print(os.getpid())"
    return [int(subprocess.check_output([sys.executable, "-c", code])) for _ in range(count)]


def test_cause_is_the_first_error_of_several_workers_that_ended(tmp_path: Path) -> None:
    _logs(tmp_path, _ended(ENOUGH), CHAIN)
    assert cause_of_failed_starts(tmp_path) == "ImportError: not the real one"
    _logs(tmp_path / "loading", _ended(ENOUGH), f":job_id:01000000\n:actor_name:TemporaryActor\n{CHAIN}")
    assert cause_of_failed_starts(tmp_path / "loading") == "ImportError: not the real one"


def test_living_workers_single_ones_and_those_without_an_error_are_no_failed_starts(tmp_path: Path) -> None:
    ended = _ended(ENOUGH)
    _logs(tmp_path / "one", ended[:1], CHAIN)
    _logs(tmp_path / "living", [os.getpid()] * ENOUGH, CHAIN)
    _logs(tmp_path / "quiet", ended, "a warning\n")
    _logs(tmp_path / "ran", ended, f":job_id:01000000\n:actor_name:RayTrial\n{CHAIN}")
    _logs(
        tmp_path / "not needed",
        ended,
        ":job_id:01000000\nTraceback (most recent call last):\nSystemExit: 1\n",
    )
    for name in ("one", "living", "quiet", "ran", "not needed", "nowhere"):
        assert cause_of_failed_starts(tmp_path / name) is None


def _run(folder: Path, script: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.ray
def test_search_ends_when_no_worker_can_start(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text(BROKEN, encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    begun = time.monotonic()
    done = _run(tmp_path, script)  # Python imports from the folder of a script, so workers do, too
    assert time.monotonic() - begun < 60 + START_S
    assert (
        "EngineError: Ray's worker processes cannot start on this machine: ImportError: not the"
        in done.stderr
    )


@pytest.mark.ray
def test_code_in_the_current_folder_does_not_run_in_workers(tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    (here / "numpy.py").write_text("raise ImportError('not the real one')", encoding="utf-8")
    script = elsewhere / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = _run(here, script)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0.0 <= float(done.stdout) <= 1.0
