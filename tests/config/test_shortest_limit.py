"""What cannot fit is said before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from automl.config import StudyConfig, shortest_limit
from automl.config.shortest_limit import LOADING_S, SPARE, WORKING_S, check_time_limit
from automl.errors import TimeLimitError
from automl.machine import Moment


def config_of(limit: float | None) -> StudyConfig:
    return StudyConfig(data="digits", time_limit=limit, n_trials=1)


@pytest.fixture(autouse=True)
def no_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without the study of the demo: a finished study is refused no time."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def loads_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a command that has loaded no library."""
    monkeypatch.delitem(sys.modules, "timm", raising=False)


@pytest.mark.parametrize("slower", [1.0, 4.0])
def test_shortest_limit_grows_with_what_other_programs_take(
    slower: float, loads_everything: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortest_limit, "slowdown", lambda: slower)
    monkeypatch.setattr(shortest_limit, "process_time", lambda: 0.0)  # this process has only waited
    needed = SPARE * slower * (LOADING_S + WORKING_S)
    started = Moment.now().later(-0.1)
    check_time_limit(config_of(needed + 1.0), started)
    check_time_limit(config_of(None), Moment.now())
    with pytest.raises(TimeLimitError, match="--time-limit must be at least") as caught:
        check_time_limit(config_of(needed - 1.0), started)
    assert ("slow down 4 times" in str(caught.value)) == (slower == 4.0)


def test_limit_that_the_message_names_is_accepted(
    loads_everything: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortest_limit, "slowdown", lambda: 3.3)
    monkeypatch.setattr(shortest_limit, "process_time", lambda: 0.0)
    with pytest.raises(TimeLimitError, match="must be at least") as caught:
        check_time_limit(config_of(5.0), Moment.now().later(-0.1))
    named = str(caught.value).split("must be at least ")[1].split()[0]
    check_time_limit(StudyConfig(data="digits", time_limit=named), Moment.now().later(-0.1))


def test_time_that_was_used_before_counts(loads_everything: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortest_limit, "slowdown", lambda: 1.0)
    check_time_limit(config_of(30.0), Moment.now())
    with pytest.raises(TimeLimitError, match="must be at least 52s"):
        check_time_limit(config_of(30.0), Moment.now().later(-25.0))


@pytest.mark.parametrize("command", ["fit", "resume"])
def test_command_refuses_without_loading_torch(tmp_path: Path, command: str) -> None:
    if command == "resume":
        (tmp_path / "studies" / "digits").mkdir(parents=True)
        (tmp_path / "studies" / "digits" / "study.yaml").write_text("data: digits\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    code = (
        f"import sys; from automl.cli import main; code = main([{command!r}, 'digits', '--time-limit', '2s']); "
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "2 False\n" and "--time-limit must be at least" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_burst_of_other_work_refuses_nothing(loads_everything: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortest_limit, "slowdown", lambda: 20.0)
    monkeypatch.setattr(shortest_limit, "process_time", lambda: 0.4)
    check_time_limit(config_of(30.0), Moment.now().later(-0.5))  # so far nothing delayed it
    with pytest.raises(TimeLimitError, match="slow down 4 times"):
        check_time_limit(config_of(30.0), Moment.now().later(-1.6))


def test_finished_study_is_not_refused_before_it_is_looked_at(tmp_path: Path) -> None:
    config = StudyConfig(data="digits", time_limit=0.5, n_trials=1, directory=tmp_path)
    with pytest.raises(TimeLimitError):
        check_time_limit(config, Moment.now())
    config.study_dir.mkdir()
    (config.study_dir / "result.json").write_text("{}")
    check_time_limit(config, Moment.now())


def test_limit_that_the_message_names_is_accepted_on_a_machine_that_is_a_little_busier(
    loads_everything: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortest_limit, "process_time", lambda: 0.0)
    monkeypatch.setattr(shortest_limit, "slowdown", lambda: 2.0)
    with pytest.raises(TimeLimitError, match="must be at least") as caught:
        check_time_limit(config_of(5.0), Moment.now().later(-1.0))
    named = str(caught.value).split("must be at least ")[1].split()[0]
    monkeypatch.setattr(shortest_limit, "slowdown", lambda: 2.8)
    check_time_limit(StudyConfig(data="digits", time_limit=named), Moment.now().later(-1.4))


WATCHED = """
import time
from automl.config import StudyConfig
from automl.config.shortest_limit import start_is_over, watch_start
from automl.interrupt import as_command
from automl.machine import Moment
as_command().before_exit.append(lambda: print("cleaned up", flush=True))
watch_start(StudyConfig(data="digits", time_limit=10, n_trials=1), Moment.now().later(-1.8))
{over}
time.sleep({seconds})
print("went on", flush=True)
"""


@pytest.mark.parametrize("is_over", [False, True])
def test_limit_that_a_slow_start_uses_up_is_refused_before_it_is_over(
    tmp_path: Path, *, is_over: bool
) -> None:
    """The process waits here, as for a library on a slow disk."""
    code = WATCHED.format(over="start_is_over()" if is_over else "", seconds=1.5 if is_over else 60)
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    if is_over:
        assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")
        return
    assert (done.returncode, done.stdout) == (2, "cleaned up\n") and time.monotonic() - begun < 10.0
    assert done.stderr.startswith("automl: --time-limit must be at least ") and done.stderr.count("\n") == 1
