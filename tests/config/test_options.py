"""The options that editors know are the fields of StudyConfig."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from os import PathLike
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

import automl
from automl.config import StudyConfig
from automl.config.options import FitOptions, InspectOptions, ResumeOptions, SpaceLike, TuneOptions
from automl.data.quality.inspect import inspect_data
from automl.errors import ConfigError
from automl.search.tune import tune
from automl.spaces import SearchSpace

FIELDS = get_type_hints(StudyConfig, include_extras=False)
# What an option accepts beyond the type of its field, because StudyConfig converts it.
CONVERTED: dict[str, set[Any]] = {
    "study": {NoneType},
    "directory": {PathLike[str]},
    "space": {PathLike[str], Mapping[str, Any], SpaceLike},
    "time_limit": {str},
    "max_latency": {str},
    "max_size": {str},
    "max_params": {str},
    "pretrained": {PathLike[str]},
    "weights_licence": {list[str]},
    "parallel": {"auto"},
    "memory_limit": {str},
    "max_disk": {str},
}


def alternatives(of: Any) -> Iterator[Any]:
    """Yield the members of a union, and the values of a literal."""
    if get_origin(of) in (Union, UnionType, Literal):
        for one in get_args(of):
            yield from alternatives(one)
    elif get_origin(of) is Annotated:
        yield from alternatives(get_args(of)[0])
    else:
        yield of


def test_options_of_fit_are_the_fields_but_for_the_data() -> None:
    assert set(get_type_hints(FitOptions)) == set(StudyConfig.model_fields) - {"data"}


def test_options_of_resume_are_the_fields_that_are_not_its_own_parameters() -> None:
    own = set(inspect.signature(automl.resume).parameters)
    assert set(get_type_hints(ResumeOptions)) == set(StudyConfig.model_fields) - own


def test_unknown_option_of_any_function_is_told_with_the_valid_ones() -> None:
    wrong: dict[str, Any] = {"sead": 1}
    for call in (automl.fit, automl.inspect):
        with pytest.raises(ConfigError, match="unknown option 'sead': did you mean 'seed'"):
            call("photos", **wrong)
    space = {"parameters": {"lr": {"type": "float", "low": 0.1, "high": 0.9}}}
    with pytest.raises(
        ConfigError, match="unknown option 'sead': did you mean 'seed'.*; metric must be given$"
    ):
        automl.tune(lambda config: [], space, max_epochs=1, **wrong)


@pytest.mark.parametrize("name", sorted(get_type_hints(FitOptions)))
def test_option_accepts_the_type_of_its_field_and_what_is_converted_to_it(name: str) -> None:
    option = set(alternatives(get_type_hints(FitOptions)[name]))
    field = set(alternatives(FIELDS[name]))
    if name == "space":
        field.remove(dict[str, Any])  # which is a Mapping
    assert option == field | CONVERTED.get(name, set())


def test_options_of_tune_are_its_parameters() -> None:
    own = set(inspect.signature(automl.tune).parameters) - {"options", "progress", "callbacks"}
    assert "name" in own  # a search that is refused asks for another name
    assert set(TuneOptions.__annotations__) | own == set(inspect.signature(tune).parameters)


def test_converted_values_are_accepted(tmp_path: Any) -> None:
    options: FitOptions = {
        "study": None,
        "directory": tmp_path,
        "space": SearchSpace.load("smoke"),
        "time_limit": "10m",
        "pretrained": tmp_path,
        "weights_licence": ["MIT", "cvnets-license"],
        "parallel": "auto",
        "memory_limit": "2G",
        "max_disk": "20G",
    }
    config = StudyConfig(data="digits", **options)
    assert (config.study, config.time_limit, config.parallel) == ("digits", 600.0, None)
    assert config.weights_licence == "mit,cvnets-license"
    assert isinstance(config.space, dict) and config.memory_limit == 2 * 1024**3


def test_options_of_inspect_are_those_of_the_function_behind_it() -> None:
    known, options = inspect.signature(inspect_data).parameters, get_type_hints(InspectOptions)
    assert set(options) == set(known) - {"data", "observer", "look"}
    assert all(options[name] == get_type_hints(FitOptions)[name] for name in options)


def test_fit_and_resume_show_editors_these_options() -> None:
    shown = [inspect.signature(each).parameters for each in (automl.fit, automl.resume)]
    assert shown[0]["options"].annotation == "Unpack[FitOptions]"
    assert shown[1]["changes"].annotation == "Unpack[ResumeOptions]"
