"""The end of a command: nothing is lost, and nothing takes time after the result."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from automl.cli import entry
from automl.search.engines.ray import runtime
from tests.photos import write_classes

ROOT = Path(__file__).resolve().parents[2]
STOPPED = "automl: stopped; resume with `automl resume digits --directory {}`"
START = "import atexit, sys, threading, time; from automl.cli.entry import leave; print('result'); "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, timeout=60)


def test_output_and_exit_code_are_kept_and_handlers_run() -> None:
    done = run("sys.modules['torch'] = None; atexit.register(print, 'handled'); leave(3)")
    assert (done.stdout, done.returncode) == ("result\nhandled\n", 3)


def test_command_that_loaded_no_torch_ends_as_python_does() -> None:
    done = run("sys.exit(leave(2))")
    assert (done.stdout, done.returncode) == ("result\n", 2)


@pytest.mark.ray
@pytest.mark.study
@pytest.mark.parametrize("pause", [0.3, 2.5])
def test_ctrl_c_in_set_up_is_one_line_and_leaves_nothing(tmp_path: Path, pause: float) -> None:
    options = ["--n-trials", "9", "--epochs", "9", "--space", "smoke", "--pretrained", "never"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AUTOML_TEST": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "automl", "fit", "digits", *options, "--directory", str(tmp_path / "studies")],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A shell starts what runs in its background with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None and "scan: " in process.stdout.readline()
    time.sleep(pause)  # Ray starts in another thread
    os.killpg(process.pid, signal.SIGINT)
    begun = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - begun < 10
    assert process.returncode == 130
    assert err.strip() in ("automl: stopped", STOPPED.format(tmp_path / "studies")), err
    until = time.monotonic() + 20
    while (left := with_mark(str(tmp_path))) and time.monotonic() < until:
        time.sleep(0.2)
    assert left == []


@pytest.mark.study
def test_terminal_that_closes_ends_the_search_and_the_model_is_delivered(tmp_path: Path) -> None:
    write_classes(tmp_path / "data", (15, 15))
    search = [
        "--n-trials",
        "500",
        "--epochs",
        "2",
        "--space",
        "smoke",
        "--pretrained",
        "never",
        "--img-size",
        "32",
    ]
    options = ["--engine", "local", "--directory", str(tmp_path / "studies")]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "automl", "fit", str(tmp_path / "data"), *search, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_as_in_a_terminal,
    )
    os.close(theirs)
    try:
        said = b""
        while b"best val accuracy" not in said:
            said += os.read(ours, 10_000)
        os.close(ours)  # the window is closed: the system sends SIGHUP, and nothing can be printed any more
        process.wait(120)
    finally:
        process.kill()
    study = tmp_path / "studies" / "data"
    result = json.loads((study / "result.json").read_text())
    assert result["stopped"] == "search" and result["trials"]["total"] < 500
    assert (study / "model" / "model.safetensors").is_file()


def _as_in_a_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # where the tests run under nohup
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def with_mark(mark: str) -> list[str]:
    """The commands of living processes that have the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"AUTOML_TEST={mark}".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return [command for command in found if command]


def test_ray_that_is_still_starting_is_not_waited_for() -> None:
    assert entry.RAY_THREAD == runtime.RAY_THREAD
    done = run(
        "sys.modules['torch'] = None; "
        f"t = threading.Thread(target=time.sleep, args=(60,), name={entry.RAY_THREAD!r}, daemon=True); t.start(); "
        "atexit.register(t.join); leave(0)"
    )
    assert (done.stdout, done.returncode) == ("result\n", 0)
