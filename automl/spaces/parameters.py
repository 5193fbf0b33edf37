"""One searched parameter: its range, and when it is active."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.spaces.priors import Around, Prior, Weighted, favouring

if TYPE_CHECKING:
    from optuna import Trial

Value = bool | int | float | str | None
Condition = tuple[str, tuple[Value, ...]]

# How far a float may lie off a step, as a share of the step: what printing and reading a number may cost.
STEP_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Domain:
    """What all kinds have: `name` is Optuna's, `when` holds conditions that must all be true for it to be
    active.
    """

    name: str
    when: tuple[Condition, ...] = ()

    def is_active(self, config: Mapping[str, Any]) -> bool:
        """Whether all conditions hold; a parameter that is absent from `config` fulfils none."""
        for name, values in self.when:  # asked hundreds of times for a suggestion, so without generators
            if name not in config:
                return False
            found = config[name]
            for value in values:
                if same(found, value):
                    break
            else:
                return False
        return True


@dataclass(frozen=True)
class Float(Domain):
    """A number from `low` to `high`, both included; on a logarithmic scale, or in steps from `low`. `prior` is where a
    good value is believed to lie.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float | None = None
    prior: float | None = None

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
        return abs(steps - round(steps)) <= STEP_TOLERANCE

    def belief(self) -> Prior | None:
        """The prior, None where there is none."""
        return None if self.prior is None else Around(self.prior, self.share(self.prior))

    def share(self, value: float) -> float:
        """Where a value lies in the range, from 0 to 1, on its scale; with steps, the middle of the value's part."""
        if self.high <= self.low:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        if self.step is None:
            return (value - self.low) / (self.high - self.low)
        return _step_share(value - self.low, self.high - self.low, self.step)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + _scale(self.log, self.step)

    def described(self) -> str:
        """The range, and what is believed of it."""
        return str(self) + ("" if self.prior is None else f", around {self.prior:g}")

    def to_dict(self) -> dict[str, Any]:
        """As in YAML."""
        return {"type": "float", "low": self.low, "high": self.high, **_options(self)}


@dataclass(frozen=True)
class Int(Domain):
    """An integer from `low` to `high`, both included; on a logarithmic scale, or in steps from `low`. `prior` is where
    a good value is believed to lie.
    """

    low: int = 0
    high: int = 1
    log: bool = False
    step: int | None = None
    prior: int | None = None

    def suggest(self, trial: Trial) -> Value:
        """Draw a value."""
        return trial.suggest_int(self.name, self.low, self.high, log=self.log, step=self.step or 1)

    def admits(self, value: Any) -> bool:
        """Whether `value` may have been drawn."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            return False
        return (value - self.low) % (self.step or 1) == 0

    def belief(self) -> Prior | None:
        """The prior, None where there is none."""
        return None if self.prior is None else Around(self.prior, self.share(self.prior))

    def share(self, value: int) -> float:
        """The middle of the part of the range, on its scale from 0 to 1, that belongs to a value."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return (math.log(value) - low) / (high - low)
        return _step_share(value - self.low, self.high - self.low, self.step or 1)

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + _scale(self.log, self.step, kind=", whole")

    def described(self) -> str:
        """The range, and what is believed of it."""
        return str(self) + ("" if self.prior is None else f", around {self.prior}")

    def to_dict(self) -> dict[str, Any]:
        """As in YAML."""
        return {"type": "int", "low": self.low, "high": self.high, **_options(self)}


@dataclass(frozen=True)
class Categorical(Domain):
    """One of some values. `weights` say how likely each is to be good, in proportion; `prior` names the one that is
    believed to be. At most one of the two is given.
    """

    choices: tuple[Value, ...] = ()
    weights: tuple[float, ...] = ()
    prior: Value = None

    def suggest(self, trial: Trial) -> Value:
        """Draw a value."""
        return trial.suggest_categorical(self.name, self.choices)

    def admits(self, value: Any) -> bool:
        """Whether `value` may have been drawn."""
        return any(same(value, choice) for choice in self.choices)

    def belief(self) -> Prior | None:
        """The weights, or those that follow from the prior; None where there are none."""
        if self.prior is not None:
            place = next(i for i, choice in enumerate(self.choices) if same(choice, self.prior))
            return Weighted(favouring(place, len(self.choices)), self.prior)
        return Weighted(self.weights) if self.weights else None

    def __str__(self) -> str:
        return ", ".join(str(choice) for choice in self.choices)

    def described(self) -> str:
        """The choices, with their weights where there are any, or the one that is believed in."""
        if self.weights:
            pairs = zip(self.choices, self.weights, strict=True)
            return ", ".join(f"{choice} (weight {weight:g})" for choice, weight in pairs)
        return str(self) + ("" if self.prior is None else f"; likely {self.prior}")

    def to_dict(self) -> dict[str, Any]:
        """As in YAML."""
        beliefs = {"weights": list(self.weights)} if self.weights else {}
        prior = {} if self.prior is None else {"prior": self.prior}
        return {"type": "categorical", "choices": list(self.choices), **beliefs, **prior}


Parameter = Float | Int | Categorical


def middle(parameter: Parameter) -> Value:
    """A value to begin with where nothing else is known: the prior, the first (or weightiest) choice, 0 where a range
    begins there, and else the middle.
    """
    if parameter.prior is not None:
        return parameter.prior
    if isinstance(parameter, Categorical):
        weights = parameter.weights or (1.0,)
        return parameter.choices[weights.index(max(weights))]
    low, high = parameter.low, parameter.high
    if low == 0:
        return low  # off, for all that is searched
    found = (low * high) ** 0.5 if parameter.log else (low + high) / 2
    if parameter.step is not None:
        found = low + round((found - low) / parameter.step) * parameter.step
    return round(found) if isinstance(parameter, Int) else float(found)


def same(a: Any, b: Any) -> bool:
    """Equal, but True is not 1 and False is not 0."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def condition_text(when: Sequence[Condition]) -> str:
    """The conditions in words; "" for none."""
    return " and ".join(f"{name} is {' or '.join(str(value) for value in values)}" for name, values in when)


def _scale(log: bool, step: float | None, kind: str = "") -> str:
    return kind + (", log" if log else "") + (f", step {step:g}" if step is not None else "")


def _step_share(distance: float, length: float, step: float) -> float:
    """The middle of the part of the unit interval that a value on a step has."""
    return (round(distance / step) + 0.5) / (round(length / step) + 1)


def _options(parameter: Float | Int) -> dict[str, Any]:
    numbers = {"step": parameter.step, "prior": parameter.prior}
    given = {key: value for key, value in numbers.items() if value is not None}
    return {**({"log": True} if parameter.log else {}), **given}


def when_dict(when: Sequence[Condition]) -> dict[str, Any]:
    """Conditions as in YAML."""
    return {name: list(values) if len(values) > 1 else values[0] for name, values in when}
