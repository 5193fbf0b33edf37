"""One searched parameter: its range, and when it is active."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.spaces.priors import NormalPrior, Prior, WeightedPrior, favouring

if TYPE_CHECKING:
    from optuna import Trial

Value = bool | int | float | str | None
Condition = tuple[str, tuple[Value, ...]]

# Allowed distance of a float from a step, as a share of the step: the error of printing and parsing a number.
STEP_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Domain:
    """What all kinds share: `name` is Optuna's; the parameter is active if all conditions in `when` are true."""

    name: str
    when: tuple[Condition, ...] = ()

    def is_active(self, config: Mapping[str, Any]) -> bool:
        """Return whether all conditions are true; a condition on a missing parameter is false."""
        for name, values in self.when:  # no generators: a suggestion calls this hundreds of times
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
class Range(Domain):
    """A number from `low` to `high`, both included, on a logarithmic scale, or in steps from `low`.

    `prior` is where a good value is expected.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float | None = None
    prior: float | None = None

    def admits(self, value: Any) -> bool:
        """Return whether `value` can be drawn."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = 0.0 if self.step is None else (value - self.low) / self.step
        return abs(steps - round(steps)) <= STEP_TOLERANCE

    def belief(self) -> Prior | None:
        """Return the prior, None if there is none."""
        return None if self.prior is None else NormalPrior(self.prior, self.share(self.prior))

    def share(self, value: float) -> float:
        """Return the position of a value in the range, from 0 to 1; with steps, the middle of the value's part."""
        if self.high <= self.low:
            return 0.5
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        if self.step is None:
            return (value - self.low) / (self.high - self.low)
        return (round((value - self.low) / self.step) + 0.5) / (round((self.high - self.low) / self.step) + 1)

    def __str__(self) -> str:
        kind = ", whole" if isinstance(self, Int) else ""
        step = f", step {self.step:g}" if self.step is not None else ""
        return f"{self._text(self.low)} to {self._text(self.high)}{kind}{', log' if self.log else ''}{step}"

    def described(self) -> str:
        """Return the range and its prior as text."""
        return str(self) + ("" if self.prior is None else f", around {self._text(self.prior)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the range as in YAML."""
        options = {"log": self.log or None, "step": self.step, "prior": self.prior}
        given = {key: value for key, value in options.items() if value is not None}
        return {"type": type(self).__name__.lower(), "low": self.low, "high": self.high, **given}

    def _text(self, value: float) -> str:
        return str(value) if isinstance(self, Int) else f"{value:g}"


@dataclass(frozen=True)
class Float(Range):
    """A range of floating-point numbers."""

    def suggest(self, trial: Trial) -> Value:
        """Draw a value."""
        return trial.suggest_float(self.name, self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Int(Range):
    """A range of integers; all its numbers are integers."""

    def suggest(self, trial: Trial) -> Value:
        """Draw a value."""
        return trial.suggest_int(
            self.name, int(self.low), int(self.high), log=self.log, step=int(self.step or 1)
        )

    def admits(self, value: Any) -> bool:
        """Return whether `value` can be drawn."""
        return isinstance(value, int) and super().admits(value) and (value - self.low) % (self.step or 1) == 0

    def share(self, value: float) -> float:
        """Return the middle of the part of the range, on its scale from 0 to 1, that belongs to a value."""
        if self.log:
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            return (math.log(value) - low) / (high - low)
        step = self.step or 1
        return (round((value - self.low) / step) + 0.5) / (round((self.high - self.low) / step) + 1)


@dataclass(frozen=True)
class Categorical(Domain):
    """A choice. `weights` say how likely each value is to be good, in proportion; `prior` names the value that is
    expected to be. At most one of the two is given.
    """

    choices: tuple[Value, ...] = ()
    weights: tuple[float, ...] = ()
    prior: Value = None

    def suggest(self, trial: Trial) -> Value:
        """Draw a value."""
        return trial.suggest_categorical(self.name, self.choices)

    def admits(self, value: Any) -> bool:
        """Return whether `value` can be drawn."""
        return any(same(value, choice) for choice in self.choices)

    def belief(self) -> Prior | None:
        """Return the weights, or those that follow from the prior; None if there are none."""
        if self.prior is not None:
            place = next(i for i, choice in enumerate(self.choices) if same(choice, self.prior))
            return WeightedPrior(favouring(place, len(self.choices)), self.prior)
        return WeightedPrior(self.weights) if self.weights else None

    def __str__(self) -> str:
        return ", ".join(str(choice) for choice in self.choices)

    def described(self) -> str:
        """Return the choices with their weights or the prior as text."""
        if self.weights:
            pairs = zip(self.choices, self.weights, strict=True)
            return ", ".join(f"{choice} (weight {weight:g})" for choice, weight in pairs)
        return str(self) + ("" if self.prior is None else f"; likely {self.prior}")

    def to_dict(self) -> dict[str, Any]:
        """Return the choices as in YAML."""
        beliefs = {"weights": list(self.weights)} if self.weights else {}
        prior = {} if self.prior is None else {"prior": self.prior}
        return {"type": "categorical", "choices": list(self.choices), **beliefs, **prior}


Parameter = Float | Int | Categorical


def middle(parameter: Parameter) -> Value:
    """Return a default value: the prior, the first choice (of the largest weight), 0 if the range starts there, or the
    middle of the range.
    """
    if parameter.prior is not None:
        return parameter.prior
    if isinstance(parameter, Categorical):
        weights = parameter.weights or (1.0,)
        return parameter.choices[weights.index(max(weights))]
    low, high = parameter.low, parameter.high
    if low == 0:
        return low  # 0 turns such a parameter off
    found = (low * high) ** 0.5 if parameter.log else (low + high) / 2
    if parameter.step is not None:
        found = low + round((found - low) / parameter.step) * parameter.step
    return round(found) if isinstance(parameter, Int) else float(found)


def same(a: Any, b: Any) -> bool:
    """Return whether two values are equal; True is not 1 and False is not 0."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def condition_text(when: Sequence[Condition]) -> str:
    """Return the conditions as text; "" for none."""
    return " and ".join(f"{name} is {' or '.join(str(value) for value in values)}" for name, values in when)


def when_dict(when: Sequence[Condition]) -> dict[str, Any]:
    """Return conditions as in YAML."""
    return {name: list(values) if len(values) > 1 else values[0] for name, values in when}
