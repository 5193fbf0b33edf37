"""A space made smaller: with weights or without, with some of its models, begun with the most promising of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from automl.errors import SpaceError
from automl.records import Config
from automl.spaces.architectures.patterns import family_of
from automl.spaces.constraints import Constraint
from automl.spaces.parameters import middle
from automl.spaces.space import PRETRAINED, SearchSpace

_Spec = dict[str, Any]


def narrowed(space: SearchSpace, *, pretrained: bool, models: Collection[str] | None = None) -> SearchSpace:
    """The part of a space in which all configurations start from weights, or none does, with these models (all, if
    not given).

    Without weights the parameter `pretrained` disappears and with it all that is searched only there. Raises
    SpaceError where no model is left, and where the space asks for what it shall be without.
    """
    wanted = _wanted(space, pretrained)
    families = {
        name: [model for model in members if models is None or model in models]
        for name, members in space.families.items()
    }
    families = {name: members for name, members in families.items() if members}
    constraints = _constraints(space, wanted)
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
    spec |= {"families": families, "parameters": parameters, "portfolio": portfolio, "constraints": None}
    made = SearchSpace.from_dict(spec, name=space.name)
    weights = {name: weight for name, weight in space.weights.items() if name in families}
    # They were checked against the whole space: here, some of the models that they name may be gone.
    left = tuple(each for each in constraints if each.names <= {*parameters, "family", "model"})
    return replace(made, weights=weights, constraints=left)


def begun_with(space: SearchSpace, models: Sequence[str], recipes: Sequence[Config]) -> SearchSpace:
    """The space with configurations of these models, the best first, to try first, and no others.

    The first two models follow the first recipe, then the best one follows the others, then come the other models.
    What breaks a constraint is left out.
    """
    first, *others = recipes or ({},)
    tried = [(model, first) for model in models[:2]]
    tried += [(model, recipe) for recipe in others for model in models[:1]]
    tried += [(model, first) for model in models[2:]]
    portfolio = [configuration(space, model, recipe) for model, recipe in tried]
    return replace(space, portfolio=tuple(config for config in portfolio if space.allows(config)))


def configuration(space: SearchSpace, model: str, recipe: Mapping[str, Any]) -> Config:
    """A configuration of `model` in the space, as close to `recipe` as the space allows.

    Where it says nothing that fits: the prior, the first choice, 0 where a range begins there, and else the middle.
    """
    config: Config = {"family": family_of(model, space.patterns), "model": model}
    for key in space.order:
        parameter = next((one for one in space.parameters[key] if one.is_active(config)), None)
        if parameter is not None:
            given = recipe.get(key)
            config[key] = given if key in recipe and parameter.admits(given) else middle(parameter)
    return config


def _wanted(space: SearchSpace, pretrained: bool) -> bool:
    choices = [c for one in space.parameters.get(PRETRAINED, ()) for c in getattr(one, "choices", ())]
    if choices and pretrained not in choices:
        raise SpaceError(
            f"the search space {space.name!r} says pretrained: {str(choices[0]).lower()}, and this study trains "
            f"{'from weights' if pretrained else 'from scratch'}; change one of them"
        )
    return pretrained


def _constraints(space: SearchSpace, pretrained: bool) -> list[Constraint]:
    """What is left of the constraints once `pretrained` is decided."""
    left: list[Constraint] = []
    for constraint in space.constraints:
        settled = constraint if pretrained else constraint.settled({PRETRAINED: False})
        if settled is False:
            raise SpaceError(
                f"the search space {space.name!r} must hold configurations that train from scratch, but its constraint "
                f"{constraint.text!r} allows none: change it, or give weights"
            )
        if isinstance(settled, Constraint):
            left.append(settled)
    return left


def _parameters(parameters: Mapping[str, Any], known: dict[str, set[Any]]) -> _Spec:
    """The ranges that can still hold, without the conditions that now always do."""
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
        kept = left  # what was conditional on a parameter that went, goes too


def _ranges(variants: list[_Spec], known: dict[str, set[Any]], names: Collection[str]) -> list[_Spec]:
    left: list[_Spec] = []
    for variant in variants:
        when = _conditions(variant.get("when", {}), known, names)
        if when is None or any(when == earlier.get("when", {}) for earlier in left):
            continue  # the first range whose conditions hold is the one
        bare = {key: value for key, value in variant.items() if key != "when"}
        left.append({**bare, "when": when} if when else bare)
        if not when:
            break  # it always holds, so none behind it does
    return left


def _conditions(when: Mapping[str, Any], known: dict[str, set[Any]], names: Collection[str]) -> _Spec | None:
    """The conditions that are still open; None where one can never hold."""
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
