"""Short time limits: something useful is delivered in time, and what was shortened is said."""

from __future__ import annotations

import json
import shutil
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl import config as configuration
from automl import pipeline
from automl.data.decoding.convert import Conversion
from automl.data.prepare import LEAST, ROWS
from automl.errors import TimeLimitError
from automl.final.evidence.delivery import Delivery
from automl.final.predictor import Predictor
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.decoding_time import AllInTime
from automl.pipeline.fit import _quickly
from automl.pipeline.plan import plan as planning
from automl.pipeline.plan.budget import Work
from automl.pipeline.plan.pretrained import Conditions, _ranking_seconds
from automl.review.studies import find_model
from automl.search.engines.ray.runtime import RayRuntime
from automl.spaces.architectures.factories import LINEAR_ON_PIXELS
from automl.training.trainer import Trainer
from tests.pipeline.test_final_model import Notes
from tests.pipeline.test_fit import config_for, digits

pytestmark = [pytest.mark.study, pytest.mark.alone]
QUICK = {"n_trials": None, "epochs": None}


@pytest.fixture(autouse=True)
def _quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan as on a quiet machine, however busy it is."""
    for module in ("automl.pipeline.fit", "automl.pipeline.plan.plan", "automl.pipeline.setup"):
        monkeypatch.setattr(import_module(module), "slowdown", lambda: 1.0)


@pytest.fixture
def slow_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of a training takes a second more."""
    real = Trainer.train_step

    def step(self: Trainer, *batch: Any) -> object:
        time.sleep(1.0)
        return real(self, *batch)

    monkeypatch.setattr(Trainer, "train_step", step)


@pytest.fixture
def slow_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image takes 20 ms to decode."""
    real = Conversion.convert

    def convert(self: Conversion, rows: range) -> object:
        time.sleep(0.02 * len(rows))
        return real(self, rows)

    monkeypatch.setattr(Conversion, "convert", convert)


@pytest.mark.slow
def test_training_too_slow_for_the_limit_delivers_the_linear_head_in_time(
    slow_training: None, tmp_path: Path
) -> None:
    notes, begun = Notes(), time.monotonic()
    result = pipeline.fit(config_for(tmp_path, time_limit=12.0, **QUICK), observer=notes)
    assert time.monotonic() - begun < 14.0
    document = result.to_json()
    assert document["retrain"]["how"] == Delivery.HEAD
    assert result.holdout["accuracy"].value > 0.8
    said = json.loads((result.model_dir / "config.json").read_text())
    assert said["factory"] == LINEAR_ON_PIXELS
    images, targets = digits()
    found = result.predictor.predict(images[:40])
    assert np.mean([int(label) == target for label, target in zip(found, targets[:40], strict=True)]) > 0.8
    assert find_model("tiny", tmp_path) == result.model_dir
    assert "automl.load" in (result.model_dir / "README.md").read_text()


@pytest.mark.slow
def test_decoding_too_slow_for_the_limit_uses_a_part_that_a_resumed_study_keeps(
    slow_decoding: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    data = digits(540)
    first = pipeline.fit(config_for(tmp_path, data=data, time_limit=10.0, **QUICK)).to_json()
    used = sum(first["data"][name] for name in ("n_train", "n_val", "n_holdout"))
    assert LEAST <= used < 530
    assert any(f"{used} of" in text for text in first["shortened"])
    rows = np.load(tmp_path / "tiny" / "index" / ROWS)
    report = json.loads((tmp_path / "tiny" / "data_report.json").read_text())
    assert len(rows) == used and any("no time to decode more" in note for note in report["notes"])
    again = pipeline.fit(config_for(tmp_path, data=data, time_limit=60.0, n_trials=1)).to_json()
    assert again["data"] == first["data"]


@pytest.mark.slow
def test_resumed_study_that_cannot_decode_its_images_again_in_time_says_so_soon_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    data = digits(540)
    pipeline.fit(config_for(tmp_path / "studies", data=data, n_trials=1, epochs=1))
    before = {path: path.read_bytes() for path in (tmp_path / "studies").rglob("*") if path.is_file()}
    shutil.rmtree(tmp_path / "cache")
    real = Conversion.convert

    def convert(self: Conversion, rows: range) -> object:
        time.sleep(0.15 * len(rows))  # 40 s in all
        return real(self, rows)

    monkeypatch.setattr("automl.data.decoding.decode.cores", lambda: 2)
    monkeypatch.setattr(Conversion, "convert", convert)
    begun = time.monotonic()
    again = config_for(tmp_path / "studies", data=data, n_trials=2, time_limit=30.0)
    with pytest.raises(TimeLimitError, match="no longer in the cache.*nothing was changed; resume with"):
        pipeline.fit(again)
    assert time.monotonic() - begun < 20.0
    assert {path: path.read_bytes() for path in (tmp_path / "studies").rglob("*") if path.is_file()} == before
    monkeypatch.setattr(Conversion, "convert", real)
    assert pipeline.fit(again).trials["total"] == 2


class Steps:
    """A clock for `AllInTime`, to turn by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.mark.parametrize(
    ("seconds", "wanted"),  # that each image takes; the time limit that is named
    [(0.5, None), (0.69, None), (0.8, "2m"), (5.0, "12m")],
)
def test_decoding_again_is_judged_by_its_speed_once_it_runs(
    seconds: float, wanted: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, notes = Steps(monkeypatch), Notes()
    config = configuration.load("digits", time_limit=100.0, directory=tmp_path)
    context = Context(config, None, Clock(100.0), notes)  # type: ignore[arg-type]  # no folder
    watch = AllInTime(context)
    watch.stage("cache", "decoding")
    clock.now += 0.5  # processes start
    try:
        for done in range(101):
            watch.progress(done, 100)
            clock.now += seconds
    except TimeLimitError as error:
        assert wanted is not None and f"`--time-limit {wanted}` or more" in str(error), str(error)
        assert clock.now < 12.0
    else:
        assert wanted is None


@pytest.mark.parametrize(
    ("limit", "options", "quick"),
    [
        (20.0, {}, True),
        (59.0, {"parallel": 2}, True),
        (61.0, {}, False),
        (None, {"n_trials": 1}, False),
        (20.0, {"memory_limit": "8G"}, False),
        (20.0, {"address": "auto"}, False),
    ],
)
def test_study_with_a_short_limit_does_without_ray(
    limit: float | None, options: dict[str, object], quick: bool, tmp_path: Path
) -> None:
    notes = Notes()
    config = configuration.load("digits", time_limit=limit, directory=tmp_path, **options)
    context = Context(config, None, Clock(limit), notes)  # type: ignore[arg-type]  # no folder
    found = _quickly(context, 1.0, 0.0)
    assert (found.config.engine, found.asked) == (("local", config) if quick else ("ray", None))
    assert len(found.shortened) == len(notes.notes) == int(quick)
    busy = _quickly(context, 2.5, 0.0).config.engine
    assert busy == ("local" if quick or limit == 61.0 else "ray")


@pytest.mark.parametrize(
    ("limit", "cores", "loading", "engine"),
    [(180.0, 2, 5.0, "local"), (180.0, 2, 4.0, "ray"), (180.0, 16, 12.0, "ray"), (600.0, 2, 12.0, "ray")],
)
def test_libraries_that_load_slowly_leave_no_time_for_workers_on_few_cores(
    limit: float, cores: int, loading: float, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("automl.pipeline.fit"), "cores", lambda: cores)
    config = configuration.load("digits", time_limit=limit, directory=tmp_path)
    context = Context(config, None, Clock(limit), Notes())  # type: ignore[arg-type]  # no folder
    assert _quickly(context, 1.0, loading).config.engine == engine


@pytest.mark.slow
def test_short_study_starts_no_ray_and_keeps_the_engine_of_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RayRuntime, "start", lambda self: pytest.fail("Ray was started"))
    config = config_for(tmp_path, engine="ray", parallel=2, time_limit=20.0, n_trials=2, epochs=1)
    result = pipeline.fit(config)
    assert "Ray takes too long to start" in result.to_json()["shortened"][0]
    assert "engine: local" not in (result.directory / "study.yaml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_clock_of_the_system_that_is_set_during_a_study_changes_nothing(
    jump: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, real = time.time, planning.make_plan

    def sets_the_clock(*arguments: Any) -> object:
        monkeypatch.setattr(time, "time", lambda: wall() + jump)
        return real(*arguments)

    monkeypatch.setattr("automl.pipeline.setup.make_plan", sets_the_clock)
    begun = time.monotonic()
    result = pipeline.fit(config_for(tmp_path, time_limit=10.0, **QUICK))
    spent = time.monotonic() - begun
    assert 5.0 < spent < 12.0
    assert result.time["used_s"] == pytest.approx(spent, abs=1.0)
    first = result.time["first_result_s"]
    assert first is not None and 0.0 < first < 10.0


def test_data_that_cannot_be_decoded_in_time_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("automl.pipeline.fit")  # the package has a function of this name
    monkeypatch.setattr(module, "least_seconds", lambda source, slower: 500.0)
    with pytest.raises(TimeLimitError, match="--time-limit must be at least 12m[3-5]0s on this machine"):
        pipeline.fit(config_for(tmp_path, time_limit=60.0, **QUICK))
    assert list(tmp_path.iterdir()) == []


def test_finished_study_that_has_no_time_to_go_on_stays_and_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pipeline.fit(config_for(tmp_path, n_trials=1, time_limit=60.0))
    before = (first.directory / "result.json").read_bytes()
    monkeypatch.setattr(import_module("automl.pipeline.fit"), "least_seconds", lambda *_: 1000.0)  # busy
    notes, again = Notes(), {"n_trials": 5, "time_limit": 30.0}
    result = pipeline.fit(config_for(tmp_path, **again), observer=notes)
    assert result.unchanged_after is not None and result.unchanged_after < 30.0
    assert result.to_json() == json.loads(before) and (first.directory / "result.json").read_bytes() == before
    (said,) = [note for note in notes.notes if "no time to continue" in note]
    assert "must be at least" in said
    with pytest.raises(TimeLimitError, match="must be at least"):
        pipeline.fit(config_for(tmp_path, seed=1, **again))  # another study
    with pytest.raises(TimeLimitError, match="must be at least"):
        pipeline.fit(config_for(tmp_path, study="other", **again))


@pytest.mark.parametrize(
    ("limit", "slower", "told"), [(60.0, 1.0, False), (60.0, 4.0, True), (12.0, 1.0, True)]
)
def test_time_too_short_for_a_trial_and_a_retrain_is_said_and_refuses_nothing(
    limit: float, slower: float, told: bool, tmp_path: Path
) -> None:
    notes = Notes()
    config = configuration.load("digits", time_limit=limit, epochs=1, directory=tmp_path)
    context = Context(config, None, Clock(limit), notes)  # type: ignore[arg-type]  # no folder
    # An epoch takes 10 s of work, a retrain of one epoch 10 s.
    work = Work(900, 100, 0, images_per_second=100.0, parallel=1, slowdown=slower)
    planning._tell_too_short(context, work)
    assert len(notes.notes) == len(context.shortened) == int(told)
    assert not told or "too short for a whole trial and a retrain" in notes.notes[0]


@pytest.mark.parametrize(
    ("remaining", "slowdown", "seconds"),
    [(None, 1.0, 60.0), (3600.0, 9.0, 60.0), (100.0, 1.0, 4.0), (40.0, 1.0, 0.0), (100.0, 4.0, 0.0)],
)
def test_ranking_weights_needs_time_for_one_network(
    remaining: float | None, slowdown: float, seconds: float
) -> None:
    conditions = Conditions(None, "cpu", 2, Path(), remaining, slowdown)  # type: ignore[arg-type]  # no rows
    assert _ranking_seconds(conditions) == pytest.approx(seconds)


def test_time_limit_is_kept_and_the_time_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("automl.pipeline.fit", "automl.pipeline.plan.plan", "automl.pipeline.setup"):
        monkeypatch.setattr(import_module(module), "slowdown", lambda: 1.0)  # however busy this machine is
    result = pipeline.fit(config_for(tmp_path, n_trials=None, time_limit=12.0, epochs=None))
    used = result.time["used_s"]
    assert used is not None and 8.0 < used < 14.0
    assert result.trials["total"] >= 1
    assert isinstance(result.predictor, Predictor)
