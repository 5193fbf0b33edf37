"""Rows judged by a classifier that did not see their labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from automl.final.label_errors import find_label_errors, merge_tables
from automl.final.out_of_fold import out_of_fold, seconds_needed


def _clusters(n: int = 300, d: int = 100) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, n)
    centres = rng.normal(0, 1, (3, d))
    return (centres[labels] + rng.normal(0, 1, (n, d))).astype(np.float32), labels


def test_planted_labels_are_found_among_the_top() -> None:
    features, labels = _clusters()
    given = labels.copy()
    given[:24] = (given[:24] + 1) % 3
    scores = out_of_fold(features, given, np.arange(300), n_classes=3, seed=0)
    words = [str(label) for label in given]
    table = merge_tables([find_label_errors(scores, [str(i) for i in range(300)], words, ("0", "1", "2"))])
    top = [int(file) < 24 for file in table["file"][:24]]
    assert np.mean(top) > 0.8, "by chance 0.08"


def test_scores_do_not_depend_on_the_label_of_their_own_row_or_of_its_copy() -> None:
    features, labels = _clusters()
    features[1] = features[0]
    groups = np.arange(300)
    groups[1] = 0
    changed = labels.copy()
    changed[:2] = (labels[:2] + 1) % 3
    both = [out_of_fold(features, given, groups, n_classes=3, seed=0)[:2] for given in (labels, changed)]
    assert np.allclose(both[0], both[1])


def test_rare_and_missing_classes_have_probabilities_that_add_up() -> None:
    features, labels = _clusters()
    labels[5] = 3
    scores = out_of_fold(features, labels, np.arange(300), n_classes=5, seed=1)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert (scores[:, 4] == 0).all()
    assert scores[5, 3] == 0, "no other row is of its class"


def test_constant_features_and_one_class_give_no_error() -> None:
    scores = out_of_fold(
        np.ones((9, 4), dtype=np.float32), np.zeros(9, dtype=np.int64), np.arange(9), n_classes=2, seed=0
    )
    assert scores.argmax(axis=1).tolist() == [0] * 9


def test_time_needed_grows_with_rows_and_classes() -> None:
    assert seconds_needed(100, 2) < seconds_needed(50_000, 2) < seconds_needed(50_000, 100)
