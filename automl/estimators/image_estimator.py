"""What the estimators share: the options of `fit`, the study behind each fit, and pickling."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

import automl
from automl.errors import DataError
from automl.final.model_folder import CONFIG, PREPROCESS, WEIGHTS
from automl.final.predictor import Predictor
from automl.records import Task
from automl.result import FitResult

TEMPORARY = "automl-estimator-"
_FILES = (CONFIG, PREPROCESS, WEIGHTS)


class InputError(DataError, ValueError):
    """X, y or groups cannot be used: a ValueError, as callers of estimators expect."""


class ImageEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The parameters are options of `automl.fit`, which `options` may complete by name.

    Each fit is a study of its own: in a new folder of `directory`, or in a temporary folder that is removed with the
    estimator. It learns nothing from the other studies there, because their rows may be those that this one is tested
    on. `verbose` above 0 shows the progress on stderr. Within `cross_val_score` and the like, `engine="local"` is best:
    it starts no processes.
    """

    _task: Task

    def __init__(
        self,
        *,
        time_limit: float | str | None = None,
        n_trials: int | None = None,
        metric: str = "auto",
        space: Any = "auto",
        pretrained: Any = "auto",
        seed: int = 0,
        parallel: int | None = None,
        engine: str = "ray",
        directory: str | os.PathLike[str] | None = None,
        options: Mapping[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        self.time_limit = time_limit
        self.n_trials = n_trials
        self.metric = metric
        self.space = space
        self.pretrained = pretrained
        self.seed = seed
        self.parallel = parallel
        self.engine = engine
        self.directory = directory
        self.options = options
        self.verbose = verbose

    def _fit_study(self, data: Any) -> None:
        """Run a study on data as `automl.fit` takes them; its result and its model stay in this object."""
        folder = self._new_folder()
        options: dict[str, Any] = {
            "time_limit": self.time_limit,
            "n_trials": self.n_trials,
            "metric": self.metric,
            "space": self.space,
            "pretrained": self.pretrained,
            "seed": self.seed,
            "parallel": self.parallel,
            "engine": self.engine,
            "warm_start": "none",
            **(self.options or {}),
        }
        self.result_: FitResult = automl.fit(
            data,
            study=folder.name,
            directory=folder.parent,
            task=self._task,
            progress=self.verbose > 0,
            **options,
        )
        self.predictor_: Predictor = self.result_.predictor
        self._model: dict[str, bytes] = {}

    def _new_folder(self) -> Path:
        """Make the folder of a new study, and remove the temporary one of the fit before."""
        name = "-".join(("image", self._task))
        self.__dict__.pop("_remove", lambda: None)()
        if self.directory is None:
            home = tempfile.mkdtemp(prefix=TEMPORARY)
            self._remove = weakref.finalize(self, shutil.rmtree, home, True)
            return Path(home) / name
        for number in count(1):
            folder = Path(self.directory) / f"{name}-{number}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:  # of an earlier fit, or of another process that fits now
                continue
            break
        return folder

    def _scores(self, X: Any) -> npt.NDArray[Any]:
        """Return the outputs of the model (n, outputs)."""
        check_is_fitted(self)
        return self.predictor_.predict_proba(images_in(X))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: the files of the model in place of the network and of a temporary folder."""
        state = dict(super().__getstate__())
        state.pop("_remove", None)
        if state.pop("predictor_", None) is not None:
            folder = self.result_.model_dir
            state["_model"] = self._model or {name: (folder / name).read_bytes() for name in _FILES}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what was pickled, and load the network."""
        super().__setstate__(state)
        if not state.get("_model"):
            return
        with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
            for name, content in self._model.items():
                (Path(folder) / name).write_bytes(content)
            self.predictor_ = Predictor.load(folder, factory=self.result_.factory)

    def __sklearn_tags__(self) -> Any:
        """Return what this takes: images, and no tables of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.non_deterministic = True  # where a time limit ends the search
        return tags


def images_in(X: Any) -> Any:
    """Return images as the rest of the package takes them: one channel of an array gets an axis of its own.

    Without it, images of a few columns could be taken for one image with channels. Raises DataError for a table.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind == "c":
        raise InputError(
            "X must hold real pixels. Complex data not supported: take their magnitude, for example"
        )
    if isinstance(X, np.ndarray) and X.dtype.kind in "buif":
        if X.ndim not in (3, 4):
            raise InputError(
                f"X must hold images, as an array (n, H, W) or (n, H, W, C) or as a list, not an array of {X.shape}: "
                "reshape it"
            )
        return X[..., None] if X.ndim == 3 else X
    return X


def as_data(X: Any, y: Any, groups: Any) -> Any:
    """Return images, targets and groups as `automl.fit` takes them.

    Raises DataError if there is a target for a path, or none for anything else.
    """
    if isinstance(X, (str, os.PathLike)):
        if y is not None or groups is not None:
            raise InputError(
                f"y and groups must be left out for a path, which has labels of its own, got {str(X)!r}"
            )
        return X
    if y is None:
        raise InputError(
            "y must be given, one target for each image, unless X is the path of labelled images"
        )
    images = images_in(X)
    return (images, y) if groups is None else (images, y, groups)
