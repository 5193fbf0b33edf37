"""Narrow a space: with or without pretrained weights, to some of its models, and with a new portfolio."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from automl.errors import SpaceError
from automl.records import Config
from automl.spaces.architectures.capability import Capability
from automl.spaces.architectures.families import capabilities
from automl.spaces.architectures.patterns import family_of
from automl.spaces.constraints import Constraint
from automl.spaces.parameters import Categorical, Parameter, Value, middle
from automl.spaces.space import PRETRAINED, SearchSpace

SIZE = "size"  # the parameter that is the side of the input of a network with weights

_Spec = dict[str, Any]


def narrowed(space: SearchSpace, *, pretrained: bool, models: Collection[str] | None = None) -> SearchSpace:
    """Return the part of a space in which all configurations start from pretrained weights, or none does.

    `models` limits the models, if given. Without weights, the parameter `pretrained` disappears, and with it all
    parameters that are conditional on it. Raises SpaceError if no model is left, or if the space requires the opposite
    of `pretrained`.
    """
    wanted = _wanted(space, pretrained)
    constraints = _constraints(space, wanted)
    families = {
        name: [
            model
            for model in members
            if (models is None or model in models) and _possible(name, model, wanted, constraints)
        ]
        for name, members in space.families.items()
    }
    families = {name: members for name, members in families.items() if members}
    if not families:
        raise SpaceError(f"the search space {space.name!r} must keep a model, and none of its models is left")
    known: dict[str, set[Any]] = {
        "family": set(families),
        "model": {model for members in families.values() for model in members},
        PRETRAINED: {wanted},
    }
    spec = space.to_dict()
    parameters = _parameters(spec.get("parameters", {}), known)
    parameters.pop(PRETRAINED, None)
    if pretrained:
        parameters = {PRETRAINED: {"type": "categorical", "choices": [True]}, **parameters}
    portfolio = [
        {key: value for key, value in entry.items() if pretrained or key != PRETRAINED}
        for entry in space.portfolio
        if bool(entry.get(PRETRAINED, False)) == pretrained and entry.get("model") in known["model"]
    ]
    spec |= {"families": families, "parameters": parameters, "portfolio": portfolio}
    return _remade(space, spec, constraints)


def only_models(space: SearchSpace, models: Collection[str]) -> SearchSpace:
    """Return the space without the other models, and without what is searched only for them.

    Raises SpaceError if no model is left.
    """
    families = {name: [one for one in members if one in models] for name, members in space.families.items()}
    families = {name: members for name, members in families.items() if members}
    if families == {name: list(members) for name, members in space.families.items()}:
        return space
    if not families:
        raise SpaceError(f"the search space {space.name!r} must keep a model, and none of its models is left")
    known: dict[str, set[Any]] = {
        "family": set(families),
        "model": {m for ms in families.values() for m in ms},
    }
    spec = space.to_dict()
    parameters = _parameters(spec.get("parameters", {}), known)
    portfolio = [entry for entry in space.portfolio if entry.get("model") in known["model"]]
    spec |= {"families": families, "parameters": parameters, "portfolio": portfolio}
    return _remade(space, spec, space.constraints)


def with_weights(
    space: SearchSpace, models: Sequence[str], recipes: Sequence[Config], *, true_sizes: bool = True
) -> SearchSpace:
    """Return the space for a study that both fine-tunes `models`, given with the best first, and trains from scratch.

    Only these models may start from pretrained weights. The portfolio holds the configurations from scratch in turns
    with those of `with_portfolio`. `true_sizes`: see `with_true_sizes`; without, as in studies of earlier versions.
    Raises SpaceError if the space requires weights, or forbids them.
    """
    scratch = narrowed(space, pretrained=False).portfolio
    narrow = narrowed(space, pretrained=True, models=models)
    tuned = with_portfolio(narrow, models, recipes, true_sizes=true_sizes).portfolio
    allowed = Constraint(f"not {PRETRAINED} or model in {list(models)!r}")
    plain: list[Config] = [{PRETRAINED: False, **config} for config in scratch]
    turns = [config for pair in zip_longest(plain, tuned) for config in pair if config is not None]
    if PRETRAINED not in space.parameters:
        spec = space.to_dict()
        choice = {PRETRAINED: {"type": "categorical", "choices": [False, True]}}
        spec |= {"parameters": {**choice, **spec.get("parameters", {})}, "portfolio": None}
        space = replace(SearchSpace.from_dict(spec, name=space.name), weights=space.weights)
    space = with_true_sizes(space, models) if true_sizes else space
    return replace(space, constraints=(*space.constraints, allowed), portfolio=tuple(turns))


def with_portfolio(
    space: SearchSpace, models: Sequence[str], recipes: Sequence[Config], *, true_sizes: bool = True
) -> SearchSpace:
    """Return the space with a portfolio of configurations of these models, given with the best first.

    The first two models use the first recipe, then the best model uses the other recipes, then come the other models
    with the first recipe. Configurations that violate a constraint are left out. `true_sizes`: as in `with_weights`.
    """
    space = with_true_sizes(space, models) if true_sizes else space
    first, *others = recipes or ({},)
    tried = [(model, first) for model in models[:2]]
    tried += [(model, recipe) for recipe in others for model in models[:1]]
    tried += [(model, first) for model in models[2:]]
    portfolio = [configuration(space, model, recipe) for model, recipe in tried]
    return replace(space, portfolio=tuple(config for config in portfolio if space.allows(config)))


def with_true_sizes(space: SearchSpace, models: Sequence[str]) -> SearchSpace:
    """Return the space in which the `size` of a configuration is the side of the input that its network gets.

    Weights may fit one size alone, and patches divide the side. So a model of `models`, which have weights, has choices
    of its own where it does not get those of the others.
    """
    if SIZE not in space.parameters:
        return space
    known = {model: str(family_of(model, space.patterns)) for model in models}
    ranges = [each for one in space.parameters[SIZE] for each in (*_true_ranges(one, known), one)]
    return replace(space, parameters={**space.parameters, SIZE: tuple(ranges)})


def configuration(space: SearchSpace, model: str, recipe: Mapping[str, Any]) -> Config:
    """Return a configuration of `model` in the space, as close to `recipe` as the space allows.

    A number that is no choice becomes the closest one. Other parameters get their `middle` value.
    """
    config: Config = {"family": family_of(model, space.patterns), "model": model}
    for key in space.order:
        parameter = next((one for one in space.parameters[key] if one.is_active(config)), None)
        if parameter is not None:
            given = recipe.get(key)
            config[key] = given if key in recipe and parameter.admits(given) else _closest(parameter, given)
    return config


def choices_of(space: SearchSpace, model: str, key: str) -> tuple[Value, ...]:
    """Return the choices of a parameter for a pretrained model of the space; () if it is not searched for it."""
    config = {"family": family_of(model, space.patterns), "model": model, PRETRAINED: True}
    active = next((one for one in space.parameters.get(key, ()) if one.is_active(config)), None)
    return active.choices if isinstance(active, Categorical) else ()


def _closest(parameter: Parameter, given: Any) -> Value:
    """Return the number among the choices that is closest to a given one; without numbers, the `middle`."""
    numbers = [one for one in getattr(parameter, "choices", ()) if _is_number(one)]
    return (
        min(numbers, key=lambda one: abs(one - given)) if numbers and _is_number(given) else middle(parameter)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _remade(space: SearchSpace, spec: _Spec, constraints: Sequence[Constraint]) -> SearchSpace:
    """Return the part of a space that `spec` describes, with its weights and the constraints that still apply."""
    made = SearchSpace.from_dict({**spec, "constraints": None}, name=space.name)
    weights = {name: weight for name, weight in space.weights.items() if name in spec["families"]}
    # They were checked against the whole space; here, some of the models in them may be gone.
    left = tuple(each for each in constraints if each.names <= {*spec["parameters"], "family", "model"})
    return replace(made, weights=weights, constraints=left)


def _possible(family: str, model: str, pretrained: bool, constraints: Sequence[Constraint]) -> bool:
    """Return whether the constraints on these three alone allow a model."""
    known = {"family": family, "model": model, PRETRAINED: pretrained}
    return all(each.holds(known) for each in constraints if each.names <= known.keys())


def _wanted(space: SearchSpace, pretrained: bool) -> bool:
    choices = [c for one in space.parameters.get(PRETRAINED, ()) for c in getattr(one, "choices", ())]
    if choices and pretrained not in choices:
        raise SpaceError(
            f"the search space {space.name!r} has pretrained: {str(choices[0]).lower()}, but this study trains "
            f"{'from pretrained weights' if pretrained else 'from scratch'}: change one of them"
        )
    return pretrained


def _constraints(space: SearchSpace, pretrained: bool) -> list[Constraint]:
    """Return the constraints with `pretrained` substituted."""
    left: list[Constraint] = []
    for constraint in space.constraints:
        settled = constraint if pretrained else constraint.substitute({PRETRAINED: False})
        if settled is False:
            raise SpaceError(
                f"the search space {space.name!r} must contain configurations that train from scratch, but its "
                f"constraint {constraint.text!r} allows none: change it, or use pretrained weights"
            )
        if isinstance(settled, Constraint):
            left.append(settled)
    return left


def _parameters(parameters: Mapping[str, Any], known: dict[str, set[Any]]) -> _Spec:
    """Return the ranges that can still be active, without conditions that are always true now."""
    kept: _Spec = dict(parameters)
    while True:
        names = {*kept, *known}
        left: _Spec = {}
        for key, spec in kept.items():
            ranges = _ranges(spec if isinstance(spec, list) else [spec], known, names)
            if ranges:
                left[key] = ranges if isinstance(spec, list) and len(ranges) > 1 else ranges[0]
        if left.keys() == kept.keys():
            return left
        kept = left  # again: parameters that depended on a removed one are removed too


def _ranges(variants: list[_Spec], known: dict[str, set[Any]], names: Collection[str]) -> list[_Spec]:
    left: list[_Spec] = []
    for variant in variants:
        when = _conditions(variant.get("when", {}), known, names)
        if when is None or any(when == earlier.get("when", {}) for earlier in left):
            continue  # an earlier range with the same conditions comes first
        bare = {key: value for key, value in variant.items() if key != "when"}
        left.append({**bare, "when": when} if when else bare)
        if not when:
            break  # it is always active, so later ranges never are
    return left


def _conditions(when: Mapping[str, Any], known: dict[str, set[Any]], names: Collection[str]) -> _Spec | None:
    """Return the conditions that are still open; None if one can never be true."""
    left: _Spec = {}
    for name, values in when.items():
        listed = values if isinstance(values, list) else [values]
        if name not in names:
            return None
        if name in known:
            listed = [value for value in listed if value in known[name]]
            if not listed:
                return None
            if name == PRETRAINED:
                continue
        left[name] = listed if len(listed) > 1 else listed[0]
    return left


def _true_ranges(one: Parameter, models: Mapping[str, str]) -> list[Categorical]:
    """Return the choices of the models that do not get all sizes of a range, each for models that get the same.

    `models` are given with their families.
    """
    when = dict(one.when)
    found: dict[tuple[Value, ...], list[str]] = {}
    for model, family in models.items():
        if family not in when.get("family", (family,)) or model not in when.get("model", (model,)):
            continue
        can, sides = capabilities(model), tuple[Value, ...]()
        if isinstance(one, Categorical):
            sides = tuple(_side(can, choice) for choice in one.choices)
        elif can.one_size:
            sides = (can.input_size,)
        if sides not in ((), getattr(one, "choices", ())):
            found.setdefault(sides, []).append(model)
    return [_true_range(one, sides, {**when, "model": tuple(own)}) for sides, own in found.items()]


def _true_range(
    one: Parameter, sides: tuple[Value, ...], when: Mapping[str, tuple[Value, ...]]
) -> Categorical:
    """Return the choice of `sides`, the side for each choice of a range; equal ones share their weight."""
    name = f"{one.name}.{'+'.join(map(str, when['model']))}"
    conditions, every = tuple(when.items()), tuple(dict.fromkeys(sides))
    if not isinstance(one, Categorical):
        return Categorical(name, conditions, every)
    shares = dict.fromkeys(every, 0.0)
    for side, weight in zip(sides, one.weights, strict=False):
        shares[side] += weight
    prior = None if one.prior is None else sides[one.choices.index(one.prior)]
    return Categorical(name, conditions, every, tuple(shares.values()) if one.weights else (), prior)


def _side(can: Capability, size: Value) -> Value:
    return size if isinstance(size, bool) or not isinstance(size, int) else can.side_with_weights(size)
