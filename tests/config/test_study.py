"""StudyConfig: defaults, validation, messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.config import StudyConfig
from automl.errors import ConfigError


def test_defaults_are_valid_and_resolved() -> None:
    config = StudyConfig(data="photos/")
    assert (config.study, config.time_limit, config.n_trials) == ("photos", 600.0, None)
    assert config.max_disk == 20 * 1024**3
    assert config.study_dir == Path("studies/photos")
    assert config.fixed_task is None


def test_number_of_trials_replaces_the_default_time_limit() -> None:
    assert StudyConfig(data="digits", n_trials=5).time_limit is None
    assert StudyConfig(data="digits", n_trials=5, time_limit="1h").time_limit == 3600


@pytest.mark.parametrize(
    ("val", "folds", "share"),
    [(0.3, 0, 0.3), ("0.3", 0, 0.3), ("cv", 5, 0.2), ("cv:2", 2, 0.5), ("CV:10", 10, 0.1)],
)
def test_val_is_a_share_or_the_folds_of_a_cross_validation(val: Any, folds: int, share: float) -> None:
    found = StudyConfig(data="digits", val=val)
    assert (found.folds, found.val_share) == (folds, share)
    assert StudyConfig(data="digits", val=found.val) == found


def test_options_are_read_from_text_as_flags_give_them() -> None:
    config = StudyConfig(
        data="digits", n_trials="5", holdout="0.1", memory_limit="8G", img_size="32", study=2024
    )
    assert (config.n_trials, config.holdout, config.memory_limit) == (5, 0.1, 8 * 1024**3)
    assert (config.img_size, config.study) == (32, "2024")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_trials": 0}, r"^n_trials must be at least 1, got 0$"),
        ({"n_trials": 2.5}, r"^n_trials must be a whole number, got 2.5$"),
        ({"n_trials": True}, r"^n_trials must be a number, got True$"),
        ({"seed": -1}, r"^seed must be at least 0, got -1$"),
        ({"seed": 2**32}, r"^seed must be below 4.29497e\+09, got 4294967296$"),
        ({"holdout": 0}, r"^holdout must be above 0, got 0$"),
        ({"val": 0.9}, r"^val must be at most 0.8, got 0.9$"),
        ({"val": "x"}, r"^val must be a number, or 'cv' for cross-validation, got 'x'$"),
        ({"val": "cv:1"}, r"^val must be 'cv' or 'cv:K' with 2 to 10 folds, got 'cv:1'$"),
        ({"val": "cv:11"}, r"^val must be 'cv' or 'cv:K' with 2 to 10 folds, got 'cv:11'$"),
        ({"val": "cv5"}, r"^val must be 'cv' or 'cv:K' with 2 to 10 folds, got 'cv5'$"),
        (
            {"gpus_per_trial": float("inf")},
            r"^gpus_per_trial must be 'auto', a share such as 0.25, or a whole number of GPUs, got inf$",
        ),
        ({"time_limit": "soon"}, r"^time_limit must be a duration such as '10m'.*got 'soon'$"),
        ({"max_disk": "much"}, r"^max_disk must be a size such as '8G'.*got 'much'$"),
        (
            {"engine": "rey"},
            r"^unknown choice for engine 'rey': did you mean 'ray'\? Valid names: local, ray$",
        ),
        ({"on_bad_image": "stop"}, r"^unknown choice for on_bad_image 'stop': Valid names: error, skip$"),
        ({"task": "clasification"}, r"did you mean 'classification'\?"),
        ({"metric": "acuracy"}, r"^unknown metric 'acuracy': did you mean 'accuracy'\?"),
        ({"task": "regression", "metric": "f1"}, r"^metric must fit the task 'regression', got 'f1'; choose"),
        ({"pretrained": "nevr"}, r"did you mean 'never'\?.*or a folder with weights$"),
        (
            {"weights_licence": "any,mit"},
            r"^weights_licence must be 'any' alone or a list without it, got 'any,mit'$",
        ),
        (
            {"weights_licence": ""},
            r"^weights_licence must be 'permissive', 'any' or names of licences such as",
        ),
        ({"weights_licence": "apache 2"}, r"^weights_licence must be .* got 'apache 2'$"),
        ({"pretrained": "no/such"}, r"^pretrained must be .* got 'no/such': no such folder$"),
        (
            {"study": "a/b"},
            r"^study must be a name without path parts, got 'a/b'; set the folder with directory$",
        ),
        ({"storage": "db"}, r"^storage must be a database URL"),
        ({"address": "ann:pw@head:1"}, r"^address must be auto or HOST:PORT, without a user or a password"),
        ({"img_size": 3}, r"^img_size must be 'auto' or a whole number of at least 8 pixels, got 3$"),
        ({"img_size": "big"}, r"^img_size must be 'auto'"),
        ({"space": 3}, r"^space must be the name of a search space, a YAML file or a dict, got 3$"),
        ({"directory": ""}, r"^directory must be a folder, got ''$"),
        ({"overwrite": "maybe"}, r"^overwrite must be true or false, got 'maybe'$"),
        ({"n_trial": 3}, r"^unknown option 'n_trial': did you mean 'n_trials'\? Valid names: address, "),
    ],
)
def test_wrong_option_is_told_in_one_sentence(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudyConfig(data="digits", **options)


def test_all_problems_are_told_at_once_with_their_number() -> None:
    with pytest.raises(ConfigError) as caught:
        StudyConfig(data="digits", n_trials=0, tme_limit=3, engine="rey")
    text = str(caught.value)
    assert text.startswith(
        "3 problems: (1) n_trials must be at least 1, got 0; (2) unknown choice for engine 'rey'"
    )
    assert "(3) unknown option 'tme_limit': did you mean 'time_limit'" in text
    assert "\n" not in text


@pytest.mark.parametrize("data", [None, "", "  "])
def test_empty_data_are_refused(data: object) -> None:
    with pytest.raises(ConfigError, match="data must be a folder, a file, 'digits' or"):
        StudyConfig(data=data)


def test_missing_data_are_named() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^2 problems: \(1\) data must be given; \(2\) study must be given$|^data must be given$",
    ):
        StudyConfig()


def test_config_is_frozen() -> None:
    config = StudyConfig(data="digits")
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3


def test_arrays_are_kept_and_not_printed() -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]
    config = StudyConfig(data=(images, labels), seed=3)
    assert config.data[0] is images
    assert repr(config) == "StudyConfig(study='arrays', data=<arrays>, time_limit='10m', seed=3)"


def test_repr_hides_the_password() -> None:
    config = StudyConfig(data="digits", storage="postgresql://ann:secret@db/a")
    assert "secret" not in repr(config) + str(config)


def test_space_may_be_a_dict_a_path_or_know_its_dict(tmp_path: Path) -> None:
    class Space:
        def to_dict(self) -> dict[str, Any]:
            return {"parameters": {}}

    assert StudyConfig(data="digits", space=Space()).space == {"parameters": {}}
    assert StudyConfig(data="digits", space={"families": {}}).space == {"families": {}}
    assert StudyConfig(data="digits", space=tmp_path / "s.yaml").space == str(tmp_path / "s.yaml")


def test_changed_copy_is_validated() -> None:
    config = StudyConfig(data="photos", n_trials=3)
    assert config.changed(n_trials=9).n_trials == 9
    with pytest.raises(ConfigError, match="n_trials must be at least 1, got 0"):
        config.changed(n_trials=0)


def test_max_loss_is_a_number_from_0_on_for_the_smallest_network() -> None:
    assert StudyConfig(data="photos", deliver="small", max_loss=0).max_loss == 0.0
    assert StudyConfig(data="photos", deliver="small").max_loss is None
    for value in (-0.1, True, float("inf"), "nan", "much"):
        with pytest.raises(
            ConfigError, match=rf"^max_loss must be a number( of at least 0)?, got {value!r}$"
        ):
            StudyConfig(data="photos", deliver="small", max_loss=value)
    with pytest.raises(
        ConfigError, match="max_loss is for deliver='small', got deliver='single': leave it out"
    ):
        StudyConfig(data="photos", max_loss=0.02)


def test_max_loss_is_at_most_what_the_metric_can_lose() -> None:
    def of(**options: Any) -> float | None:
        return StudyConfig(data="photos", deliver="small", **options).max_loss

    assert of(metric="accuracy", max_loss=1) == 1.0 and of(metric="rmse", max_loss=2) == 2.0
    assert of(metric="cohen_kappa", max_loss=2) == 2.0 and of(task="regression", max_loss=9) == 9.0
    assert of(max_loss=2) == 2.0  # the metric is not known before the data are
    for options in ({"metric": "accuracy"}, {"task": "multilabel"}):
        with pytest.raises(
            ConfigError, match=r"^max_loss must be at most 1, as a\w+ cannot lose more, got 2; .*two points"
        ):
            of(max_loss=2, **options)
