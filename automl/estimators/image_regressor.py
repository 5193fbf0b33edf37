"""`automl.ImageRegressor`."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin

from automl.estimators.image_estimator import ImageEstimator, InputError, as_data


class ImageRegressor(RegressorMixin, ImageEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The best regression from images to numbers within a time limit, as an estimator of scikit-learn.

    The parameters, and what there is after `fit`, are those of `ImageClassifier`, without classes. `score` is R².
    """

    _task = "regression"

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Find and train the model.

        `X` and `groups` are as in `ImageClassifier.fit`. `y`: (n,) or (n, outputs), finite numbers.
        Raises DataError for what cannot be used, and the other errors of `automl.fit`.
        """
        if y is not None:
            y = _numbers(y)
        self._fit_study(as_data(X, y, groups))
        self._flat = len(self.predictor_.classes) == 1 if y is None else y.ndim == 1
        if isinstance(X, np.ndarray) and X.dtype.kind in "buif":
            self.n_features_in_ = int(np.prod(X.shape[1:]))
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the values of each image: (n,), or (n, outputs) if `y` had two dimensions."""
        found = self._scores(X)
        return found[:, 0] if self._flat else found


def _numbers(y: Any) -> npt.NDArray[np.float64]:
    try:
        given = np.asarray(y)
        if given.dtype.kind == "c":
            raise TypeError("Complex data not supported")
        found = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"y must hold numbers, but {error}") from error
    if found.ndim not in (1, 2) or not np.isfinite(found).all():
        raise InputError(f"y must hold finite numbers, (n,) or (n, outputs), got an array of {found.shape}")
    return found
