"""scikit-learn's own checks of estimators, as far as they need no table of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from automl.estimators.image_classifier import ImageClassifier
from automl.estimators.image_regressor import ImageRegressor

TABLE = "it fits a table (n, features), and images have at least three dimensions"
SPARSE = "it expects an error that speaks of sparse tables; a sparse matrix is no list of images"
MESSAGE = "it expects scikit-learn's own words; ours say what to do"
EXPECTED_FAILED = {
    **dict.fromkeys(
        (
            "check_array_api_input",
            "check_classifier_data_not_an_array",
            "check_classifiers_classes",
            "check_classifiers_one_label",
            "check_classifiers_train",
            "check_dict_unchanged",
            "check_dont_overwrite_parameters",
            "check_dtype_object",
            "check_estimators_dtypes",
            "check_estimators_fit_returns_self",
            "check_estimators_overwrite_params",
            "check_estimators_pickle",
            "check_f_contiguous_array_estimator",
            "check_fit2d_predict1d",
            "check_fit_check_is_fitted",
            "check_fit_idempotent",
            "check_fit_score_takes_y",
            "check_n_features_in",
            "check_n_features_in_after_fitting",
            "check_positive_only_tag_during_fit",
            "check_readonly_memmap_input",
            "check_regressor_data_not_an_array",
            "check_regressors_int",
            "check_regressors_no_decision_function",
            "check_regressors_train",
            "check_supervised_y_2d",
        ),
        TABLE,
    ),
    **dict.fromkeys(
        ("check_estimator_sparse_array", "check_estimator_sparse_matrix", "check_estimator_sparse_tag"),
        SPARSE,
    ),
    **dict.fromkeys(
        (
            "check_estimators_empty_data_messages",
            "check_estimators_nan_inf",
            "check_fit2d_1feature",
            "check_fit2d_1sample",
            "check_requires_y_none",
        ),
        MESSAGE,
    ),
    "check_pipeline_consistency": "it is skipped for estimators that a time limit makes differ from fit to fit",
}


class _Classifier(ImageClassifier):
    """An estimator that claims to take tables, so that scikit-learn makes all its checks."""

    def __sklearn_tags__(self) -> Any:
        return _as_of_tables(super().__sklearn_tags__())


class _Regressor(ImageRegressor):
    """The same for a regression."""

    def __sklearn_tags__(self) -> Any:
        return _as_of_tables(super().__sklearn_tags__())


def _as_of_tables(tags: Any) -> Any:
    tags.input_tags.two_d_array = True
    return tags


def checks() -> Iterator[Any]:
    for estimator in (_Classifier(n_trials=1, engine="local"), _Regressor(n_trials=1, engine="local")):
        for one, check in estimator_checks_generator(estimator):
            name = _name_of(check)
            yield pytest.param(one, check, name, id=f"{type(one).__name__}-{name}")


def _name_of(check: Any) -> str:
    while hasattr(check, "func"):
        check = check.func
    return str(check.__name__)


@pytest.mark.parametrize(("estimator", "check", "name"), [*checks()])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_checks_pass_but_those_of_tables(estimator: Any, check: Any, name: str) -> None:
    if name in EXPECTED_FAILED:
        with pytest.raises(BaseException):  # noqa: B017  # a skip, too, is none of Exception
            check(estimator)
        return
    check(estimator)


def test_estimators_say_that_they_take_no_tables() -> None:
    for estimator in (ImageClassifier(), ImageRegressor()):
        with pytest.warns(SkipTestWarning, match="Can't test estimator Image"):
            check_estimator(estimator)
