"""Parse a searched parameter from its YAML dict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from automl.spaces.parameters import (
    STEP_TOLERANCE,
    Categorical,
    Condition,
    Float,
    Int,
    Parameter,
    Value,
    same,
)
from automl.spaces.priors import parse_weights

Number = TypeVar("Number", int, float)


def parse_parameter(spec: Any, *, name: str, where: str, problems: list[str]) -> Parameter | None:
    """Return a parameter from its YAML dict, and add what is wrong to `problems`, with the dotted key `where`.

    Only the form of conditions is checked here; `space_parser` checks the names in them.
    """
    if not isinstance(spec, Mapping):
        problems.append(f"{where}: must be a mapping such as {{type: float, low: 0, high: 1}}, not {spec!r}")
        return None
    kind = spec.get("type")
    if kind not in _KEYS:
        problems.append(f"{where}.type: must be one of {', '.join(_KEYS)}, not {kind!r}")
        return None
    before = len(problems)
    allowed = {"type", "when", *_KEYS[kind]}
    for key in spec:
        if key not in allowed:
            problems.append(
                f"{where}.{key}: unknown key for a {kind}; valid keys: {', '.join(sorted(allowed))}"
            )
    when = _parse_when(spec.get("when", {}), where, problems)
    if kind == "categorical":
        return _categorical(spec, name, when, where, problems) if len(problems) == before else None
    bounds = {key: _number(spec, key, kind, where, problems) for key in _BOUNDS if _is_given(spec, key)}
    problems.extend(
        f"{where}.{key}: is missing; both bounds, low and high, are needed"
        for key in ("low", "high")
        if key not in spec
    )
    log = spec.get("log", False)
    if not isinstance(log, bool):
        problems.append(f"{where}.log: must be true or false, not {log!r}")
    if len(problems) > before:
        return None
    return _ranged(kind, name, when, {**bounds, "log": log}, where, problems)


_BOUNDS = ("low", "high", "step", "prior")
_LARGEST = {"int": 10**18, "float": 1e300}  # of a bound: differences and steps must be numbers, too
_KEYS: dict[str, tuple[str, ...]] = {
    "float": ("low", "high", "log", "step", "prior"),
    "int": ("low", "high", "log", "step", "prior"),
    "categorical": ("choices", "weights", "prior"),
}


def _is_given(spec: Mapping[str, Any], key: str) -> bool:
    """Return whether a key has a value; `prior: null` means no prior."""
    return key in spec and (key != "prior" or spec[key] is not None)


def _categorical(
    spec: Mapping[str, Any], name: str, when: tuple[Condition, ...], where: str, problems: list[str]
) -> Parameter | None:
    before = len(problems)
    choices = _parse_choices(spec.get("choices"), where, problems)
    if len(problems) > before:
        return None
    weights, prior = spec.get("weights"), spec.get("prior")
    if weights is not None and prior is not None:
        problems.append(f"{where}.prior: cannot be combined with weights; remove one of them")
    found = () if weights is None else parse_weights(weights, len(choices), where, problems)
    if prior is not None and not any(same(prior, choice) for choice in choices):
        known = ", ".join(map(str, choices))
        problems.append(f"{where}.prior: must be one of the choices ({known}), not {prior!r}")
    return Categorical(name, when, choices, found, prior) if len(problems) == before else None


def _ranged(
    kind: str,
    name: str,
    when: tuple[Condition, ...],
    bounds: Mapping[str, Any],
    where: str,
    problems: list[str],
) -> Parameter | None:
    """Return a Float or an Int, and add contradictions between its bounds to `problems`."""
    before = len(problems)
    low, high, step, log = bounds["low"], bounds["high"], bounds.get("step"), bounds["log"]
    if low > high:
        problems.append(f"{where}: low must not be above high, but {low!r} is above {high!r}: swap them")
    if log and low <= 0:
        problems.append(f"{where}.low: must be above 0 on a logarithmic scale, not {low!r}")
    if step is not None and step <= 0:
        problems.append(f"{where}.step: must be above 0, not {step!r}")
    if step is not None and log:
        problems.append(f"{where}.step: cannot be combined with log: true; remove one of them")
    if step is not None and step > 0 and not _divides(step, high - low):
        problems.append(f"{where}.step: must divide high - low, but {step!r} does not divide {high - low!r}")
    if len(problems) > before:
        return None
    prior = bounds.get("prior")
    found: Float | Int
    if kind == "float":
        found = Float(name, when, float(low), float(high), log, _as(float, step), _as(float, prior))
    else:
        found = Int(name, when, int(low), int(high), log, _as(int, step), _as(int, prior))
    if prior is not None and not found.admits(found.prior):
        problems.append(f"{where}.prior: must be a value of {found}, not {prior!r}")
        return None
    return found


def _as(kind: Callable[[Any], Number], value: Any) -> Number | None:
    return None if value is None else kind(value)


def _divides(step: float, length: float) -> bool:
    steps = length / step
    return math.isfinite(steps) and abs(steps - round(steps)) <= STEP_TOLERANCE


def _number(spec: Mapping[str, Any], key: str, kind: str, where: str, problems: list[str]) -> float | int:
    value = spec[key]
    if isinstance(value, str):
        # YAML 1.1 reads 1e-5, without a point, as text.
        try:
            value = float(value)
        except ValueError:
            value = None
    if kind == "int" and isinstance(value, float) and value.is_integer():
        value = int(value)
    wanted = int if kind == "int" else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted) or not abs(value) < math.inf:
        what = "an integer" if kind == "int" else "a number"
        problems.append(f"{where}.{key}: must be {what}, not {spec[key]!r:.60}")
        return 0
    if abs(value) > _LARGEST[kind]:
        problems.append(
            f"{where}.{key}: must be at most {_LARGEST[kind]:g} away from 0, not {spec[key]!r:.60}"
        )
        return 0
    return value


def _parse_choices(choices: Any, where: str, problems: list[str]) -> tuple[Value, ...]:
    if not isinstance(choices, (list, tuple)) or not choices:
        problems.append(f"{where}.choices: must be a list of at least one value, not {choices!r}")
        return ()
    for i, choice in enumerate(choices):
        if choice is not None and not isinstance(choice, (bool, int, float, str)):
            problems.append(f"{where}.choices: must hold plain values, not {choice!r}")
        elif any(same(choice, other) for other in choices[:i]):
            problems.append(f"{where}.choices: must differ, but {choice!r} occurs twice")
    return tuple(choices)


def _parse_when(when: Any, where: str, problems: list[str]) -> tuple[Condition, ...]:
    if not isinstance(when, Mapping):
        problems.append(f"{where}.when: must be a mapping such as {{opt: [sgd, momentum]}}, not {when!r}")
        return ()
    conditions: list[Condition] = []
    for name, values in when.items():
        listed = tuple(values) if isinstance(values, (list, tuple)) else (values,)
        if not listed or any(isinstance(value, (list, tuple, dict)) for value in listed):
            problems.append(f"{where}.when.{name}: must be a value or a list of values, not {values!r}")
            continue
        conditions.append((str(name), listed))
    return tuple(conditions)
