"""A head that saw a part of the images sees more after the search, where that promises more than the retrain."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from automl import pipeline
from automl.data import open_source
from automl.final.evidence.delivery import Delivery
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.plan import heads
from automl.pipeline.retrain.promise import Promise
from automl.pipeline.retrain.read_on import Further, further_of, read_on
from automl.pipeline.run import _search_settings
from automl.pipeline.setup import Setup, prepare
from automl.pipeline.study_folder import open_workspace
from automl.records import Report, Silent, TrialState
from automl.search import BestTrial, SearchResult
from automl.search.reasons import Code, Reason
from automl.search.storage.reader import StoredTrial
from automl.torch_setup import import_timm
from automl.training.heads.frozen_network import FrozenNetwork
from tests.pipeline.test_final_model import Notes
from tests.pipeline.test_fit import config_for

pytestmark = pytest.mark.study

# A training from scratch that learns nothing. The weights serve the head alone.
SPACE: dict[str, Any] = {
    "families": {"resnet": ["test_resnet"]},
    "parameters": {
        "lr": {"type": "float", "low": 1e-9, "high": 1e-8},
        "pretrained": {"type": "categorical", "choices": [False, True]},
        "size": {"type": "categorical", "choices": [64], "when": {"pretrained": True}},
    },
    "portfolio": [
        {"family": "resnet", "model": "test_resnet", "pretrained": False, "lr": 1e-9},
        {"family": "resnet", "model": "test_resnet", "pretrained": True, "size": 64, "lr": 1e-9},
    ],
}
IMAGES = 300


@pytest.fixture(autouse=True)
def _first_look_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look reads one small batch of each part; validation rows decide, though they are few."""
    for module in ("automl.pipeline.fit", "automl.pipeline.plan.plan", "automl.pipeline.setup"):
        monkeypatch.setattr(import_module(module), "slowdown", lambda: 1.0)
    monkeypatch.setattr(heads, "slowdown", lambda: 1.0)
    monkeypatch.setattr(heads, "features_seconds", lambda *_, **__: 0.05)
    monkeypatch.setattr(heads, "FEW_VAL", 1)
    monkeypatch.setattr(FrozenNetwork, "batch_size", 16)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Stripes in three directions with much noise, and random weights that tell them apart."""
    folder, rng = tmp_path_factory.mktemp("read_on"), np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    for k in range(IMAGES):
        wave = np.sin((x, y, x + y)[k % 3] * 0.9 + rng.uniform(0, 6))
        pixels = 128 + 25 * wave + rng.normal(0, 50, (64, 64))
        place = folder / "data" / "abc"[k % 3] / f"{k}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB").save(place)
    torch.manual_seed(0)
    (folder / "weights").mkdir()
    save_file(
        import_timm().create_model("test_resnet").state_dict(), folder / "weights" / "test_resnet.safetensors"
    )
    weights = str(folder / "weights")
    return {
        "data": str(folder / "data"),
        "space": SPACE,
        "pretrained": weights,
        "n_trials": 1,
        "epochs": 1,
        "time_limit": 90.0,
    }


@pytest.fixture
def setup(
    options: dict[str, Any], tmp_path: Path, _first_look_is_short: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Setup]:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    config = config_for(tmp_path, **options)
    workspace = open_workspace(str(tmp_path), "tiny", overwrite=False)
    yield prepare(Context(config, workspace, Clock(90.0), Silent()), open_source(options["data"]))
    workspace.close()


def found(value: float = 0.4, stopped: Code | None = None) -> SearchResult:
    report = Report(0, 1, value, 1.0, {"images": 100.0})
    trial = StoredTrial(0, TrialState.COMPLETE, {}, "", (report,), (1.0,), 1, None, False, 0.0, 1.0)
    best = BestTrial(0, {"model": "test_resnet", "lr": 1e-9}, value, 1, None)
    return SearchResult(best, (trial,), "max", None if stopped is None else Reason(stopped), 1.0)


def head_of(setup: Setup) -> Further:
    further = further_of(setup, found())
    assert further is not None
    return further


def test_head_that_saw_a_part_may_see_all_where_the_time_holds_them(setup: Setup) -> None:
    further = head_of(setup)
    seen, every = further.head.trained.n_train, setup.data.splits.train.n
    assert seen < every == further.rows
    loss = 1.0 - further.head.value
    assert further.expected == pytest.approx(1.0 - loss * (every / seen) ** -0.25)
    slow = replace(setup, row_seconds=0.6, clock=Clock(120.0))  # some of them in the time left
    assert seen < head_of(slow).rows < every


def test_nothing_is_read_on_without_more_images_or_time_or_where_it_could_not_count(setup: Setup) -> None:
    alternatives = tuple(
        replace(one, trained=replace(one.trained, n_train=setup.data.splits.train.n))
        for one in setup.alternatives
    )
    assert further_of(replace(setup, alternatives=alternatives), found()) is None
    assert further_of(replace(setup, row_seconds=60.0), found()) is None
    assert further_of(replace(setup, clock=Clock(None)), found()) is None
    assert further_of(setup, found(stopped=Code.INTERRUPTED)) is None
    assert (
        further_of(replace(setup, config=setup.config.model_copy(update={"deliver": "ensemble"})), found())
        is None
    )


@pytest.mark.parametrize("at_best", [1.0, math.nan])
def test_nothing_changes_where_the_retrain_promises_more_or_nothing_is_known(
    setup: Setup, at_best: float
) -> None:
    result = found()

    def never() -> Any:
        raise AssertionError("the study was opened")

    assert read_on(setup, Promise(result, at_best=at_best), never, lambda: False) == (setup, result)


def test_study_delivers_the_head_that_saw_more_images(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOML_CACHE_DIR", str(tmp_path / "cache"))
    notes = Notes()
    result = pipeline.fit(config_for(tmp_path, **options), observer=notes)
    said = [note for note in notes.notes if "promises accuracy" in note]
    assert len(said) == 1 and said[0].endswith("so the time left goes to its features.")
    document = result.to_json()
    assert document["retrain"]["how"] == Delivery.HEAD.value
    board = result.leaderboard().set_index("trial")
    on_features = board[board["kind"] == "head on features"]
    n_train = document["data"]["n_train"]
    with closing(sqlite3.connect(result.directory / "study.db")) as database:
        rows = database.execute("SELECT trial, metrics FROM automl_reports WHERE epoch = 0").fetchall()
    read = {number: json.loads(metrics)["train_rows"] for number, metrics in rows}
    assert {read[number] for number in on_features.index} == {n_train}
    assert document["retrain"]["trial"] in on_features.index
    assert document["retrain"]["n_train"] == n_train + document["data"]["n_val"]
    assert result.holdout["accuracy"].value > 0.6


def test_ctrl_c_ends_the_reading_and_what_was_read_counts(
    setup: Setup,
) -> None:
    further, calls = head_of(setup), list[int]()

    def asked() -> bool:
        calls.append(1)
        return len(calls) > 5

    changed, _ = read_on(setup, Promise(found(), at_best=0.0), partial(_search_settings, setup), asked)
    new = next(one for one in changed.alternatives if one.trained.weights is not None)
    assert further.head.trained.n_train < new.trained.n_train < setup.data.splits.train.n
    assert len(changed.heads) >= len(setup.heads)
    assert new.trained.n_train in {head.metrics["train_rows"] for head in changed.heads}
