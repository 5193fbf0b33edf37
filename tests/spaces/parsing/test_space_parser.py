"""Whole spaces from dicts, and all that can be wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from automl.spaces.parsing.space_parser import parse_space

_X = {"type": "categorical", "choices": ["a", "b"]}
_N = {"type": "int", "low": 1, "high": 3}
_F = {"type": "float", "low": 0, "high": 1}


def test_conditions_may_look_ahead_and_set_the_order() -> None:
    parsed = parse_space({"parameters": {"n": {**_N, "when": {"x": "a"}}, "f": _F, "x": _X}})
    assert parsed.problems == []
    assert list(parsed.parameters) == ["n", "f", "x"]
    assert parsed.order == ("f", "x", "n")


def test_variants_are_named_after_their_conditions() -> None:
    when = [{"x": "a"}, {"x": ["b", "a"], "n": 1}]
    parsed = parse_space({"parameters": {"x": _X, "n": _N, "f": [*({**_F, "when": w} for w in when), _F]}})
    assert parsed.problems == []
    assert [variant.name for variant in parsed.parameters["f"]] == ["f.a", "f.b+a,1", "f"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, "must have families or parameters, but it has neither"),
        ({"parameter": {}}, "unknown key 'parameter': did you mean 'parameters'?"),
        ({"description": [1], "parameters": {"x": _X}}, "description: must be text, not [1]"),
        ({"parameters": [1]}, "parameters: must be a mapping of names to ranges, not [1]"),
        ({"families": ["resnet18"]}, "families: must be a mapping of names to models"),
        ({"families": {"r": []}}, "families.r: must be a model, a pattern or a list of them, not []"),
        ({"families": {"r": [1]}}, "families.r: must be a model"),
        ({"families": {"r": "resnet18", "s": ["resnet18"]}}, "but 'resnet18' is in 'r' too"),
        (
            {"families": {"r": "resnet18"}, "parameters": {"model": _X}},
            "parameters.model: must have another name",
        ),
        ({"families": {"r": "resnet18"}, "parameters": {"model.r": _X}}, "'model.r' must be unique"),
        ({"parameters": {"f.a": _F, "x": _X, "f": [{**_F, "when": {"x": "a"}}]}}, "'f.a' must be unique"),
        ({"parameters": {"x": []}}, "parameters.x: must have at least one range"),
        ({"parameters": {"x": [_X, {**_X, "when": {"y": 1}}], "y": _N}}, "without `when` must be the last"),
        ({"parameters": {"x": {**_X, "when": {"y": 1}}}}, "parameters.x.when: unknown parameter 'y'"),
        ({"parameters": {"x": {**_X, "when": {"family": "r"}}}}, "unknown parameter 'family'"),
        (
            {"parameters": {"x": {**_X, "when": {"n": 4}}, "n": _N}},
            "must be a value of n (1 to 3, whole), not 4",
        ),
        ({"parameters": {"x": {**_X, "when": {"f": 0.5}}, "f": _F}}, "must be a categorical or an int"),
        ({"parameters": {"x": {**_X, "when": {"x": "a"}}}}, "those of x do"),
        (
            {"parameters": {"x": {**_X, "when": {"n": 1}}, "n": {**_N, "when": {"x": "a"}}, "f": _F}},
            "those of n, x do",
        ),
        (
            {"families": {"resnet": "resnet18"}, "parameters": {"x": {**_X, "when": {"family": "resne"}}}},
            "parameters.x.when.family: unknown family 'resne': did you mean 'resnet'?",
        ),
        (
            {"families": {"resnet": "resnet18"}, "parameters": {"x": {**_X, "when": {"model": "resnet19"}}}},
            "unknown model 'resnet19': did you mean 'resnet18'?",
        ),
        ({"parameters": {"x": _X}, "portfolio": {"x": "a"}}, "portfolio: must be a list"),
        ({"parameters": {"x": _X}, "portfolio": ["a"]}, "portfolio[0]: must be a mapping"),
    ],
)
def test_problem_of_a_space_is_told(spec: dict[str, Any], problem: str) -> None:
    problems = parse_space(spec).problems
    assert len(problems) == 1
    assert problem in problems[0]


def test_condition_on_a_broken_parameter_is_no_second_problem() -> None:
    spec = {"parameters": {"x": {"type": "categorical"}, "n": {**_N, "when": {"x": "a"}}}}
    assert len(parse_space(spec).problems) == 1


def test_condition_on_a_model_may_fit_a_pattern() -> None:
    spec = {"families": {"c": "convnext_*"}, "parameters": {"x": {**_X, "when": {"model": "convnext_atto"}}}}
    assert parse_space(spec).problems == []
