"""The metrics' registry."""

from __future__ import annotations

import pytest

from automl.config.metrics import METRICS, resolve_metric
from automl.errors import ConfigError
from automl.records import Task


@pytest.mark.parametrize(
    ("task", "name"),
    [("classification", "accuracy"), ("multilabel", "average_precision"), ("regression", "rmse")],
)
def test_auto_follows_the_task(task: Task, name: str) -> None:
    assert resolve_metric("auto", task).name == name


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_resolves_for_each_of_its_tasks(name: str) -> None:
    spec = METRICS[name]
    assert spec.name == name
    assert spec.description
    assert [resolve_metric(name, task) for task in spec.tasks] == [spec] * len(spec.tasks)


def test_metric_of_another_task_names_the_fitting_ones() -> None:
    with pytest.raises(
        ConfigError, match="must fit the task 'regression', got 'f1'; choose one of mae, r2, rmse"
    ):
        resolve_metric("f1", "regression")


def test_unknown_metric_gets_the_closest_match() -> None:
    with pytest.raises(ConfigError, match="unknown metric 'acuracy': did you mean 'accuracy'"):
        resolve_metric("acuracy", "classification")


def test_losses_are_minimised() -> None:
    assert {name for name, spec in METRICS.items() if spec.mode == "min"} == {"log_loss", "mae", "rmse"}
