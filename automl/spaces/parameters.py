"""One searched parameter: its range, and when it is active."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna import Trial

Value = bool | int | float | str | None
Condition = tuple[str, tuple[Value, ...]]

# How far a float may lie off a step, as a share of the step: what printing and reading a number may cost.
_STEP_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Domain:
    """What all kinds have: `name` is Optuna's, `when` holds conditions that must all be true for it to be
    active.
    """

    name: str
    when: tuple[Condition, ...] = ()

    def is_active(self, config: Mapping[str, Any]) -> bool:
        """Whether all conditions hold; a parameter that is absent from `config` fulfils none."""
        return all(
            name in config and any(same(config[name], value) for value in values)
            for name, values in self.when
        )


@dataclass(frozen=True)
class Float(Domain):
    """A number from `low` to `high`, both included; on a logarithmic scale, or in steps from `low`."""

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float | None = None

    def suggest(self, trial: Trial) -> Value:
        """Draw a value."""
        return trial.suggest_float(self.name, self.low, self.high, log=self.log, step=self.step)

    def admits(self, value: Any) -> bool:
        """Whether `value` may have been drawn."""
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not self.low <= value <= self.high
        ):
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) <= _STEP_TOLERANCE

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + _scale(self.log, self.step)

    def to_dict(self) -> dict[str, Any]:
        """As in YAML."""
        return {"type": "float", "low": self.low, "high": self.high, **_options(self.log, self.step)}


@dataclass(frozen=True)
class Int(Domain):
    """An integer from `low` to `high`, both included; on a logarithmic scale, or in steps from `low`."""

    low: int = 0
    high: int = 1
    log: bool = False
    step: int | None = None

    def suggest(self, trial: Trial) -> Value:
        """Draw a value."""
        return trial.suggest_int(self.name, self.low, self.high, log=self.log, step=self.step or 1)

    def admits(self, value: Any) -> bool:
        """Whether `value` may have been drawn."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            return False
        return (value - self.low) % (self.step or 1) == 0

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + _scale(self.log, self.step, kind=", whole")

    def to_dict(self) -> dict[str, Any]:
        """As in YAML."""
        return {"type": "int", "low": self.low, "high": self.high, **_options(self.log, self.step)}


@dataclass(frozen=True)
class Categorical(Domain):
    """One of some values."""

    choices: tuple[Value, ...] = ()

    def suggest(self, trial: Trial) -> Value:
        """Draw a value."""
        return trial.suggest_categorical(self.name, self.choices)

    def admits(self, value: Any) -> bool:
        """Whether `value` may have been drawn."""
        return any(same(value, choice) for choice in self.choices)

    def __str__(self) -> str:
        return ", ".join(str(choice) for choice in self.choices)

    def to_dict(self) -> dict[str, Any]:
        """As in YAML."""
        return {"type": "categorical", "choices": list(self.choices)}


Parameter = Float | Int | Categorical


def same(a: Any, b: Any) -> bool:
    """Equal, but True is not 1 and False is not 0."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def condition_text(when: Sequence[Condition]) -> str:
    """The conditions in words; "" for none."""
    return " and ".join(f"{name} is {' or '.join(str(value) for value in values)}" for name, values in when)


def parse_parameter(spec: Any, *, name: str, where: str, problems: list[str]) -> Parameter | None:
    """A parameter from its YAML dict. What is wrong is added to `problems` under the dotted key `where`.

    Conditions are checked for their form alone; whether they name something is known to the space.
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
        choices = _parse_choices(spec.get("choices"), where, problems)
        return Categorical(name, when, choices) if len(problems) == before else None
    bounds = {
        key: _number(spec, key, kind, where, problems) for key in ("low", "high", "step") if key in spec
    }
    problems.extend(
        f"{where}.{key}: is missing; give the bounds low and high"
        for key in ("low", "high")
        if key not in spec
    )
    log = spec.get("log", False)
    if not isinstance(log, bool):
        problems.append(f"{where}.log: must be true or false, not {log!r}")
    if len(problems) > before:
        return None
    return _ranged(kind, name, when, {**bounds, "log": log}, where, problems)


_KEYS: dict[str, tuple[str, ...]] = {
    "float": ("low", "high", "log", "step"),
    "int": ("low", "high", "log", "step"),
    "categorical": ("choices",),
}


def _ranged(
    kind: str,
    name: str,
    when: tuple[Condition, ...],
    bounds: Mapping[str, Any],
    where: str,
    problems: list[str],
) -> Parameter | None:
    """A Float or an Int whose bounds make sense together."""
    before = len(problems)
    low, high, step, log = bounds["low"], bounds["high"], bounds.get("step"), bounds["log"]
    if low > high:
        problems.append(f"{where}: low must not be above high, but {low!r} is above {high!r}: swap them")
    if log and low <= 0:
        problems.append(f"{where}.low: must be above 0 on a logarithmic scale, not {low!r}")
    if step is not None and step <= 0:
        problems.append(f"{where}.step: must be above 0, not {step!r}")
    if step is not None and log:
        problems.append(f"{where}.step: cannot be combined with log: true; leave one of them out")
    if step is not None and step > 0 and not _divides(step, high - low):
        problems.append(f"{where}.step: must divide high - low, but {step!r} does not divide {high - low!r}")
    if len(problems) > before:
        return None
    if kind == "float":
        return Float(name, when, float(low), float(high), log, None if step is None else float(step))
    return Int(name, when, int(low), int(high), log, None if step is None else int(step))


def _divides(step: float, length: float) -> bool:
    steps = length / step
    return abs(steps - round(steps)) <= _STEP_TOLERANCE


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
    if isinstance(value, bool) or not isinstance(value, wanted) or not math.isfinite(value):
        what = "an integer" if kind == "int" else "a number"
        problems.append(f"{where}.{key}: must be {what}, not {spec[key]!r}")
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


def _scale(log: bool, step: float | None, kind: str = "") -> str:
    return kind + (", log" if log else "") + (f", step {step:g}" if step is not None else "")


def _options(log: bool, step: float | None) -> dict[str, Any]:
    return {**({"log": True} if log else {}), **({"step": step} if step is not None else {})}


def when_dict(when: Sequence[Condition]) -> dict[str, Any]:
    """Conditions as in YAML."""
    return {name: list(values) if len(values) > 1 else values[0] for name, values in when}
