"""The time of the first heads, and the plan of a study with both kinds of trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from automl.config import StudyConfig
from automl.config.metrics import METRICS
from automl.final.heads import head_key
from automl.pipeline.clock import Clock
from automl.pipeline.context import Context
from automl.pipeline.plan import heads
from automl.pipeline.plan.budget import Budget, Work
from automl.pipeline.plan.epoch_cost import part_scored
from automl.pipeline.plan.hardware import Device
from automl.pipeline.plan.heads import _too_few, chosen_heads
from automl.pipeline.plan.plan import Basis, _scratch_first
from automl.pipeline.plan.plan_text import cv_in_words
from automl.pipeline.plan.pretrained import Pretrained, features_seconds
from automl.pipeline.study_folder import Workspace
from automl.records import Rows, SearchSplits, Silent
from automl.spaces import SearchSpace
from automl.spaces.narrow import narrowed, with_portfolio
from automl.torch_setup import import_timm
from automl.training.heads import FeatureHeads, Head
from automl.training.heads.out_of_fold import OutOfFold
from automl.training.models.pretrained_weights import Weights
from automl.training.models.weight_sources import in_folder
from tests.pipeline.plan.test_epoch_cost import INFO


def crossed_head(model: str, right: int, *, width: int, rows: int = 100, first: int = 0) -> Head:
    """A head that is right out of fold for `right` of the rows, from row `first` on."""
    targets = np.arange(rows) % 2
    said = np.where((np.arange(rows) - first) % rows < right, targets, 1 - targets)
    found = OutOfFold(np.arange(rows), 4.0 * np.eye(2)[said], targets, (right / rows,) * 3, 5)
    return Head(
        model=nn.Linear(width, 2),
        full=None,
        config={"model": model, "pretrained": True, "size": 224},
        info=replace(INFO, task="classification", classes=("a", "b")),
        size=224,
        val_score=0.9,
        n_train=80,
        n_val=20,
        n_full=100,
        seconds=1.0,
        strength=0.1,
        estimator="logistic regression",
        weights=Weights(model, Path("weights"), "folder", (0.5,) * 3, (0.5,) * 3),
        out_of_fold=found,
    )


def test_the_best_head_by_cross_validation_may_be_delivered_and_of_equal_ones_the_smallest() -> None:
    large, small = crossed_head("large", 92, width=9), crossed_head("small", 91, width=3, first=4)
    pixels = replace(large, weights=None)
    kept, why = chosen_heads([pixels, large, small], "accuracy")
    assert [head is one for head, one in zip(kept, [pixels, large], strict=True)] == [True, True]
    assert "that on features of large" in why and why.endswith("with accuracy 0.9200.")
    equal = crossed_head("small", 92, width=3)
    assert chosen_heads([large, equal], "accuracy")[0] == [equal]
    assert chosen_heads([large, small], "log_loss")[0] == [small]


def test_a_head_without_time_for_all_images_is_left_out() -> None:
    large, some = crossed_head("large", 92, width=9), crossed_head("small", 60, width=3, rows=60)
    assert chosen_heads([large, some], "accuracy")[0] == [large]


def test_without_cross_validation_all_heads_stay() -> None:
    heads_ = [replace(crossed_head(name, 90, width=3), out_of_fold=None) for name in ("one", "two")]
    assert chosen_heads(heads_, "accuracy") == (heads_, "")


@pytest.mark.parametrize(("search_s", "told"), [(None, True), (400.0, True), (60.0, False)])
def test_cross_validation_is_suggested_where_the_search_holds_it(search_s: float | None, told: bool) -> None:
    work = Work(n_train=195, n_val=49, n_holdout=61, images_per_second=100.0, parallel=1)
    said = cv_in_words(Budget(9, search_s, 60.0, 1.0, 9, 1.0), work)
    assert said == (
        "49 validation images tell little about a trial: `--val cv` scores it on all 244 images out of fold, by 5 "
        "times the work."
        if told
        else ""
    )


@pytest.mark.parametrize(
    ("remaining", "first", "expected"),
    [
        (20.0, True, 7.0),
        (80.0, True, 28.0),
        (200.0, True, 30.0),
        (900.0, True, 72.0),
        (500.0, False, 40.0),
    ],
)
def test_first_head_has_more_of_a_short_time(remaining: float, first: bool, expected: float) -> None:
    assert features_seconds(remaining, first=first) == pytest.approx(expected)
    assert features_seconds(None, first=first) == 120.0
    assert features_seconds(1e6, first=first) == 120.0


def test_further_network_needs_time_for_half_of_the_images_that_the_first_one_has_read() -> None:
    first = replace(crossed_head("tf_efficientnet_lite0", 92, width=3), seconds=30.0)
    assert _too_few(first, "tf_efficientnet_lite0", 14.9, 180.0)
    assert not _too_few(first, "tf_efficientnet_lite0", 15.1, 180.0)
    assert _too_few(first, "tf_efficientnet_lite1", 15.1, 180.0)  # more work for each
    assert not _too_few(replace(first, seconds=1.0), "tf_efficientnet_lite1", 15.1, 180.0)  # from the cache
    assert not _too_few(first, "tf_efficientnet_lite1", 1.0, None)
    assert not _too_few(None, "tf_efficientnet_lite1", 1.0, 180.0)


def test_first_configuration_from_scratch_comes_first() -> None:
    tuned, one, two = {"pretrained": True}, {"lr": 1}, {"lr": 2}
    assert _scratch_first((tuned, one, tuned, two)) == (one, tuned, tuned, two)
    assert _scratch_first((tuned, tuned)) == (tuned, tuned)
    assert _scratch_first(()) == ()


def test_large_pretrained_network_is_scored_on_a_part_of_many_rows() -> None:
    small = {"model": "resnet10t", "lr": 0.1, "width": 0.25, "upscale": 1.0}
    tuned = {"model": "resnet18", "lr": 1e-3, "pretrained": True, "size": 224}
    many, few = replace(INFO, n_val=5000), replace(INFO, n_val=100)
    assert 128 / 5000 <= part_scored(small, tuned, many) < 0.1
    assert part_scored(small, tuned, few) == 1.0
    assert part_scored(tuned, tuned, many) == 1.0


def _pretrained(folder: Path, *models: str) -> Pretrained:
    """Weights of these models, in this order, and the part of the preset `smoke` that uses them."""
    for model in models:
        save_file(import_timm().create_model(model).state_dict(), folder / f"{model}.safetensors")
    found = in_folder(folder)
    space = narrowed(SearchSpace.load("smoke"), pretrained=True, models=models)
    space = with_portfolio(space, models, narrowed(SearchSpace.load("smoke"), pretrained=True).portfolio)
    return Pretrained(space, {model: found[model] for model in models})


def test_no_head_is_read_whose_test_would_not_fit_into_the_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(heads, "_row_seconds", lambda *_: 1.0)

    def read(*_: object, **__: object) -> None:
        raise AssertionError("features were read")

    monkeypatch.setattr(FeatureHeads, "fit_both", read)
    no_rows = Rows(tmp_path, tmp_path, tmp_path, 0)
    basis = Basis(
        SearchSplits(replace(INFO, n_holdout=100), no_rows, no_rows),
        _pretrained(tmp_path, "test_resnet"),
        Device("cpu", threads=1, parallel=1, all_threads=1),
        METRICS["accuracy"],
        "none",
    )
    context = Context(StudyConfig(data="photos"), Workspace(tmp_path, existed=False), Clock(60.0), Silent())
    assert list(heads._on_features(context, basis)) == []


def _bright_and_dark(folder: Path) -> SearchSplits:
    """Thirty bright and thirty dark images of 32 px, every third for validation."""
    targets = np.arange(60) % 2
    noise = np.random.default_rng(0).integers(0, 90, (60, 32, 32, 3))
    np.save(folder / "images.npy", (noise + 120 * targets[:, None, None, None]).astype(np.uint8))
    np.save(folder / "targets.npy", targets)
    rows = []
    for name, index in (("train", np.arange(40)), ("val", np.arange(40, 60))):
        np.save(folder / f"{name}.npy", index)
        rows.append(Rows(folder / "images.npy", folder / "targets.npy", folder / f"{name}.npy", len(index)))
    two = replace(INFO, task="classification", classes=("a", "b"), class_counts=(20, 20), n_holdout=20)
    info = replace(two, in_chans=3, img_size=32, mean=(0.5,) * 3, std=(0.5,) * 3, n_train=40, n_val=20)
    return SearchSplits(info, *rows)


@pytest.mark.parametrize("fault", ["not finite", "test too long"])
def test_network_without_a_head_does_not_keep_the_next_one_from_its_own(
    fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretrained = _pretrained(tmp_path, "test_resnet", "test_vit2")
    if fault == "not finite":
        file = tmp_path / "test_resnet.safetensors"
        save_file({name: value * torch.nan for name, value in load_file(file).items()}, file)
    else:
        seconds = iter((100.0, 0.0))
        monkeypatch.setattr(heads, "_row_seconds", lambda *_: next(seconds))
    basis = Basis(
        _bright_and_dark(tmp_path),
        pretrained,
        Device("cpu", threads=1, parallel=1, all_threads=1),
        METRICS["accuracy"],
        "none",
    )
    observer = Silent()
    notes: list[str] = []
    monkeypatch.setattr(observer, "note", notes.append)
    context = Context(StudyConfig(data="photos"), Workspace(tmp_path, existed=False), Clock(600.0), observer)
    found = [(name, head.val_score) for name, head, _ in heads._on_features(context, basis)]
    assert [name for name, _ in found] == ["test_vit2", "test_vit2-depths"]
    assert all(value > 0.9 for _, value in found)
    assert [text.startswith("No linear head on features of test_resnet: ") for text in notes] == [True]
    if fault == "test too long":
        assert "scoring the holdout with it would take 2000 s at 160 px" in notes[0]


def test_head_on_all_depths_that_is_no_better_is_a_trial_but_not_delivered(tmp_path: Path) -> None:
    basis = Basis(
        _bright_and_dark(tmp_path),
        _pretrained(tmp_path, "test_resnet"),
        Device("cpu", threads=1, parallel=1, all_threads=1),
        METRICS["accuracy"],
        "none",
    )
    context = Context(StudyConfig(data="photos"), Workspace(tmp_path, existed=False), Clock(None), Silent())
    found = heads.fit_heads(context, basis)
    values = [trial.value for trial in found.trials]
    assert values == [1.0, 1.0] and [trial.config.get("depths") for trial in found.trials] == [None, 1]
    assert [model.config.get("depths") for model in found.models] == [None]


def test_each_way_of_pooling_that_is_searched_has_a_head_those_of_the_weights_first(tmp_path: Path) -> None:
    pretrained = _pretrained(tmp_path, "test_vit", "test_resnet")
    found = [(model, pool) for model, _, pool in heads._networks(pretrained)]
    assert found == [("test_vit", "token"), ("test_resnet", None), ("test_vit", "avg")]
    spec = pretrained.space.to_dict()
    parameters = {name: one for name, one in spec["parameters"].items() if name != "global_pool"}
    fixed = SearchSpace.from_dict({**spec, "parameters": parameters, "portfolio": []})
    fixed = replace(fixed, portfolio=pretrained.space.portfolio)
    found = [(model, pool) for model, _, pool in heads._networks(replace(pretrained, space=fixed))]
    assert found == [("test_vit", None), ("test_resnet", None)]


def test_head_of_a_network_for_large_images_gets_them_as_they_are_stored() -> None:
    recipe = {"model": "resnet18", "lr": 1e-3, "pretrained": True, "size": 160, "global_pool": "avg"}
    sizes = {
        "resnet18": 224,
        "tf_efficientnet_lite2": 260,
        "vit_small_patch14_reg4_dinov2": 224,  # made for 518 px
        "mobilenetv4_conv_medium.e250_r384_in12k_ft_in1k": 224,
    }
    assert {model: heads._config(recipe, model, None)["size"] for model in sizes} == sizes
    assert "global_pool" not in heads._config(recipe, "resnet18", None)
    key = head_key(heads._config(recipe, "vit_tiny_patch16_224", "avg"))
    assert key == "features of vit_tiny_patch16_224 at 224 px, avg"
