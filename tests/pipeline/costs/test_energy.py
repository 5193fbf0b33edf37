"""Energy is measured beside a study, and never in its way."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from automl.pipeline.costs import energy
from automl.pipeline.costs.energy import CodecarbonMeter, metering
from tests.waiting import until

needs_codecarbon = pytest.mark.skipif(
    importlib.util.find_spec("codecarbon") is None,
    reason="codecarbon is not installed (pip install 'automl[codecarbon]')",
)


def test_without_codecarbon_it_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with metering(None) as meter:
        assert meter.energy_kwh() is None
        assert meter.how == "not measured: codecarbon is not installed (pip install 'automl[codecarbon]')"


def test_short_study_is_not_measured() -> None:
    with metering(energy.LEAST_S - 1) as meter:
        assert meter.energy_kwh() is None and "time limit is below" in meter.how


def _talking(text: str, *, hangs: bool = False) -> subprocess.Popen[str]:
    """A process that says this, and ends with its stdin unless it hangs."""
    end = "import time; time.sleep(600)" if hangs else "sys.stdin.read()"
    code = f"import sys; print({text!r}, flush=True); {end}"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_last_number_counts_and_other_lines_do_not() -> None:
    lines = '{"kwh": 1, "how": "a"}\nnoise\n{"kwh": "x"}\n{"kwh": 2.5, "how": "b"}\n[1]'
    meter = CodecarbonMeter(_talking(lines))
    until(lambda: meter.energy_kwh() == 2.5)
    meter.close()
    assert (meter.energy_kwh(), meter.how) == (2.5, "b")


def test_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "END_S", 0.2)
    process = _talking('{"kwh": 1, "how": "a"}', hangs=True)
    meter = CodecarbonMeter(process)
    until(lambda: meter.energy_kwh() == 1)
    meter.close()
    assert process.poll() == -signal.SIGKILL and meter.energy_kwh() == 1


def test_process_that_cannot_start_costs_the_number_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with metering(None) as meter:
        assert (meter.energy_kwh(), meter.how) == (None, energy.NO_NUMBER)


@needs_codecarbon
def test_codecarbon_measures_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # whatever asks the network fails
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(energy, "END_S", 60.0)  # on a busy machine it may only just have begun
    with metering(energy.LEAST_S) as meter:
        assert isinstance(meter, CodecarbonMeter)
        process = meter._process
    assert process.poll() == 0
    kwh = meter.energy_kwh()
    assert kwh is not None and 0.0 <= kwh < 1.0
    assert meter.how.startswith("codecarbon ") and "memory estimated" in meter.how
    assert list(tmp_path.iterdir()) == []


@needs_codecarbon
def test_study_without_a_limit_that_ends_early_is_not_measured() -> None:
    with metering(None) as meter:
        assert isinstance(meter, CodecarbonMeter)
        process = meter._process
    assert process.poll() is not None, "it did not even begin"
    assert (meter.energy_kwh(), meter.how) == (None, energy.NO_NUMBER)


@needs_codecarbon
def test_measuring_ends_with_the_study_that_was_killed() -> None:
    code = (
        "import time\nfrom automl.pipeline.costs.energy import metering\n"
        "with metering(600) as meter:\n    print(meter._process.pid, flush=True)\n    time.sleep(600)"
    )
    study = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert study.stdout is not None
    pid = int(study.stdout.readline())
    study.kill()
    study.wait()
    study.stdout.close()
    until(lambda: not _lives(pid), limit=120)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
