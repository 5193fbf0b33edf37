"""`automl.ImageClassifier`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from automl.data.sources.labels import read_labels
from automl.estimators.image_estimator import ImageEstimator, InputError, as_data


class ImageClassifier(ClassifierMixin, ImageEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The best classifier of images within a time limit, as an estimator of scikit-learn.

        ImageClassifier(time_limit="10m").fit(X, y).predict(X)

    The parameters are options of `automl.fit`: `time_limit` (10 minutes without any limit), `n_trials`, `metric`,
    `space`, `pretrained`, `seed`, `parallel`, `engine`; further ones go into the dict `options`. `directory` keeps the
    studies; without it they are in a temporary folder. `verbose` above 0 shows the progress.

    After `fit`: `classes_` (n_classes,) in the order of the columns of `predict_proba`, `result_` (the FitResult),
    `predictor_` (the Predictor), and for an array `n_features_in_`, the numbers of an image. A fitted estimator pickles
    with its model; the files of its study, such as the leaderboard, are not part of it.
    """

    _task = "classification"

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Find and train the model.

        `X`: an array (n, H, W) or (n, H, W, C), a list of paths, PIL images, bytes or arrays, or without `y` the path
        of labelled images as `automl.fit` takes it. `y`: (n,) one class for each image, of any type. Images of one
        entry of `groups` (n,) stay together when validation images and a holdout are set apart.
        Raises DataError for what cannot be used, and the other errors of `automl.fit`.
        """
        names: npt.NDArray[Any] | None = None
        if y is not None:
            y = _one_class_each(y)
            known, codes = np.unique(y, return_inverse=True)
            names = known
            y = _as_names(known)[codes]
        self._fit_study(as_data(X, y, groups))
        if names is None:
            self.classes_ = np.array(self.predictor_.labels)
            self._columns = np.arange(len(self.classes_))
        else:
            self.classes_ = names
            given = [str(name) for name in _as_names(names).tolist()]
            self._columns = np.array([given.index(name) for name in self.predictor_.classes])
        if isinstance(X, np.ndarray) and X.dtype.kind in "buif":
            self.n_features_in_ = int(np.prod(X.shape[1:]))
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the class of each image, (n,)."""
        found = self.predict_proba(X)
        return np.asarray(self.classes_[found.argmax(axis=1)])

    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        """Return probabilities (n, n_classes). A class that had no image to train on has 0."""
        scores = self._scores(X)
        found = np.zeros((len(scores), len(self.classes_)), dtype=scores.dtype)
        found[:, self._columns] = scores
        return found


def _one_class_each(y: Any) -> npt.NDArray[Any]:
    try:
        found = np.asarray(column_or_1d(y))
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise ValueError("NaN or infinity is no class")
        check_classification_targets(found)
    except ValueError as error:
        raise InputError(f"y must have one class for each image, but {error}") from error
    return found


def _as_names(classes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the classes as the study gets them: as they are if it would give them back so, else their numbers."""
    names = [str(name) for name in classes.tolist()]
    if all(isinstance(name, str) for name in classes.tolist()):
        found = read_labels({"label": names}, task="classification")
        if found.kept.all() and sorted(found.classes) == sorted(names):
            return np.array(names, dtype=object)
    return np.arange(len(classes))
