"""A network in two parts gives what the whole gives, and its training looks at each image only a few times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from automl.final.retrain import Retrain
from automl.records import Config, SearchSplits, Silent
from automl.torch_setup import import_timm
from automl.training import frozen_part
from automl.training.frozen_part import MOST_VIEWS, RENEWED, FrozenPart, KeptOutputs
from automl.training.models.finetune import freeze
from automl.training.models.pretrained_weights import Weights
from automl.training.models.weight_sources import in_folder
from automl.training.plan import TrainPlan
from automl.training.trainer import Trainer

DIVIDED = [
    "resnet10t",
    "tf_efficientnet_lite0",
    "mobilenetv4_conv_small",
    "efficientvit_b0",
    "edgenext_small",
]
DIVIDED += ["convnext_atto", "tiny_vit_5m_224", "test_vit", "test_vit2", "eva02_tiny_patch14_224"]
SIDES = {"tiny_vit_5m_224": 224, "test_vit": 160, "eva02_tiny_patch14_224": 56}


# Their first block that learns begins with a pooling or an activation in one of two branches.
BRANCHED = ["coatnet_nano_rw_224", "maxvit_rmlp_pico_rw_256", "eca_nfnet_l0"]


def _model(name: str, how: str = "stages") -> nn.Module:
    torch.manual_seed(0)
    side = {"img_size": SIDES.get(name, 64)} if name.startswith(("eva", "coatnet", "maxvit")) else {}
    built: nn.Module = import_timm().create_model(name, num_classes=3, **side)
    freeze(built, how, norm=True)
    return built


@pytest.mark.parametrize("how", ["half", "stages", "head"])
@pytest.mark.parametrize("name", DIVIDED)
def test_parts_of_a_network_give_what_the_whole_gives(name: str, how: str) -> None:
    size = SIDES.get(name, 64)
    model, images = _model(name, how), torch.randn(4, 3, size, size)
    part = FrozenPart.find(model, images[:2])
    assert part is not None
    model.train()
    between = part.outputs(images)
    with part.skipped(), torch.no_grad():
        rest = model.eval()(between)
    with torch.no_grad():
        assert torch.allclose(rest, model(images), rtol=1e-4, atol=1e-5)  # and nothing of it stays
    learning = {id(p) for p in model.parameters() if p.requires_grad}
    assert not any(id(p) in learning for module in part.frozen for p in module.parameters())


@pytest.mark.parametrize("name", [*BRANCHED, "resnet10t", "test_vit"])
def test_parts_give_what_the_whole_gives_while_it_learns(name: str) -> None:
    size = SIDES.get(name, 64)
    model, images = _model(name), torch.randn(4, 3, size, size)
    part = FrozenPart.find(model, images[:2])
    assert part is not None
    assert sum(p.numel() for module in part.frozen for p in module.parameters()) > 0
    model.train()
    torch.manual_seed(1)  # of the dropout of the layers that learn
    whole, between = model(images), part.outputs(images)
    assert not between.requires_grad and whole.requires_grad
    torch.manual_seed(1)
    with part.skipped():
        assert torch.allclose(model(between), whole, rtol=1e-4, atol=1e-5)


def test_gradients_of_what_learns_are_those_of_the_whole_network() -> None:
    model, images = _model("resnet10t"), torch.randn(4, 3, 64, 64)
    part = FrozenPart.find(model, images[:2])
    assert part is not None
    learning = [p for p in model.parameters() if p.requires_grad]
    expected = torch.autograd.grad(model(images).square().sum(), learning)
    between = part.outputs(images)
    with part.skipped():
        found = torch.autograd.grad(model(between).square().sum(), learning)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


class _Around(nn.Module):
    """Adds what goes into its frozen layers to what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Sequential(nn.Linear(8, 8), nn.ReLU()).requires_grad_(False)
        self.last = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.last(self.frozen(images) + images)
        return found


@pytest.mark.parametrize("model", [_Around(), _model("test_resnet", "none")])
def test_network_that_cannot_be_divided_has_no_frozen_part(model: nn.Module) -> None:
    images = torch.randn(2, 8) if isinstance(model, _Around) else torch.randn(2, 3, 64, 64)
    before = model.training
    assert FrozenPart.find(model, images) is None
    assert model.training is before


def test_parts_of_a_batch_may_run_in_threads() -> None:
    model, images = _model("test_vit"), torch.randn(8, 3, 160, 160)
    part = FrozenPart.find(model, images[:2])
    assert part is not None and part.first is not None
    between = part.outputs(images)
    model.eval()
    with part.skipped(), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda some: model(some).detach(), between.split(1)))
    with torch.no_grad():
        assert torch.allclose(torch.cat(found), model(images), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Weights of the smallest network."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(3)
    save_file(import_timm().create_model("test_resnet").state_dict(), folder / "test_resnet.safetensors")
    return in_folder(folder)["test_resnet"]


@pytest.fixture
def tuned(config: Config) -> Config:
    """A configuration whose last stage learns."""
    kept = {"freeze": "stages", "freeze_norm": True, "mixup": 0.0, "cutmix": 0.0, "augment": 0.5}
    return {**config, "pretrained": True, "size": 32, **kept}


@pytest.fixture
def kept(
    tuned: Config, weights: Weights, splits: SearchSplits, plan: TrainPlan
) -> Iterator[tuple[Trainer, KeptOutputs]]:
    """A trainer that keeps the outputs of the frozen part, and these."""
    trainer = Trainer(tuned, splits.info, splits.train, replace(plan, weights={"test_resnet": weights}))
    trainer.keep_outputs()
    assert trainer.kept is not None
    yield trainer, trainer.kept
    trainer.drop_outputs()


def test_a_fifth_of_each_batch_is_computed_anew(
    kept: tuple[Trainer, KeptOutputs], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, outputs = kept
    drawn: list[int] = []
    real = type(outputs.batches).drawn

    def counted(batches: Any, chosen: Any, generator: Any) -> Any:
        drawn.append(len(chosen))
        return real(batches, chosen, generator)

    monkeypatch.setattr(type(outputs.batches), "drawn", counted)
    size, n = trainer.batches.batch_size, trainer.batches.n
    for between, targets in outputs.epoch(0):
        assert len(between) == len(targets) == size
    assert sum(drawn) == len(trainer.batches) * size  # each for the first time
    for epoch in range(1, 12):
        list(outputs.epoch(epoch))
    drawn.clear()
    for _ in outputs.epoch(99):
        pass
    least = math.ceil(RENEWED * size)
    assert len(drawn) == len(trainer.batches) and min(drawn) == least
    assert (
        sum(drawn) <= least * len(drawn) + n % size
    )  # and rows that were always in the batch that is dropped


def test_a_row_is_seen_in_all_its_kept_views_and_in_new_ones(kept: tuple[Trainer, KeptOutputs]) -> None:
    _, outputs = kept
    first = int(outputs.batches.chosen(0)[0][0])

    def seen(epochs: range) -> set[float]:
        return {
            float(between[place].sum())
            for epoch in epochs
            for chosen, (between, _) in zip(outputs.batches.chosen(epoch), outputs.epoch(epoch), strict=True)
            for place in np.flatnonzero(chosen == first)
        }

    assert 1 < len(seen(range(12))) < 12
    assert len(seen(range(12, 80))) > MOST_VIEWS


def test_kept_outputs_belong_to_their_rows(kept: tuple[Trainer, KeptOutputs]) -> None:
    trainer, outputs = kept
    plain = replace(trainer.batches, augment=None)
    outputs.batches = plain
    for epoch in range(MOST_VIEWS + 3):
        for (between, targets), (images, expected) in zip(
            outputs.epoch(epoch, skip=1), plain.epoch(epoch, skip=1), strict=True
        ):
            assert torch.equal(targets, expected)
            exact = outputs.part.outputs(images)
            assert torch.allclose(between, exact, rtol=2e-3, atol=2e-3)


def test_rows_that_are_drawn_more_often_are_kept_as_well(
    tuned: Config, weights: Weights, splits: SearchSplits, plan: TrainPlan
) -> None:
    plan = replace(plan, weights={"test_resnet": weights}, balance="sampler")
    trainer = Trainer(tuned, splits.info, splits.train, plan)
    trainer.keep_outputs()
    for _ in range(4):
        assert trainer.train_round() is not None
    trainer.drop_outputs()


def test_no_outputs_are_kept_where_images_are_mixed_or_memory_is_short(
    tuned: Config,
    weights: Weights,
    splits: SearchSplits,
    plan: TrainPlan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = replace(plan, weights={"test_resnet": weights})

    def keeps(config: Config) -> bool:
        trainer = Trainer(config, splits.info, splits.train, plan)
        trainer.keep_outputs()
        return trainer.kept is not None

    assert keeps(tuned)
    assert not any(
        keeps({**tuned, **other}) for other in ({"freeze": "none"}, {"mixup": 0.2}, {"cutmix": 0.5})
    )
    monkeypatch.setattr(frozen_part, "free_memory", lambda: 10_000)
    assert not keeps(tuned)


def test_retrain_learns_as_well_from_kept_outputs(
    tuned: Config,
    weights: Weights,
    splits: SearchSplits,
    plan: TrainPlan,
    tmp_path: Any,
) -> None:
    plan = replace(plan, weights={"test_resnet": weights}, epochs=MOST_VIEWS + 6, replicas=2)
    config = {**tuned, "freeze": "half", "lr": 5e-3, "opt": "adamw"}

    def accuracy(*, keep: bool) -> float:
        done = Retrain(config, splits, plan, work_dir=tmp_path).train(Silent(), keep_outputs=keep)
        trainer = Trainer(config, splits.info, splits.val, plan)
        images, targets = next(iter(replace(trainer.batches, augment=None, shuffle=False).epoch(0)))
        with torch.no_grad():
            found = done.model(torch.nn.functional.interpolate(images, size=(32, 32))).argmax(1)
        assert isinstance(done.epochs, float) and done.epochs > MOST_VIEWS
        return float(np.mean((found == targets).numpy()))

    assert accuracy(keep=True) >= accuracy(keep=False) - 0.1
