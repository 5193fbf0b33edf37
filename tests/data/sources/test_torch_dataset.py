"""Map-style Datasets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import random_image

_PIXELS = np.random.default_rng(0).integers(0, 256, (4, 3, 6, 5), dtype=np.uint8)


class _Items(Dataset[Any]):
    """A Dataset of given items, which counts how often one is taken."""

    def __init__(self, *items: Any, **attributes: Any) -> None:
        self.items, self.taken = items, 0
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        self.taken += 1
        return self.items[i]


def test_tensor_dataset_of_torch_is_read() -> None:
    source = open_source(TensorDataset(torch.from_numpy(_PIXELS) / 255, torch.tensor([1, 0, 1, 0])))
    assert (source.name, source.task, source.classes) == ("TensorDataset", "classification", ("0", "1"))
    assert np.array_equal(np.asarray(source.load(2)), np.moveaxis(_PIXELS[2], 0, 2))


def test_names_and_labels_of_the_dataset_are_used() -> None:
    pairs = [(np.moveaxis(image, 0, 2), i % 2) for i, image in enumerate(_PIXELS)]
    dataset = _Items(*pairs, targets=[0, 1, 0, 1], classes=["cat", "dog"])
    source = open_source(dataset)
    assert (source.classes, source.targets.tolist()) == (("cat", "dog"), [0, 1, 0, 1])
    assert dataset.taken <= 4  # to check that it gives pairs, its labels, and the same ones each time


def test_vectors_are_several_labels_or_numbers() -> None:
    labels = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 1.0]), torch.zeros(2)]
    several = open_source(TensorDataset(torch.from_numpy(_PIXELS), torch.stack(labels)))
    assert (several.task, several.targets.tolist()) == ("multilabel", [[1, 0], [0, 1], [1, 1], [0, 0]])
    numbers = open_source(TensorDataset(torch.from_numpy(_PIXELS), torch.tensor([0.5, 1.5, 2.0, 3.0])))
    assert (numbers.task, numbers.targets.shape) == ("regression", (4, 1))


def test_random_transform_is_refused() -> None:
    class Noisy(_Items):
        def __getitem__(self, i: int) -> Any:
            self.taken += 1
            return np.full((4, 4, 3), self.taken, dtype=np.uint8), i

    with pytest.raises(DataError, match="remove random transforms"):
        open_source(Noisy(1, 2))


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (_Items(), "must have items, but its length is 0"),
        (_Items(_PIXELS[0], _PIXELS[1]), "pairs .image, label., not ndarray"),
        (_Items((_PIXELS[0], "a"), (_PIXELS[1], None)), "every item of a Dataset must have a label"),
    ],
)
def test_dataset_that_cannot_be_used_says_why(dataset: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(dataset)


def test_item_that_raises_is_a_bad_one() -> None:
    class Torn(_Items):
        def __getitem__(self, i: int) -> Any:
            if i == 1:
                raise OSError("disk gone")
            return super().__getitem__(i)

    source = open_source(Torn(*[(image, i % 2) for i, image in enumerate(_PIXELS)], targets=[0, 1, 0, 1]))
    with pytest.raises(DataError, match="00001: the Dataset raised OSError: disk gone"):
        source.load(1)


class _Named:
    """Four images of three classes, one of which has no image; labels are known with and without reading them."""

    classes = ("cat", "dog", "owl")

    def __init__(self, *, known: bool) -> None:
        self.reads = 0
        if known:
            self.targets = [0, 2, 2, 0]

    def __len__(self) -> int:
        return 4

    def __getitem__(self, i: int) -> tuple[Image.Image, int]:
        self.reads += 1
        return random_image(i), (0, 2, 2, 0)[i]


@pytest.mark.parametrize("known", [True, False])
def test_names_of_classes_survive_subsets_and_joins(known: bool) -> None:
    whole: Any = _Named(known=known)
    part = Subset(whole, [3, 1])
    joined: Any = ConcatDataset([Subset(part, [0]), whole])
    assert open_source(whole).classes == ("cat", "owl")
    whole.reads = 0
    source = open_source(part)
    assert (source.classes, source.targets.tolist()) == (("cat", "owl"), [0, 1])
    assert (whole.reads < 5) == known
    assert open_source(joined).targets.tolist() == [0, 0, 1, 1, 0]
    assert open_source(joined).classes == ("cat", "owl")


@pytest.mark.parametrize("kind", ["floats", "deep PIL", "uint16"])
def test_items_share_one_range_of_their_pixels(kind: str) -> None:
    greys = (0.1, 0.4, 0.2, 0.8)
    make: dict[str, Any] = {
        "floats": lambda grey: torch.full((3, 4, 4), grey),
        "deep PIL": lambda grey: Image.fromarray(np.full((4, 4), int(4095 * grey), dtype=np.uint16)),
        "uint16": lambda grey: np.full((4, 4), int(4095 * grey), dtype=np.uint16),
    }
    source: Any = open_source(_Items(*((make[kind](grey), i % 2) for i, grey in enumerate(greys))))
    assert source.pixel_range == ((0, 1) if kind == "floats" else (0, 4095))
    assert [int(np.asarray(source.load(i)).mean()) for i in range(4)] == pytest.approx(
        [255 * grey for grey in greys], abs=1
    )


def test_normalized_items_are_refused() -> None:
    with pytest.raises(DataError, match=r"they lie in -1\.\.1: leave out their normalization"):
        open_source(_Items((torch.full((3, 4, 4), -1.0), 0), (torch.ones(3, 4, 4), 1)))


def test_dataset_whose_first_item_raises_is_refused() -> None:
    class Broken(Dataset[Any]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> Any:
            raise KeyError("gone")

    with pytest.raises(
        DataError, match="first item of a Dataset must be readable, but Broken raised KeyError"
    ):
        open_source(Broken())
