"""An ensemble as one network. Model folders name it by the path of this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.records import Task
from automl.spaces.architectures.factories import ALL_DEPTHS, LINEAR_ON_PIXELS, create
from automl.torch_setup import import_timm
from automl.training.evaluate import fit_size
from automl.training.models.safe_arguments import plain_arguments
from automl.training.steps.losses import to_scores

MOST_MEMBERS, MOST_SIDE = 16, 2048
_TINY = 1e-7


@dataclass(frozen=True)
class Member:
    """A network of an ensemble: timm's name, or one of this package, its keywords, and its share of the mean.

    Its input has `side` pixels. It was trained on images that were stored with `stored` pixels a side and normalised by
    `mean` and `std`.
    """

    architecture: str
    arguments: Mapping[str, Any]
    side: int
    stored: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weight: float = 1.0

    @staticmethod
    def read(row: Any) -> Member:
        """Return a member of a file that anybody may have written. Raises ValueError for what no member is."""
        try:
            found = Member(
                architecture=str(row["architecture"]),
                arguments=plain_arguments(row["arguments"]),
                side=int(row["side"]),
                stored=int(row["stored"]),
                mean=tuple(float(value) for value in row["mean"]),
                std=tuple(float(value) for value in row["std"]),
                weight=float(row["weight"]),
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"a member of an ensemble lacks something: {error}") from error
        sides = 0 < found.side <= MOST_SIDE and 0 < found.stored <= MOST_SIDE
        if not (sides and 0.0 < found.weight <= 1.0 and all(value > 0 for value in found.std)):
            raise ValueError(f"a member of an ensemble has impossible sizes or weights: {found!r:.200}")
        own = found.architecture in (LINEAR_ON_PIXELS, ALL_DEPTHS)
        if not (own or import_timm().is_model(found.architecture)):
            raise ValueError(f"timm has no architecture {found.architecture!r:.100}")
        return found

    def build(self) -> nn.Module:
        """Return its network with random weights."""
        return create(self.architecture, **self.arguments)


class Ensemble(nn.Module):
    """The weighted mean of the probabilities of networks, as logits (B, num_classes); of a regression, of its outputs.

    It takes images (B, C, H, W) that are normalised by `mean` and `std`, and resizes them for each member.
    """

    def __init__(
        self,
        members: Sequence[Member],
        networks: Sequence[nn.Module],
        *,
        task: Task,
        mean: Sequence[float],
        std: Sequence[float],
        num_classes: int,
    ) -> None:
        super().__init__()
        self.members, self.task = tuple(members), task
        self.networks = nn.ModuleList(networks)
        self._mean, self._std, self._outputs = tuple(mean), tuple(std), num_classes

    @property
    def folder_arguments(self) -> dict[str, Any]:
        """The keywords of `ensemble` that build it again, for config.json."""
        return {
            "num_classes": self._outputs,
            "in_chans": len(self._mean),
            "task": self.task,
            "mean": list(self._mean),
            "std": list(self._std),
            "members": [asdict(member) for member in self.members],
        }

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the mean."""
        total: Tensor | None = None
        for member, network in zip(self.members, self.networks, strict=True):
            scores = member.weight * to_scores(network(self._seen(images, member)).float(), self.task)
            total = scores if total is None else total + scores
        assert total is not None, "an ensemble has members"
        if self.task == "regression":
            return total
        total = total.clamp(_TINY, 1.0 - _TINY)
        return total.log() if self.task == "classification" else torch.logit(total)

    def _seen(self, images: Tensor, member: Member) -> Tensor:
        """Return the images as a member takes them: as they were stored for it, normalised as it was trained."""
        if (self._mean, self._std) != (member.mean, member.std):
            pairs = zip(self._mean, self._std, member.mean, member.std, strict=True)
            scale, shift = zip(*((s / t, (m - n) / t) for m, s, n, t in pairs), strict=True)
            shape = (1, -1, 1, 1)
            images = images * images.new_tensor(scale).view(shape) + images.new_tensor(shift).view(shape)
        if member.stored < images.shape[-1]:  # stored images were made smaller without aliasing, too
            size = (member.stored, member.stored)
            images = F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
        return fit_size(images, member.side)


def ensemble(
    num_classes: int, in_chans: int, task: Task, mean: Sequence[float], std: Sequence[float], members: Any
) -> nn.Module:
    """Return a new ensemble from what a model folder says; its name is `factories.ENSEMBLE`.

    Raises ValueError for anything that is none.
    """
    if not isinstance(members, list) or not 0 < len(members) <= MOST_MEMBERS:
        raise ValueError(f"an ensemble must have 1 to {MOST_MEMBERS} members")
    read = [Member.read(row) for row in members]
    rows = [mean, std, *(each for one in read for each in (one.mean, one.std))]
    if task not in get_args(Task) or any(len(row) != in_chans for row in rows):
        raise ValueError("an ensemble must have a task, and a mean and a deviation for each channel")
    numbers = {"mean": [float(value) for value in mean], "std": [float(value) for value in std]}
    networks = [member.build() for member in read]
    return Ensemble(read, networks, task=task, num_classes=num_classes, **numbers)
