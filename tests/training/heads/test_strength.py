"""The choice of strength and views by cross-validation on training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from automl.machine import Moment
from automl.records import DatasetInfo, SearchSplits, Task
from automl.training.heads import strength
from automl.training.heads.features import Features
from automl.training.heads.fit import Problem
from automl.training.heads.strength import DEFAULT, STRENGTHS, Choice, choose


@pytest.fixture
def info(splits: SearchSplits) -> DatasetInfo:
    return splits.info


def made(n: int, signal: float, *, views: int = 1, seed: int = 0) -> Features:
    """Features of three classes: 30 values with noise of deviation 1, in which the classes are `signal` apart."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    values = rng.normal(size=(views, n, 30)).astype(np.float32)
    values[:, np.arange(n), targets] += signal
    return Features(values, torch.from_numpy(targets))


def chosen(features: Features, info: DatasetInfo, seconds: float = 30.0) -> Choice:
    problem = Problem.of(info, "none")
    return choose(features, problem, until=Moment.now().later(seconds), threads=2, seed=0)


def test_noise_gets_a_stronger_penalty_than_clear_classes(info: DatasetInfo) -> None:
    assert chosen(made(90, 0.2), info).strength < chosen(made(90, 6.0), info).strength
    assert chosen(made(90, 0.0), info).strength == STRENGTHS[0]


def test_mirror_images_are_used_only_if_they_help(info: DatasetInfo) -> None:
    helpful = made(60, 1.0, views=2)
    assert chosen(helpful, info).views == 2
    # As with digits: the mirror image of one class looks like another one.
    values = helpful.values.copy()
    values[1] = values[0][:, [1, 0, *range(2, 30)]]
    assert chosen(Features(values, helpful.targets), info).views == 1


def test_both_views_of_an_image_are_in_the_same_part(info: DatasetInfo) -> None:
    # Features are noise, and mirror images are copies: whoever has seen one of them knows the other.
    noise = made(60, 0.0)
    twins = Features(np.concatenate([noise.values] * 2), noise.targets)
    assert chosen(twins, info).strength == STRENGTHS[0]


def test_same_seed_gives_the_same_choice(info: DatasetInfo) -> None:
    features = made(150, 0.8, views=2)
    assert chosen(features, info) == chosen(features, info)


def test_without_time_the_strength_is_the_default(info: DatasetInfo) -> None:
    assert chosen(made(60, 1.0, views=2), info, seconds=0.0) == Choice(DEFAULT, 1)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([], DEFAULT),
        ([2.0, 1.5, 1.0], DEFAULT),  # it still falls, so the best one is weaker
        ([2.0, 1.5, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5], STRENGTHS[7]),
        ([2.0, 1.5, 1.6], STRENGTHS[1]),
    ],
)
def test_path_that_is_cut_short_tells_what_it_can(losses: list[float], expected: float) -> None:
    table = np.array(losses + [np.nan] * (len(STRENGTHS) - len(losses)))
    assert strength._beyond([np.full(len(STRENGTHS), np.nan), table]) == expected


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_splits_score_every_image_once_and_fit_on_the_others(task: Task) -> None:
    targets = (
        np.arange(40) % 3 if task == "classification" else np.random.default_rng(0).normal(size=(40, 2)) > 0
    )
    splits = list(strength._splits(targets, task, np.random.default_rng(0)))
    assert len(splits) == 15
    for repeat in range(3):
        of = splits[5 * repeat : 5 * repeat + 5]
        assert sorted(np.concatenate([split.scored for split in of])) == list(range(40))
        assert all(sorted([*split.fitted, *split.scored]) == list(range(40)) for split in of)
    assert any((a.scored != b.scored).any() for a, b in zip(splits[:5], splits[5:10], strict=True))


def test_classes_are_spread_evenly_over_the_parts() -> None:
    targets = np.repeat([0, 1], [50, 5])
    for split in strength._splits(targets, "classification", np.random.default_rng(0)):
        assert (targets[split.scored] == 1).sum() == 1


def test_large_data_sets_are_chosen_on_a_part_with_all_classes() -> None:
    targets = np.repeat([0, 1], [9000, 100])
    splits = list(strength._splits(targets, "classification", np.random.default_rng(0)))
    assert len(splits) == 5
    images = np.concatenate([split.scored for split in splits])
    assert len(images) == strength.MOST_IMAGES
    assert 9 <= (targets[images] == 1).sum() <= 12


def test_class_with_one_image_is_no_obstacle(info: DatasetInfo) -> None:
    features = made(30, 2.0)
    targets = features.targets.clone()
    targets[targets == 2] = 1
    targets[0] = 2
    found = chosen(Features(features.values, targets), replace(info, class_counts=(9, 20, 1)))
    assert found.strength in STRENGTHS
