"""Cross-validated probabilities: each row is classified by a model that did not train on its label.

The features come from a network that did see the labels and may remember some. Only the classifier on top is new for
every fold (otherwise as in Northcutt et al. 2021, section 4).
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

FOLDS = 3
_MAX_FEATURES = 64
_STEPS = 100


def out_of_fold(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    *,
    n_classes: int,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Return probabilities (n, n_classes) of rows with `features` (n, d), from logistic regressions on other folds.

    Rows of one group (duplicates) are in one fold, so that no duplicate confirms another's label. A class without rows
    in the other folds gets 0.
    """
    from sklearn.linear_model import LogisticRegression

    values = _reduced(features)
    fold_of = _folds(groups, seed)
    scores = np.zeros((len(values), n_classes), dtype=np.float32)
    for fold in range(FOLDS):
        held = fold_of == fold
        known = labels[~held]
        if not held.any() or not len(known):
            continue
        if len(np.unique(known)) == 1:
            scores[held, known[0]] = 1.0
            continue
        classifier = LogisticRegression(max_iter=_STEPS, C=0.1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an approximate solution is enough
            classifier.fit(values[~held], known)
        scores[np.ix_(held, classifier.classes_)] = classifier.predict_proba(values[held])
    return scores


def seconds_needed(n: int, n_classes: int) -> float:
    """Estimate the seconds that `out_of_fold` takes on one core."""
    return 0.2 + FOLDS * n * _MAX_FEATURES * n_classes * _STEPS * 4 / 2e9


def _reduced(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the first principal components, each with a standard deviation of 1."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    best = np.argsort(variances)[::-1][:_MAX_FEATURES]
    best = best[variances[best] > 1e-9 * max(float(variances.max()), 1e-12)]
    return np.asarray(centred @ axes[:, best] / np.sqrt(variances[best]))


def _folds(groups: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.int64]:
    _, number = np.unique(groups, return_inverse=True)
    turns = np.random.default_rng(seed).permutation(int(number.max(initial=-1)) + 1) % FOLDS
    return np.asarray(turns[number.ravel()], dtype=np.int64)
