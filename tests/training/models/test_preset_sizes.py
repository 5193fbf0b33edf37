"""Networks of the presets run at every size that fine-tuning may choose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from automl.records import SearchSplits
from automl.spaces import SearchSpace, capabilities
from automl.spaces.architectures.factories import create
from automl.training.models.build import input_size, model_arguments
from automl.training.models.hyperparameters import Recipe
from automl.training.models.pretrained_weights import Weights

# Others take any size.
_BOUND = sorted(
    {
        model
        for preset in ("accuracy", "default", "mobile", "transformers")
        for members in SearchSpace.load(preset).families.values()
        for model in members
        if capabilities(model).img_size or capabilities(model).fixed_size
    }
)


def sizes() -> list[int]:
    """The sizes in the recipe that these presets share."""
    (size,) = SearchSpace.load("default").parameters["size"]
    return [int(side) for side in size.to_dict()["choices"]]


@pytest.mark.parametrize("model", _BOUND)
def test_network_that_is_bound_to_a_size_is_built_for_each(
    model: str, splits: SearchSplits, tmp_path_factory: pytest.TempPathFactory
) -> None:
    info = replace(splits.info, img_size=224)
    weights = Weights(model, tmp_path_factory.getbasetemp(), "folder", (0.5,), (0.5,))
    for size in sizes():
        recipe = Recipe(model, lr=0.1, pretrained=True, size=size)
        side = input_size(recipe, info)
        with torch.device("meta"):
            network = create(model, **model_arguments(recipe, info, weights)).eval()
            assert network(torch.zeros(1, info.in_chans, side, side)).shape == (1, info.n_outputs)
