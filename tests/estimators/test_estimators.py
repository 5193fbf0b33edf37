"""`fit` as estimators of scikit-learn, on tiny images."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import automl
from automl.errors import DataError
from automl.estimators.image_classifier import ImageClassifier
from automl.estimators.image_regressor import ImageRegressor

QUICK: dict[str, Any] = {
    "n_trials": 1,
    "engine": "local",
    "space": "smoke",
    "pretrained": "never",
    "options": {"epochs": 8},
}


def shades(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Grey noise (n, 8, 8), and by turns 0 for dark and 1 for bright."""
    labels = np.arange(n) % 2
    noise = np.random.default_rng(0).integers(0, 60, (n, 8, 8))
    return (noise + 150 * labels[:, None, None]).astype(np.uint8), labels


@pytest.fixture(scope="module")
def fitted() -> ImageClassifier:
    images, labels = shades()
    return ImageClassifier(**QUICK).fit(images, np.array(["no", "yes"])[labels])


pytestmark = pytest.mark.study


def test_classes_come_back_in_the_order_of_the_columns(fitted: ImageClassifier) -> None:
    images, labels = shades()
    found = fitted.predict_proba(images)
    assert fitted.classes_.tolist() == ["no", "yes"] and found.shape == (60, 2)
    assert fitted.score(images, np.array(["no", "yes"])[labels]) > 0.9
    assert fitted.predict(images).tolist() == fitted.classes_[found.argmax(axis=1)].tolist()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    assert fitted.n_features_in_ == 64
    assert isinstance(fitted.result_, automl.FitResult) and fitted.result_.holdout["accuracy"].value > 0.5
    assert fitted.predictor_.classes == ("no", "yes")


@pytest.mark.parametrize("names", [np.array([7.0, 3.0]), np.array(["10", "9"])])
def test_classes_of_any_type_come_back_as_they_were(names: np.ndarray) -> None:
    images, labels = shades()
    model = ImageClassifier(**QUICK).fit(images, names[labels])
    assert model.classes_.tolist() == sorted(names.tolist()) and model.classes_.dtype == names.dtype
    assert model.score(images, names[labels]) > 0.9


def test_lists_of_images_and_paths_are_taken(tmp_path: Path) -> None:
    images, labels = shades(40)
    pictures = [Image.fromarray(image) for image in images]
    paths = []
    for i, picture in enumerate(pictures):
        place = tmp_path / "photos" / ("dark", "bright")[labels[i]] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        picture.save(place)
        paths.append(str(place))
    y = np.array(["dark", "bright"])[labels]
    for X, target in ((pictures, y), (str(tmp_path / "photos"), None)):
        model = ImageClassifier(**QUICK).fit(X, target)
        assert model.classes_.tolist() == ["bright", "dark"]
        assert (model.predict(paths) == y).mean() > 0.9
        assert not hasattr(model, "n_features_in_")


def test_fitted_estimator_pickles_with_its_model_and_needs_no_folder(fitted: ImageClassifier) -> None:
    images, _ = shades()
    before = fitted.predict_proba(images)
    own = ImageClassifier(**QUICK).fit(images, shades()[1])
    expected, folder = own.predict_proba(images), own.result_.directory
    assert folder.is_dir()
    text = pickle.dumps(own)
    del own
    assert not folder.parent.exists()  # it lived as long as the estimator
    again = pickle.loads(text)
    np.testing.assert_allclose(again.predict_proba(images), expected, atol=1e-6)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(again)).predict_proba(images), expected, atol=1e-6)
    assert again.result_.holdout and again.get_params()["space"] == "smoke"
    np.testing.assert_array_equal(fitted.predict_proba(images), before)


def test_clone_has_the_parameters_and_no_model(fitted: ImageClassifier) -> None:
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert copied.set_params(seed=3).seed == 3 and fitted.seed == 0
    with pytest.raises(NotFittedError, match="not fitted yet"):
        copied.predict(shades()[0])


def test_it_works_within_a_pipeline_and_a_cross_validation() -> None:
    images, labels = shades(80)
    pairs = np.arange(80) // 2
    inverted = make_pipeline(FunctionTransformer(np.invert), ImageClassifier(**QUICK))
    given = {"imageclassifier__groups": pairs}
    scores = cross_val_score(inverted, images, labels, cv=KFold(2), params=given)
    assert scores.shape == (2,) and scores.min() > 0.8


def test_groups_stay_together() -> None:
    images, labels = shades(60)
    groups = np.array([f"patient {i // 6}" for i in range(60)])
    model = ImageClassifier(**QUICK).fit(images, labels, groups=groups)
    table = np.genfromtxt(model.result_.directory / "splits.csv", delimiter=",", dtype=str, skip_header=1)
    parts = [set(table[groups == group, 2].tolist()) for group in np.unique(groups)]
    assert all(len(part) == 1 for part in parts) and set().union(*parts) == {"train", "val", "holdout"}
    with pytest.raises(DataError, match="groups must have one entry for each of 60 images, not 3"):
        ImageClassifier(**QUICK).fit(images, labels, groups=[1, 2, 3])


def test_studies_are_kept_in_a_directory_one_for_each_fit(tmp_path: Path) -> None:
    images, labels = shades(40)
    model = ImageClassifier(**QUICK, directory=tmp_path / "kept")
    first = model.fit(images, labels).result_
    second = model.fit(images, labels).result_
    assert [first.study, second.study] == ["image-classification-1", "image-classification-2"]
    assert second.to_json()["warm_start"] == []  # its rows may be tested on
    del model
    assert automl.load("image-classification-1", directory=tmp_path / "kept").predict(images[:1])


def test_regression_gives_values_in_the_shape_of_the_targets() -> None:
    images, labels = shades()
    y = images.mean(axis=(1, 2)) / 10.0
    model = ImageRegressor(**QUICK).fit(images, y)
    assert model.predict(images).shape == (60,) and model.score(images, y) > 0.5
    both = ImageRegressor(**QUICK).fit(images, np.column_stack([y, 3.0 - y]))
    assert both.predict(images).shape == (60, 2)


@pytest.mark.parametrize(
    ("X", "y", "said"),
    [
        (np.zeros((20, 64)), np.arange(20) % 2, r"X must hold images, .* not an array of \(20, 64\)"),
        (shades(20)[0], None, "y must be given, one target for each image"),
        (
            shades(20)[0],
            np.linspace(0, 1, 20),
            "y must have one class for each image, but Unknown label type",
        ),
        (shades(20)[0], np.zeros((20, 2)), "y must have one class for each image"),
        ("photos", [1], "y and groups must be left out for a path"),
    ],
)
def test_what_cannot_be_used_is_said(X: Any, y: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        ImageClassifier(**QUICK).fit(X, y)
    with pytest.raises(DataError, match="y must hold numbers"):
        ImageRegressor(**QUICK).fit(shades(20)[0], ["a"] * 20)
    with pytest.raises(DataError, match="y must hold finite numbers"):
        ImageRegressor(**QUICK).fit(shades(20)[0], [np.nan] * 20)


def test_failed_fit_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = ImageClassifier(**QUICK)
    with pytest.raises(DataError):
        model.fit(shades(20)[0], np.zeros(20))
    del model
    assert list(tmp_path.iterdir()) == []
