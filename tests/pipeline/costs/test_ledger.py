"""The costs of a study count all its commands, also those that were killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from automl.pipeline.clock import Clock
from automl.pipeline.costs import ledger as module
from automl.pipeline.costs.energy import NoMeter
from automl.pipeline.costs.ledger import COSTS_FILE, Costs, Ledger, costs_of_result, read_runs
from tests.waiting import until


class Watch(Clock):
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        super().__init__(None)
        self.now = 0.0

    def elapsed(self) -> float:
        return self.now


class Known(NoMeter):
    """A meter with a number."""

    def __init__(self, kwh: float | None, how: str = "measured") -> None:
        super().__init__(how)
        self.kwh = kwh

    def energy_kwh(self) -> float | None:
        return self.kwh


def command(root: Path, *, seconds: float, kwh: float | None = None, killed: bool = False) -> Ledger:
    """A command that searches with four cores and two workers for all its seconds but two."""
    watch = Watch()
    ledger = Ledger(root, watch)
    watch.now = 2.0
    ledger.holds(4, workers=2)
    watch.now = seconds
    with ledger.keeping(Known(kwh)):
        if killed:
            return ledger  # the file is as its thread wrote it at the beginning
        ledger.settle(seconds)
        watch.now += 100.0  # what comes after the result does not count
    return ledger


def test_stages_count_with_the_cores_that_they_hold(tmp_path: Path) -> None:
    ledger = command(tmp_path, seconds=12.0)
    assert ledger.own() == Costs(12.0, 40.0, 20.0)
    assert ledger.before == Costs()
    measured = Ledger(tmp_path / "other", Watch())
    measured.holds(1, workers=3)
    measured.worked(7.5)
    assert measured.own().worker_s == 7.5


def test_killed_commands_count_after_a_resume(tmp_path: Path) -> None:
    command(tmp_path, seconds=12.0, killed=True)
    again = command(tmp_path, seconds=7.0)
    assert again.before == Costs(12.0, 40.0, 20.0)
    assert again.entry()["seconds"] == 19.0
    assert again.entry()["core_hours"] == pytest.approx(60.0 / 3600, abs=1e-4)


def test_costs_are_written_while_a_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    watch = Watch()
    ledger = Ledger(tmp_path, watch)
    with ledger.keeping():
        watch.now = 42.0
        until(lambda: [run["seconds"] for run in read_runs(tmp_path / COSTS_FILE)] == [42.0])


def test_energy_says_which_commands_were_measured(tmp_path: Path) -> None:
    first = command(tmp_path, seconds=5.0)
    assert first.entry()["energy_kwh"] is None and first.entry()["energy_how"] == "measured"
    second = command(tmp_path, seconds=5.0, kwh=0.25)
    assert second.entry()["energy_kwh"] == 0.25
    assert second.entry()["energy_how"] == "measured; 1 of 2 commands were measured"
    third = command(tmp_path, seconds=5.0)
    assert third.entry()["energy_how"] == "codecarbon; 1 of 3 commands were measured"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"runs": 3}', '{"runs": [3]}', '{"runs": [{"seconds": "x"}]}']
)
def test_damaged_ledger_costs_its_entries_and_not_the_study(content: str, tmp_path: Path) -> None:
    (tmp_path / COSTS_FILE).write_text(content, encoding="utf-8")
    assert command(tmp_path, seconds=5.0).before == Costs()
    assert [run["seconds"] for run in json.loads((tmp_path / COSTS_FILE).read_text())["runs"]] == [5.0]


def test_ledger_that_cannot_be_written_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="automl"):
        command(tmp_path / "gone", seconds=5.0)
    assert "the costs of the study could not be written" in caplog.text


def test_result_without_a_ledger_gives_the_first_entry(tmp_path: Path) -> None:
    result: dict[str, Any] = {"time": {"used_s": 60.0, "all_runs_s": 90.0}, "work": {"worker_s": 120.0}}
    before = costs_of_result(result, {"parallel": 2, "threads_per_trial": 3})
    assert before == Costs(90.0, 360.0, 120.0)
    ledger = Ledger(tmp_path, Watch(), before=before)
    ledger.settle(10.0)
    assert ledger.entry()["seconds"] == 100.0
    later = Ledger(tmp_path, Watch(), before=before)
    assert later.before.seconds == 100.0, "the result is not counted again"
    assert costs_of_result({"time": {"used_s": 5.0, "search_s": 2.0}}, None) == Costs(5.0, 2.0, 2.0)
    assert costs_of_result(None, None) is None
