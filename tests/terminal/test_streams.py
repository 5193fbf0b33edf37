"""Streams of a command that are closed, full or not UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from automl.terminal.streams import takes_symbols

ROOT = Path(__file__).resolve().parents[2]


def automl(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `automl` is this package's command."""
    line = f'automl() {{ {sys.executable} -m automl "$@"; }}; {command}'
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, cwd=cwd, env=variables, timeout=60, check=False
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_table_is_printed_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    done = automl("automl spaces", tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("────" if encoding == "utf-8" else "----") in done.stdout


def test_json_in_another_encoding_is_json(tmp_path: Path) -> None:
    space = tmp_path / "ü.yaml"
    space.write_text(
        "description: größer\nparameters: {lr: {type: float, low: 0.1, high: 1.0}}\n", encoding="utf-8"
    )
    done = automl("automl spaces ü.yaml --json", tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="1")
    assert json.loads(done.stdout)["description"] == "größer", done.stderr


@pytest.mark.parametrize("command", ["spaces", "spaces --json", "--help"])
def test_closed_stdout_is_an_error_in_one_sentence(tmp_path: Path, command: str) -> None:
    done = automl(f"automl {command} >&-", tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "automl: the output cannot be written: Bad file descriptor\n",
    )


def test_closed_stderr_is_like_the_null_device(tmp_path: Path) -> None:
    assert automl("automl spaces --json >&- 2>&-", tmp_path).returncode == 1
    assert automl("automl spaces 2>&-", tmp_path).returncode == 0
    done = automl("automl show nothing 2>&-", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_file_that_is_opened_later_does_not_become_stdout(tmp_path: Path) -> None:
    code = (
        "from automl.terminal.streams import prepare_streams; prepare_streams(); import os; "
        "f = open('kept', 'w'); os.write(1, b'noise'); f.write('text')"
    )
    line = f'{sys.executable} -c "{code}" >&- 2>&- <&-'
    subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
    assert (tmp_path / "kept").read_text() == "text"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("command", ["spaces", "spaces --json", "--help", "list"])
def test_full_disk_is_one_sentence(tmp_path: Path, command: str) -> None:
    done = automl(f"automl {command} >/dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "automl: the output cannot be written: No space left on device\n"


def test_current_folder_that_was_removed_is_one_sentence(tmp_path: Path) -> None:
    for command in ("list", "fit digits --n-trials 1", "inspect digits", "doctor"):
        done = automl(f"mkdir gone; cd gone; rmdir ../gone; automl {command}", tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), command
        assert done.stderr == "automl: the current folder does not exist any more: go to another one first\n"


def test_symbols_need_an_encoding_that_has_them() -> None:
    assert takes_symbols("utf-8") and takes_symbols("UTF8")
    assert not any(map(takes_symbols, ("ascii", "latin-1", None, "no such encoding")))
