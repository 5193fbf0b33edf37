"""Ctrl-C, SIGTERM and SIGHUP at any moment: one line, and nothing that hangs."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from automl import interrupt
from automl.interrupt import SIGNALS, orderly_interrupts, stop_on_interrupt

ROOT = Path(__file__).resolve().parents[1]
SLOW = """import time
print('importing', flush=True)
_end = time.monotonic() + {seconds}
while time.monotonic() < _end:
    time.sleep(0.01)
"""


# A shell starts what runs in its background with Ctrl-C ignored, and `nohup` ignores SIGHUP.
NOT_IGNORED = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
)


def start(code: str, folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    return subprocess.Popen(
        [sys.executable, "-c", NOT_IGNORED + code],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )


def interrupted(code: str, folder: Path, *, at: str, more: float = 0.1) -> tuple[int, str, str, float]:
    """Run code, and interrupt it when it has printed a line. Return exit code, output and seconds until its end."""
    process = start(code, folder)
    assert process.stdout is not None
    while at not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(more)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    return process.returncode, out, err, time.monotonic() - begun


def test_command_that_has_begun_nothing_ends_at_once_in_an_import(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW.format(seconds=20))
    code, _, err, seconds = interrupted(
        "from automl.interrupt import as_command; as_command(); import slow", tmp_path, at="importing"
    )
    assert (code, err) == (130, "\nautoml: stopped\n")
    assert seconds < 5


def test_ctrl_c_in_an_import_comes_after_it_and_leaves_no_lock(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW.format(seconds=1))
    code = (
        "from automl.interrupt import orderly_interrupts\n"
        "import sys, threading\n"
        "try:\n"
        "    with orderly_interrupts():\n"
        "        import slow\n"
        "        while True: pass\n"
        "except KeyboardInterrupt:\n"
        "    found = []\n"
        "    other = threading.Thread(target=lambda: found.append(__import__('slow')), daemon=True)\n"
        "    other.start(); other.join(5)\n"
        "    print('whole', bool(found) and hasattr(found[0], '_end'))\n"
    )
    status, out, err, _ = interrupted(code, tmp_path, at="importing", more=0.3)
    assert (status, out, err) == (0, "whole True\n", "")


def test_import_that_does_not_end_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW.format(seconds=30))
    code = (
        "import automl.interrupt as i; i.LONGEST_IMPORT = 0.5\nwith i.orderly_interrupts():\n    import slow"
    )
    status, _, err, seconds = interrupted(code, tmp_path, at="importing")
    assert status != 0 and "KeyboardInterrupt" in err
    assert seconds < 10


def test_command_that_hangs_after_ctrl_c_is_ended(tmp_path: Path) -> None:
    code = (
        "import automl.interrupt as i, time\n"
        "command = i.as_command(); command.last_words = lambda: 'stopped; resume it'; command.patience = 0.5\n"
        "command.before_exit.append(lambda: print('told', flush=True))\n"
        "with i.orderly_interrupts():\n"
        "    try:\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        time.sleep(60)\n"
    )
    status, out, err, seconds = interrupted(code, tmp_path, at="ready")
    assert (status, out, err) == (130, "told\n", "\nautoml: stopped; resume it\n")
    assert seconds < 10


def test_ignored_ctrl_c_stays_ignored(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from automl.interrupt import as_command, orderly_interrupts; as_command()\n"
        "with orderly_interrupts():\n"
        "    import time; print('ready', flush=True); time.sleep(1)\n"
        "print('done')\n"
    )
    status, out, err, _ = interrupted(code, tmp_path, at="ready")
    assert (status, out, err) == (0, "done\n", "")


def test_handlers_are_as_before_afterwards_and_untouched_in_other_threads() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in SIGNALS]

    before, seen = handlers(), []
    with orderly_interrupts():
        assert handlers() != before
        with stop_on_interrupt(lambda: None):
            pass
    assert handlers() == before

    def elsewhere() -> None:
        with orderly_interrupts(), stop_on_interrupt(lambda: None):
            seen.append(handlers())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_first_signal_asks_and_the_second_interrupts(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt, "ECHO", 0.0)
    asked: list[bool] = []
    with (
        pytest.raises(KeyboardInterrupt),
        orderly_interrupts(),
        stop_on_interrupt(lambda: asked.append(True)),
    ):
        signal.raise_signal(number)
        assert asked == [True]
        signal.raise_signal(number)
    assert asked == [True]


def test_terminal_that_closes_is_told_twice_and_counts_once() -> None:
    """The shell passes on a SIGHUP that the system sends, too."""
    asked: list[bool] = []
    with orderly_interrupts(), stop_on_interrupt(lambda: asked.append(True)):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert asked == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ignored_signal_stops_no_search(number: signal.Signals) -> None:
    """`nohup` ignores SIGHUP, and a shell ignores Ctrl-C for what runs in its background."""
    asked: list[bool] = []
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with orderly_interrupts(), stop_on_interrupt(lambda: asked.append(True)):
            signal.raise_signal(number)
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(number)
        assert (asked, signal.getsignal(number)) == ([True], signal.SIG_IGN)
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_second_signal_ends_a_command_that_cleans_up_with_one_line(tmp_path: Path, second: int) -> None:
    code = (
        "import automl.interrupt as i, time\n"
        "command = i.as_command(); command.last_words = lambda: 'stopped; resume it'; command.patience = 50.0\n"
        "with i.orderly_interrupts():\n"
        "    try:\n"
        "        print('ready', flush=True); time.sleep(60)\n"
        "    finally:\n"
        "        print('cleaning', flush=True); time.sleep(60)\n"
    )
    process = start(code, tmp_path)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP if second != signal.SIGHUP else signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(second)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "\nautoml: stopped; resume it\n")


def test_ctrl_c_while_an_object_is_removed_is_not_lost(tmp_path: Path) -> None:
    """Python prints what is raised there, and goes on."""
    code = (
        "import automl.interrupt as i, os, signal, time\n"
        "class Closing:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT); time.sleep(0.01); print('not reached', flush=True)\n"
        "command = i.as_command()\n"
        "with i.orderly_interrupts():\n"
        "    try:\n"
        "        Closing(); print('removed', flush=True); time.sleep(20)\n"
        "    except KeyboardInterrupt:\n"
        "        print('in order', flush=True)\n"
    )
    process = start(code, tmp_path)
    try:
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "removed\nin order\n", "")


def test_no_thread_is_waited_for_without_a_limit() -> None:
    package = ROOT / "automl"
    found = [
        f"{file.relative_to(package).as_posix()}: {ast.unparse(node)}"
        for file in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join"
        if not node.args and not node.keywords
    ]
    assert found == ["final/distributed_retrain.py: trainer.join()"]  # which is no thread


# Sends Ctrl-C when the module that argv names is imported.
CTRL_C_AT_IMPORT = """import _signal, os, sys
_signal.signal(_signal.SIGINT, _signal.default_int_handler)
for name in ("signal", sys.argv[1]):
    sys.modules.pop(name, None)
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            print(f"importing {name}", flush=True)
            os.kill(os.getpid(), _signal.SIGINT)
sys.meta_path.insert(0, CtrlC())
"""


def test_nothing_is_imported_before_the_first_line_of_a_command() -> None:
    """Until then Ctrl-C prints a traceback."""
    code = (
        "import sys; before = set(sys.modules); import automl.cli; print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["__future__", "automl", "automl._version", "automl.cli"]


@pytest.mark.parametrize("module", ["enum", "automl.interrupt", "threading", "automl.cli.entry", "click"])
def test_ctrl_c_in_the_first_imports_of_a_command_prints_no_traceback(module: str) -> None:
    code = f"{CTRL_C_AT_IMPORT}from automl.cli import main\nsys.exit(main())"
    run = subprocess.run([sys.executable, "-c", code, module], capture_output=True, text=True)
    assert run.stdout == f"importing {module}\n"
    assert run.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in run.stderr
