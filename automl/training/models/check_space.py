"""Check that training can apply everything that a search space samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from automl.errors import ConfigError, SpaceError, unknown_name
from automl.spaces import SearchSpace
from automl.spaces.architectures.capability import POOLS
from automl.training.models.finetune import FREEZE
from automl.training.models.hyperparameters import PARAMETERS
from automl.training.steps.optimizers import require_optimizer
from automl.training.steps.schedules import SCHEDULES


def check_space(space: SearchSpace) -> None:
    """Raise SpaceError, with all problems, for a space whose configurations cannot be trained.

    It needs families, an `lr`, timm's models and optimizers, known schedules, and only known parameters.
    """
    problems = list(_problems(space))
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise SpaceError(f"the search space {space.name!r} has {count}: " + "; ".join(problems))
    space.check_models()


def _problems(space: SearchSpace) -> Iterator[str]:
    if not space.families:
        yield "families must have at least one family of models"
    if "lr" not in space.parameters:
        yield "parameters must have lr"
    for name in space.parameters:
        if name not in PARAMETERS:
            yield unknown_name("parameter", name, PARAMETERS)
    for key, words in (("sched", tuple(SCHEDULES)), ("freeze", FREEZE), ("global_pool", POOLS)):
        yield from (unknown_name(key, name, words) for name in _choices(space, key) if name not in words)
    for name in _choices(space, "opt"):
        try:
            require_optimizer(name)
        except ConfigError as error:
            yield str(error)


def _choices(space: SearchSpace, name: str) -> list[str]:
    found: list[Any] = [
        c for domain in space.parameters.get(name, ()) for c in getattr(domain, "choices", ())
    ]
    return [str(choice) for choice in dict.fromkeys(found)]
