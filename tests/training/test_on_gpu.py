"""What only a GPU shows: its precisions, its memory, its random numbers. Skipped on machines without one."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from automl import config as configuration
from automl import pipeline
from automl.cuda_graphs import Pace, Recorder
from automl.data.loading.batches import Batches
from automl.final.model_folder import write_model_folder
from automl.final.predictor import Predictor
from automl.final.scoring import seconds_per_image
from automl.records import Config, SearchSplits
from automl.spaces.architectures.factories import create
from automl.training.distillation.lesson import Lesson
from automl.training.distillation.shown import Shown
from automl.training.evaluate import predict_rows
from automl.training.hardware.half_precision import has_bf16
from automl.training.hardware.out_of_memory import held
from automl.training.plan import Precision, TrainPlan
from automl.training.speed_probe import probe
from automl.training.steps.gradients import Gradients
from automl.training.trainer import Trainer
from automl.training.trial import ImageTrial

pytestmark = pytest.mark.gpu

MIB = 1 << 20


@pytest.fixture
def on_gpu(plan: TrainPlan) -> TrainPlan:
    """The plan of the other tests, on the GPU."""
    return replace(plan, device="cuda")


@pytest.fixture
def narrow() -> Iterator[None]:
    """A GPU of which this process gets 1.5 GiB."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1536 * MIB / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_training_learns_the_task(
    precision: Precision, config: Config, splits: SearchSplits, on_gpu: TrainPlan
) -> None:
    if precision == "bf16" and not has_bf16("cuda"):
        pytest.skip("this GPU has no bfloat16")
    plan = replace(on_gpu, precision=precision, epochs=6)
    trial = ImageTrial({**config, "lr": 5e-3}, splits=splits, plan=plan)
    reports = [trial.step() for _ in range(6)]
    assert float(reports[-1]["accuracy"]) > 0.9
    assert float(reports[-1]["train_loss"]) < float(reports[0]["train_loss"])


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_checkpoint_resumes_in_another_training(
    precision: Precision, config: Config, splits: SearchSplits, on_gpu: TrainPlan, tmp_path: Path
) -> None:
    config, plan = {**config, "mixup": 0.2, "drop_path": 0.2}, replace(on_gpu, precision=precision)
    whole = ImageTrial(config, splits=splits, plan=plan)
    expected = [whole.step() for _ in range(3)]
    first = ImageTrial(config, splits=splits, plan=plan)
    first.step()
    first.save(tmp_path / "checkpoint")
    first.close()
    torch.cuda.manual_seed(99)  # another process is at another place of its random numbers
    second = ImageTrial(config, splits=splits, plan=plan)
    second.load(tmp_path / "checkpoint")
    for wanted in expected[1:]:
        found = second.step()
        # Sums on a GPU have no fixed order, so not to the last digit.
        assert found["train_loss"] == pytest.approx(wanted["train_loss"], rel=0.02)


def test_student_learns_from_a_teacher_that_knows_other_pixels(
    config: Config, splits: SearchSplits, on_gpu: TrainPlan
) -> None:
    """Its batches are recorded with the teacher in them."""
    plan, own = replace(on_gpu, epochs=6), replace(splits.info, mean=(0.5,) * 3, std=(0.5,) * 3)
    teacher = Trainer({**config, "lr": 5e-3}, own, splits.train, plan)
    for _ in range(6):
        teacher.train_round()
    student = Trainer({**config, "lr": 5e-3}, splits.info, splits.train, plan)
    shown = Shown(teacher.model, own, teacher.size, splits.info).to("cuda").eval()
    student.lesson = Lesson(student.batches, "classification", splits.info.img_size, shown)
    losses = [student.train_round() or 0.0 for _ in range(6)]
    assert 0.0 < losses[-1] < losses[0]
    found = [
        predict_rows(one.averaged, splits.val, info, size=32, device="cuda")[0].argmax(1)
        for one, info in ((student, splits.info), (teacher, own))
    ]
    assert float((found[0] == found[1]).float().mean()) > 0.9


def test_model_scores_the_same_on_both_processors(
    config: Config, splits: SearchSplits, on_gpu: TrainPlan
) -> None:
    trainer = Trainer(config, splits.info, splits.train, on_gpu)
    trainer.train_round()
    scores, _ = predict_rows(trainer.averaged, splits.val, splits.info, size=trainer.size, device="cuda")
    there, _ = predict_rows(trainer.averaged.cpu(), splits.val, splits.info, size=trainer.size)
    assert torch.allclose(scores, there, atol=0.02)  # convolutions of a GPU round to 10 bits


def test_delivered_model_predicts_the_same_on_both_processors(
    config: Config, splits: SearchSplits, on_gpu: TrainPlan, tmp_path: Path
) -> None:
    config = {**config, "model": "resnet18", "hflip": True}
    trainer = Trainer(config, splits.info, splits.train, on_gpu)
    trainer.train_round()
    write_model_folder(tmp_path, trainer.averaged, config, splits.info, size=trainer.size)
    pixels = np.load(splits.val.images)[:50]
    here, there = (
        Predictor.load(tmp_path, device=device).predict_pixels(pixels) for device in ("cpu", "cuda")
    )
    assert np.abs(here - there).max() < 1e-4 and here.std() > 0.01
    assert torch.backends.cudnn.allow_tf32  # training may round
    large = partial(seconds_per_image, create("resnet50", num_classes=3), splits.info, 224, threads=1)
    assert large(device="cuda") < 0.2 * large(device="cpu")


def test_memory_comes_back_after_each_trial(config: Config, splits: SearchSplits, on_gpu: TrainPlan) -> None:
    def run(model: str) -> int:
        trial = ImageTrial({**config, "model": model}, splits=splits, plan=on_gpu)
        trial.step()
        trial.close()
        return torch.cuda.memory_reserved()

    first = [run(model) for model in ("resnet10t", "test_vit")]
    assert [run(model) for model in ("resnet10t", "test_vit") * 2] == first * 2


@pytest.mark.usefixtures("narrow")
def test_batch_that_does_not_fit_is_trained_in_parts_and_its_memory_comes_back(
    config: Config, splits: SearchSplits, on_gpu: TrainPlan
) -> None:
    config = {**config, "model": "resnet50", "upscale": 3.0, "batch_size": 128}
    before = held("cuda")
    trial = ImageTrial(config, splits=splits, plan=on_gpu)
    report = trial.step()
    assert 2 <= float(report["micro_batch"]) < 128 and float(report["train_loss"]) > 0
    assert not trial.spent
    trial.close()
    gc.collect()
    assert held("cuda") - before < 64 * MIB  # workspaces of the libraries stay


def test_probe_finds_a_precision_and_the_memory_that_it_takes(
    config: Config, splits: SearchSplits, on_gpu: TrainPlan
) -> None:
    found = probe({**config, "model": "resnet10t"}, splits, on_gpu, seconds=0.3)
    assert found.images_per_second > 100 and found.precision in ("fp32", "bf16", "fp16")
    # Weights of 5 million, twice their gradients and moments, and activations.
    assert 60 * MIB < found.gpu_memory < 4096 * MIB


def test_images_that_leave_no_room_stay_in_the_memory_of_the_machine(
    splits: SearchSplits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_batch() -> torch.Tensor:
        batches = Batches(splits.train, batch_size=16, info=splits.info, shuffle=True, seed=0, device="cuda")
        return next(iter(batches.epoch(0)))[0]

    before = torch.cuda.memory_allocated()
    there = first_batch()
    monkeypatch.setattr("automl.data.loading.batches._RESIDENT_SHARE", 0.0)
    from_host = first_batch()
    assert torch.equal(there, from_host)
    assert torch.cuda.memory_allocated() - before < 2 * MIB  # both batches, and nothing of the 144 images


def test_recorded_batches_train_the_same_network(
    config: Config, splits: SearchSplits, on_gpu: TrainPlan
) -> None:
    def losses(*, record: bool) -> list[float]:
        trainer = Trainer({**config, "mixup": 0.2}, splits.info, splits.train, on_gpu)
        recorder = trainer.gradients.recorder
        if not record:
            trainer.gradients.recorder = None
        found = [float(trainer.train_round() or 0.0) for _ in range(2)]
        assert recorder is not None and (recorder.recording is not None) is record and not recorder.refused
        return found

    assert losses(record=True) == pytest.approx(losses(record=False), rel=0.02)


class Waits(nn.Module):
    """Drops features, and asks the GPU for a number on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(48, 3)

    def forward(self, images: Tensor) -> Tensor:
        flat = nn.functional.dropout(images.flatten(1), 0.5, self.training)
        found: Tensor = self.head(flat) * (1.0 if float(flat.sum()) > 0 else 2.0)
        return found


@pytest.mark.parametrize("found_out", ["before", "while it is recorded"])
def test_network_that_cannot_be_recorded_is_trained_as_it_comes(
    found_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if found_out != "before":
        monkeypatch.setattr(Recorder, "_without_waiting", lambda self, inputs: self.function(*inputs))
    model = Waits().cuda()
    gradients = Gradients(model, lambda x, y: nn.functional.cross_entropy(model(x), y), record=True)
    images, targets = torch.rand(32, 3, 4, 4, device="cuda"), torch.arange(32, device="cuda") % 3
    losses = {float(gradients(images, targets)) for _ in range(8)}
    assert len(losses) == 8 and all(loss > 0 for loss in losses)  # another dropout each time
    assert (
        gradients.recorder is not None and gradients.recorder.refused and gradients.recorder.recording is None
    )
    assert model.head.weight.grad is not None and bool(model.head.weight.grad.isfinite().all())


def test_processor_is_two_steps_ahead_of_the_gpu_at_most() -> None:
    pace, cycles = Pace("cuda"), 100_000_000  # some 50 ms
    sleep: Callable[[int], None] = torch.cuda._sleep
    sleep(cycles)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(12):
        sleep(cycles)
        pace.step()
    asked = time.perf_counter() - begun
    torch.cuda.synchronize()
    assert asked > 0.7 * (time.perf_counter() - begun)  # ten of twelve steps were waited for


def test_whole_study_of_small_images(tmp_path: Path) -> None:
    found = load_digits()
    images = (found.images * 15.9).astype(np.uint8)
    chosen = {"engine": "local", "time_limit": 45.0, "study": "tiny", "pretrained": "never"}
    result = pipeline.fit(configuration.load((images, found.target), directory=tmp_path, **chosen))
    said = json.loads((result.directory / "plan.json").read_text())
    assert said["device"] == "cuda" and said["space_used"] == "small"
    written = result.to_json()
    assert written["retrain"]["how"] == "retrained" and written["retrain"]["epochs"] > 10
    assert written["time"]["used_s"] < 46.0 and written["time"]["holdout_s"] < 5.0
    assert written["holdout"]["accuracy"]["value"] > 0.95
