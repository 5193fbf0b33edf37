"""The end of a command: nothing is lost, and nothing takes time after the result."""

from __future__ import annotations

import subprocess
import sys

from automl.cli import entry
from automl.search.engines.ray import runtime

START = "import atexit, sys, threading, time; from automl.cli.entry import leave; print('result'); "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, timeout=60)


def test_output_and_exit_code_are_kept_and_handlers_run() -> None:
    done = run("sys.modules['torch'] = None; atexit.register(print, 'handled'); leave(3)")
    assert (done.stdout, done.returncode) == ("result\nhandled\n", 3)


def test_command_that_loaded_no_torch_ends_as_python_does() -> None:
    done = run("sys.exit(leave(2))")
    assert (done.stdout, done.returncode) == ("result\n", 2)


def test_ray_that_is_still_starting_is_not_waited_for() -> None:
    assert entry.RAY_THREAD == runtime.RAY_THREAD
    done = run(
        "sys.modules['torch'] = None; "
        f"t = threading.Thread(target=time.sleep, args=(60,), name={entry.RAY_THREAD!r}, daemon=True); t.start(); "
        "atexit.register(t.join); leave(0)"
    )
    assert (done.stdout, done.returncode) == ("result\n", 0)
