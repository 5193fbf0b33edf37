"""Labels of Datasets and the names of their classes."""

from __future__ import annotations

from typing import Any

import pytest
from torch.utils.data import ChainDataset, ConcatDataset, DataLoader, Dataset, IterableDataset, Subset

from automl.data.sources import open_source
from automl.errors import DataError
from tests.data.conftest import random_image

_NAMES = ("cat", "dog", "owl")


class _Items(Dataset[Any]):
    """Images with these labels, which may have attributes as those of torchvision have."""

    def __init__(self, labels: list[Any], **attributes: Any) -> None:
        self.labels_of_items = labels
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return len(self.labels_of_items)

    def __getitem__(self, i: int) -> Any:
        return random_image(i), self.labels_of_items[i]


def _words(source: Any) -> list[str]:
    return [source.classes[k] for k in source.targets.tolist()]


def test_joined_datasets_with_other_classes_are_put_together_by_name_and_told() -> None:
    first = _Items([0, 1, 2], classes=_NAMES)
    second = _Items([0, 1, 1], classes=("dog", "owl"))
    joined: Any = ConcatDataset([Subset(first, [2, 0, 1]), second])
    source = open_source(joined)
    assert _words(source) == ["owl", "cat", "dog", "dog", "owl", "owl"]
    assert any("put together by their names" in note for note in source.notes)
    nameless: Any = ConcatDataset([first, _Items([0, 1])])
    source = open_source(nameless)
    assert source.classes == ("0", "1", "2")
    assert any("check that a number means one class" in note for note in source.notes)


def test_target_transform_is_applied_and_takes_the_names() -> None:
    class Changed(_Items):
        target_transform: Any = None

        def __getitem__(self, i: int) -> Any:
            image, label = super().__getitem__(i)
            return image, self.target_transform(label)

    labels = [2, 0, 1, 2]
    whole = Changed(labels, targets=labels, classes=_NAMES, target_transform=lambda label: int(label == 1))
    for dataset in (whole, Subset(whole, range(4))):
        source = open_source(dataset)
        assert _words(source) == ["0", "0", "1", "0"]
        assert any("target_transform" in note for note in source.notes)


def test_labels_of_items_count_where_the_attribute_says_others() -> None:
    wrapped = _Items([1, 1, 0], targets=[0, 1, 0])
    assert _words(open_source(wrapped)) == ["1", "1", "0"]


def test_wrapper_with_other_labels_does_not_take_the_names_inside() -> None:
    inside = _Items([0, 1, 2], targets=[0, 1, 2], classes=_NAMES)
    assert open_source(_Items([0, 1, 2], dataset=inside)).classes == _NAMES
    source = open_source(_Items([1, 0, 0], dataset=inside))
    assert source.classes == ("0", "1")
    assert any("other labels than the one inside" in note for note in source.notes)


@pytest.mark.parametrize(
    "names",
    [
        {"classes": {0: "cat", 1: "dog", 2: "owl"}},
        {"class_to_idx": {"owl": 2, "cat": 0, "dog": 1}},
        {"idx_to_class": {2: "owl", 1: "dog", 0: "cat"}},
        {"class_names": list(_NAMES)},
        {"classes": [("cat", "Felis catus"), ("dog", "Canis familiaris"), ("owl", "Strix")]},
    ],
)
def test_names_of_classes_are_found_in_other_forms(names: dict[str, Any]) -> None:
    assert open_source(_Items([0, 1, 2], **names)).classes == _NAMES


@pytest.mark.parametrize(("names", "why"), [(["a", "b"], "there are 2"), (["a", "a", "b"], "are the same")])
def test_names_that_do_not_fit_the_labels_are_told(names: list[str], why: str) -> None:
    source = open_source(_Items([0, 1, 2], classes=names))
    assert source.classes == ("0", "1", "2")
    assert any(why in note for note in source.notes)


def test_items_may_be_dicts_with_image_and_label() -> None:
    class Dicts(_Items):
        def __getitem__(self, i: int) -> Any:
            return dict(zip(("pixel_values", "labels"), super().__getitem__(i), strict=True))

    source = open_source(Dicts(["b", "a"]))
    assert _words(source) == ["b", "a"]
    assert source.load(0).tobytes() == random_image(0).tobytes()

    class Odd(_Items):
        def __getitem__(self, i: int) -> Any:
            return {"x": 1}

    with pytest.raises(DataError, match="but have the keys x"):
        open_source(Odd([0, 1]))


class _Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(random_image(0), 0)])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DataLoader(_Items([0, 1])), "not the DataLoader of one: give its attribute dataset"),
        (_Stream(), "'_Stream' can only be gone through"),
        (ChainDataset([_Stream()]), "must have a length, but ChainDataset has none"),
        ([(random_image(i), i) for i in range(4)], r"not as 4 values \(lists of pairs"),
    ],
)
def test_what_is_no_map_style_dataset_is_refused_with_what_would_do(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(data)
