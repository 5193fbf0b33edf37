"""Ranges of single parameters."""

from __future__ import annotations

from typing import Any

import pytest

from automl.spaces.parameters import Categorical, Float, Int
from automl.spaces.parsing.parameter_parser import parse_parameter


def _parse(spec: Any) -> tuple[Any, list[str]]:
    problems: list[str] = []
    return parse_parameter(spec, name="x", where="parameters.x", problems=problems), problems


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"type": "float", "low": 0, "high": 1}, Float("x", (), 0.0, 1.0)),
        ({"type": "float", "low": "1e-5", "high": 0.1, "log": True}, Float("x", (), 1e-5, 0.1, True)),
        ({"type": "float", "low": 0, "high": 1, "step": 0.25}, Float("x", (), 0.0, 1.0, False, 0.25)),
        ({"type": "int", "low": 1, "high": 5.0}, Int("x", (), 1, 5)),
        ({"type": "int", "low": 1, "high": 64, "log": True}, Int("x", (), 1, 64, True)),
        (
            {"type": "categorical", "choices": [1, "a", None, True]},
            Categorical("x", (), (1, "a", None, True)),
        ),
        (
            {"type": "int", "low": 1, "high": 2, "when": {"a": "b", "c": [1, 2]}},
            Int("x", (("a", ("b",)), ("c", (1, 2))), 1, 2),
        ),
    ],
)
def test_parameter_is_read(spec: Any, expected: Any) -> None:
    parameter, problems = _parse(spec)
    assert problems == []
    assert parameter == expected
    assert (
        _parse({**parameter.to_dict(), **({"when": spec["when"]} if "when" in spec else {})})[0] == expected
    )


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (3, "parameters.x: must be a mapping"),
        ({"type": "flaot"}, "parameters.x.type: must be one of float, int, categorical, not 'flaot'"),
        ({"type": "float", "low": 2, "high": 1}, "low must not be above high, but 2 is above 1"),
        (
            {"type": "float", "low": 0, "high": 1, "log": True},
            "parameters.x.low: must be above 0 on a logarithmic",
        ),
        ({"type": "float", "low": 0, "high": 1, "log": 1}, "parameters.x.log: must be true or false, not 1"),
        ({"type": "float", "low": 0, "high": 1, "step": 0}, "parameters.x.step: must be above 0"),
        ({"type": "float", "low": 0, "high": 1, "step": 0.3}, "0.3 does not divide 1"),
        ({"type": "float", "low": 1, "high": 2, "step": 0.5, "log": True}, "cannot be combined with log"),
        ({"type": "float", "low": "a", "high": 1}, "parameters.x.low: must be a number, not 'a'"),
        ({"type": "float", "low": 0, "high": float("inf")}, "parameters.x.high: must be a number, not inf"),
        ({"type": "float", "low": True, "high": 2}, "parameters.x.low: must be a number, not True"),
        ({"type": "float", "low": 1}, "parameters.x.high: is missing"),
        ({"type": "int", "low": 0.5, "high": 1}, "parameters.x.low: must be an integer, not 0.5"),
        (
            {"type": "float", "low": 0, "high": 1e308, "step": 1e-9},
            "parameters.x.high: must be at most 1e+300 away from 0, not 1e+308",
        ),
        (
            {"type": "float", "low": 0, "high": 1e300, "step": 1e-300},
            "parameters.x.step: must divide high - low",
        ),
        (
            {"type": "int", "low": 0, "high": 10**30, "step": 7},
            "parameters.x.high: must be at most 1e+18 away from 0",
        ),
        (
            {"type": "float", "low": 0, "high": 1, "choices": []},
            "parameters.x.choices: unknown key for a float",
        ),
        (
            {"type": "categorical", "choices": []},
            "parameters.x.choices: must be a list of at least one value",
        ),
        ({"type": "categorical", "choices": "ab"}, "parameters.x.choices: must be a list"),
        ({"type": "categorical", "choices": [1, 1.0]}, "must differ, but 1.0 occurs twice"),
        ({"type": "categorical", "choices": [[1]]}, "must hold plain values, not [1]"),
        ({"type": "categorical", "choices": [1], "when": "a"}, "parameters.x.when: must be a mapping"),
        (
            {"type": "categorical", "choices": [1], "when": {"a": []}},
            "parameters.x.when.a: must be a value or a list",
        ),
    ],
)
def test_problem_of_a_parameter_is_told(spec: Any, problem: str) -> None:
    parameter, problems = _parse(spec)
    assert parameter is None
    assert len(problems) == 1
    assert problem in problems[0]


def test_several_problems_are_told_at_once() -> None:
    _, problems = _parse({"type": "int", "low": "a", "high": None, "stp": 1})
    assert len(problems) == 3


@pytest.mark.parametrize(
    ("parameter", "inside", "outside"),
    [
        (Float("x", (), 0.0, 1.0), [0, 0.5, 1.0], [-0.1, 1.1, True, "0", None, float("nan")]),
        (Float("x", (), 0.0, 1.0, False, 0.1), [0.3, 0.1 + 0.2], [0.35]),
        (Int("x", (), 2, 8, False, 3), [2, 5, 8], [3, 9, 2.0, True]),
        (Categorical("x", (), (0, "a", None)), [0, "a", None], [False, 1, "b"]),
    ],
)
def test_values_are_told_from_strangers(parameter: Any, inside: list[Any], outside: list[Any]) -> None:
    assert all(parameter.admits(value) for value in inside)
    assert not any(parameter.admits(value) for value in outside)


def test_conditions_must_all_hold() -> None:
    parameter = Int("x", (("a", (1, 2)), ("b", (True,))))
    assert parameter.is_active({"a": 2, "b": True})
    assert not parameter.is_active({"a": 2, "b": 1})
    assert not parameter.is_active({"a": 2})
