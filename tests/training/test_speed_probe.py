"""Which precision a study trains in: measured once, remembered, and the same on either side of a near tie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from automl.machine import Moment
from automl.records import Config, SearchSplits
from automl.training import speed_probe
from automl.training.hardware.known_precision import FILE, recall, remember, work_key
from automl.training.plan import Precision, TrainPlan
from automl.training.speed_probe import Speed, probe


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(speed_probe, "_half", lambda device: ("bf16",))
    return tmp_path


class Rates:
    """Answers with speeds from lists instead of training, and counts what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **speeds: Sequence[float | Speed]) -> None:
        self.left: dict[str, Iterator[float | Speed]] = {name: iter(rates) for name, rates in speeds.items()}
        self.asked: list[Precision] = []
        monkeypatch.setattr(speed_probe, "_speed", self._speed)

    def _speed(
        self,
        config: Config,
        splits: SearchSplits,
        plan: TrainPlan,
        seconds: float,
        until: Moment | None = None,
    ) -> Speed:
        self.asked.append(plan.precision)
        rate = next(self.left[plan.precision])
        return rate if isinstance(rate, Speed) else Speed(rate, rate)


def test_the_faster_precision_is_chosen_once(
    cache: Path,
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Rates(monkeypatch, fp32=[100.0], bf16=[200.0])
    assert probe(config, splits, plan).precision == "bf16"
    assert first.asked == ["fp32", "bf16"]
    later = Rates(monkeypatch, bf16=[50.0])  # now slower than fp32 was: a busy machine
    found = probe(config, splits, plan)
    assert (found.precision, found.images_per_second) == ("bf16", 50.0)
    assert later.asked == ["bf16"]


def test_another_network_is_measured_again(
    cache: Path,
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Rates(monkeypatch, fp32=[100.0], bf16=[200.0])
    probe(config, splits, plan)
    Rates(monkeypatch, fp32=[100.0], bf16=[60.0])
    assert probe({**config, "batch_size": 8}, splits, plan).precision == "fp32"


@pytest.mark.parametrize(("bf16", "chosen"), [([112.0, 95.0, 96.0], "fp32"), ([108.0, 130.0, 125.0], "bf16")])
def test_a_near_tie_is_measured_again(
    cache: Path,
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    monkeypatch: pytest.MonkeyPatch,
    bf16: list[float],
    chosen: str,
) -> None:
    Rates(monkeypatch, fp32=[100.0] * 3, bf16=bf16)
    assert probe(config, splits, plan).precision == chosen


def test_other_programs_do_not_choose_the_precision(
    cache: Path,
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bf16 does twice the work in the same time of the processor; another program had it meanwhile."""
    Rates(monkeypatch, fp32=[Speed(100.0, 100.0)], bf16=[Speed(60.0, 200.0)])
    assert probe(config, splits, plan).precision == "bf16"


def test_a_precision_that_is_asked_for_is_not_compared(
    cache: Path,
    config: Config,
    splits: SearchSplits,
    plan: TrainPlan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = Rates(monkeypatch, fp32=[100.0], bf16=[900.0])
    assert probe(config, splits, plan, precision="fp32").precision == "fp32"
    assert rates.asked == ["fp32"]
    assert not (cache / FILE).exists()


def test_a_damaged_memory_is_measured_again(tmp_path: Path) -> None:
    key = work_key("cpu", "resnet10t", size=32, batch_size=64, threads=1)
    for text in ("{", "[1]", json.dumps({key: "fp8"})):
        (tmp_path / FILE).write_text(text)
        assert recall(key, tmp_path) is None
    remember(key, "bf16", tmp_path)
    assert recall(key, tmp_path) == "bf16"
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_memory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember("key", "bf16", tmp_path / "file" / "folder")
    assert recall("key", tmp_path / "file" / "folder") is None
