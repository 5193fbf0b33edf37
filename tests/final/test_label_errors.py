"""Images that look like another class than that of their label."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from automl.final.label_errors import (
    _FeatureExtractor,
    agreement,
    find_label_errors,
    merge_tables,
    summary_sentence,
)

CLASSES = ("ant", "bee", "fly")


def _noisy(
    wrong: int, *, n: int = 300, seed: int = 0
) -> tuple[npt.NDArray[np.float32], list[str], list[int]]:
    """Scores of a fair model, labels of which the first `wrong` are false, and the true classes."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 3, n)
    logits = rng.normal(0, 0.7, (n, 3))
    logits[np.arange(n), true] += 4
    logits[:, 1] -= 1  # less sure of bees, which the thresholds make up for
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = true.copy()
    given[:wrong] = (true[:wrong] + 1) % 3
    return scores.astype(np.float32), [CLASSES[i] for i in given], true.tolist()


def _files(n: int) -> list[str]:
    return [f"{i}.jpg" for i in range(n)]


@pytest.mark.parametrize(
    ("right", "classes", "expected"),
    [(61, 2, 0.22), (75, 2, 0.5), (55, 10, 0.5), (100, 3, 1.0), (0, 2, -1.0)],
)
def test_agreement_counts_what_is_right_beyond_chance(right: int, classes: int, expected: float) -> None:
    names = [str(number) for number in range(classes)]
    true = np.repeat(np.arange(classes), 100)
    wrong = np.tile(np.arange(100) >= right, classes)
    # what is wrong goes to the other classes in turn, so that each is said equally often
    said = np.where(
        wrong, (true + 1 + np.tile(np.arange(100), classes) % max(1, classes - 1)) % classes, true
    )
    scores = np.eye(classes, dtype=np.float32)[said]
    assert agreement(scores, [names[i] for i in true], names) == pytest.approx(expected, abs=0.01)


def test_agreement_about_a_single_class_is_none() -> None:
    assert agreement(np.ones((4, 1), dtype=np.float32), ["a"] * 4, ["a"]) == 0.0


def test_false_labels_are_found_and_their_class_is_suggested() -> None:
    scores, given, true = _noisy(20)
    table = merge_tables([find_label_errors(scores, _files(300), given, CLASSES)])
    assert tuple(table.columns) == ("file", "given_label", "suggested_label", "confidence")
    found = {
        int(name[:-4]): label for name, label in zip(table["file"], table["suggested_label"], strict=True)
    }
    assert len(set(range(20)) & set(found)) >= 14
    assert len(set(found) - set(range(20))) <= 3
    assert all(found[i] == CLASSES[true[i]] for i in set(range(20)) & set(found))
    assert (table["given_label"] != table["suggested_label"]).all()


def test_clearest_label_error_comes_first() -> None:
    scores = np.array([[0.9, 0.1, 0], [0.1, 0.9, 0], [0.01, 0.99, 0], [0.2, 0.8, 0]], dtype=np.float32)
    table = merge_tables([find_label_errors(scores, _files(4), ["ant", "bee", "ant", "ant"], CLASSES)])
    assert table["file"].tolist()[0] == "2.jpg"
    assert table["confidence"].tolist()[0] == pytest.approx(0.99)
    assert "fly" not in set(table["suggested_label"]), "no image is given as one"


def test_clean_labels_give_an_empty_table_and_no_sentence() -> None:
    scores = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    table = merge_tables([find_label_errors(scores, _files(4), ["ant", "bee", "fly", "ant"], CLASSES)])
    assert table.empty
    assert tuple(table.columns) == ("file", "given_label", "suggested_label", "confidence")
    assert summary_sentence(table, 4) == ""


def test_sentence_names_the_clearest_label_error() -> None:
    scores, given, _ = _noisy(9, n=1200)
    text = summary_sentence(merge_tables([find_label_errors(scores, _files(1200), given, CLASSES)]), 1200)
    assert (
        " of 1,200 validation images may have a wrong label, see label_errors.csv; the clearest is " in text
    )
    assert "(labelled " in text and ", probably " in text


def test_features_of_an_own_network_are_what_its_last_linear_layer_is_given() -> None:
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU())
    network = nn.Sequential(trunk, nn.Linear(5, 2), nn.Dropout(0.5)).eval()
    images = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(_FeatureExtractor(network)(images), trunk(images))
    assert not any(layer._forward_pre_hooks for layer in network.modules())


def test_network_without_a_linear_layer_gives_its_answer() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1))
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(_FeatureExtractor(network)(images), network(images).flatten(1))
