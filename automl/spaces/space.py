"""The search space: families of models and parameters, drawn through Optuna and translated back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from automl.errors import SpaceError, listed, unknown_name
from automl.records import Config
from automl.spaces.architectures.families import expand, require_model
from automl.spaces.architectures.limits import Limits
from automl.spaces.architectures.patterns import Families, family_of, matches
from automl.spaces.constraints import Constraint
from automl.spaces.parameters import Parameter, condition_text, middle, when_dict
from automl.spaces.parsing.constraint_checker import mentions
from automl.spaces.parsing.includes import Merged, find_space, merged, read_space
from automl.spaces.parsing.space_parser import RESERVED, Variants, parse_space
from automl.spaces.priors import Prior, family_prior

PRETRAINED = "pretrained"  # the parameter that says whether training starts from pretrained weights

if TYPE_CHECKING:
    from optuna import Trial


@dataclass(frozen=True, repr=False)
class SearchSpace:
    """The configurations that may be tried. Made by `load` or `from_dict`, which check everything that needs no timm.

    `patterns`: the families as written, whose members may be patterns such as "convnext_*"; `parameters`: the ranges of
    each key, of which the first with true conditions is active; `order`: the keys in the order in which they are drawn;
    `portfolio`: full configurations to try first; `limits`: size limits of single models or patterns; `bounds`: size
    limits of all models; `weights`: how likely each family is to be good (1 if not given); `constraints`: what every
    configuration must satisfy.
    """

    name: str
    description: str
    patterns: Families
    parameters: Variants
    order: tuple[str, ...]
    portfolio: tuple[Config, ...]
    limits: Mapping[str, Limits] = field(default_factory=dict)
    bounds: Limits = field(default_factory=Limits)
    weights: Mapping[str, float] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()

    @staticmethod
    def load(name_or_file: str | Path) -> SearchSpace:
        """Load a preset by its name, or a YAML file. Raises SpaceError with the closest match, or with all problems."""
        path = find_space(name_or_file)
        return _made(read_space(path), name=path.stem, path=path)

    @staticmethod
    def from_dict(spec: Mapping[str, Any], *, name: str = "custom") -> SearchSpace:
        """Make a space from a dict of the form of the YAML files, with includes relative to the current folder.

        Raises SpaceError that lists all problems.
        """
        return _made(spec, name=name, path=None)

    def save(self, path: str | Path) -> None:
        """Write the space, with everything that it included, as YAML for `load`. Raises OSError."""
        text = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)
        if "\x85" in text:  # PyYAML writes this character as it is, and reads it as a line break
            text = yaml.safe_dump(self.to_dict(), sort_keys=False)
        Path(path).write_text(text, encoding="utf-8")

    @cached_property
    def families(self) -> Families:
        """Return the models of each family, with patterns resolved; timm is imported only if there are patterns.

        Models beyond the limits of their pattern or of the space are left out. Raises SpaceError for a pattern that
        matches nothing or too much, and for a family without any model left.
        """
        bounds = {member: self.limits.get(member) for members in self.patterns.values() for member in members}
        return {name: expand(members, bounds, self.bounds) for name, members in self.patterns.items()}

    def check_models(self) -> None:
        """Raise SpaceError with the closest match for a model that timm does not have.

        Drawing does so too; this checks before a study starts. The models of presets are known without timm.
        """
        for members in self.families.values():
            for member in members:
                require_model(member)

    def suggest(self, trial: Trial) -> Config:
        """Draw a configuration without inactive parameters. Raises SpaceError for a model that timm does not have."""
        config: Config = {}
        if self.patterns:
            family = trial.suggest_categorical("family", list(self._members))
            members = self._members[family]
            config["family"] = family
            config["model"] = (
                trial.suggest_categorical(f"model.{family}", members) if len(members) > 1 else members[0]
            )
        for key in self.order:
            parameter = self._active(key, config)
            if parameter is not None:
                config[key] = parameter.suggest(trial)
        return config

    def to_params(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return Optuna's names and values for a configuration: the inverse of `suggest`.

        Raises SpaceError that lists all values outside of the space, and missing and inactive parameters.
        """
        config = _complete(config, self.patterns, self.parameters)
        problems = self._problems(config)
        if problems:
            raise SpaceError(
                f"the configuration must lie in the search space {self.name!r}, but it does not: "
                f"{'; '.join(problems)}"
            )
        params: dict[str, Any] = {}
        if self.patterns:
            family = config["family"]
            params["family"] = family
            if len(self._members[family]) > 1:
                params[f"model.{family}"] = config["model"]
        for key in self.order:
            parameter = self._active(key, config)
            if parameter is not None:
                params[parameter.name] = config[key]
        return params

    @property
    def priors(self) -> dict[str, Prior]:
        """Return the priors of the parameters that have a prior or weights, by Optuna's names."""
        found = {"family": family_prior(tuple(self._members), self.weights)} if self.weights else {}
        ranges = (variant for variants in self.parameters.values() for variant in variants)
        beliefs = {variant.name: variant.belief() for variant in ranges}
        return found | {name: belief for name, belief in beliefs.items() if belief is not None}

    def allows(self, config: Mapping[str, Any]) -> bool:
        """Return whether a configuration satisfies all constraints; a missing parameter satisfies them."""
        return all(constraint.holds(config) for constraint in self.constraints)

    def to_dict(self) -> dict[str, Any]:
        """Return the space in the form of the YAML files; `from_dict` makes an equal space of it."""
        families = {name: self._family(name, members) for name, members in self.patterns.items()}
        parameters = {key: _variants_dict(key, variants) for key, variants in self.parameters.items()}
        return {
            **({"description": self.description} if self.description else {}),
            **({"families": families} if families else {}),
            **self.bounds.to_dict(),
            **({"parameters": parameters} if parameters else {}),
            **({"constraints": [each.text for each in self.constraints]} if self.constraints else {}),
            **({"portfolio": [dict(config) for config in self.portfolio]} if self.portfolio else {}),
        }

    def describe(self) -> list[tuple[str, str, str]]:
        """Return a row of text for each range: (Optuna's name, values and prior, conditions or "")."""
        return [
            (parameter.name, parameter.described(), condition_text(parameter.when))
            for variants in self.parameters.values()
            for parameter in variants
        ]

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, {len(self.patterns)} families, {len(self.parameters)} parameters)"

    @cached_property
    def _members(self) -> Families:
        """Return the families after checking that all models exist."""
        self.check_models()
        return self.families

    def _family(self, name: str, members: tuple[str, ...]) -> Any:
        """Return a family as in YAML."""
        models = [self._member(each) for each in members]
        return {"models": models, "weight": self.weights[name]} if name in self.weights else models

    def _member(self, name: str) -> Any:
        """Return a model or pattern as in YAML."""
        limits = self.limits.get(name)
        return {"timm": name, **limits.to_dict()} if limits else name

    def _active(self, key: str, config: Mapping[str, Any]) -> Parameter | None:
        """Return the range of `key` that is active in `config`, if any."""
        for variant in self.parameters[key]:
            if not variant.when or variant.is_active(config):
                return variant
        return None

    def _problems(self, config: Mapping[str, Any]) -> list[str]:
        """Return why `config` is not in the space, one sentence for each reason."""
        problems = self._model_problems(config) if self.patterns else []
        known = {*self.parameters, *(("family", "model") if self.patterns else ())}
        problems.extend(unknown_name("parameter", str(key), known) for key in config if key not in known)
        for key in self.order:
            parameter = self._active(key, config)
            if parameter is None:
                if key in config:
                    conditions = " or ".join(condition_text(variant.when) for variant in self.parameters[key])
                    problems.append(f"{key}: is searched only if {conditions}; remove it")
            elif key not in config:
                problems.append(f"{key}: is missing; give a value of {parameter}")
            elif not parameter.admits(config[key]):
                problems.append(f"{key}: must be a value of {parameter}, not {config[key]!r}")
        # Constraints can be computed only for valid values.
        return problems or [
            f"must satisfy the constraint {constraint.text!r}; change or remove it"
            for constraint in self.constraints
            if not constraint.holds(config)
        ]

    def _model_problems(self, config: Mapping[str, Any]) -> list[str]:
        family, model = config.get("family"), config.get("model")
        if family not in self.patterns:
            return [f"family: {unknown_name('family', str(family), self.patterns)}"]
        if not isinstance(model, str) or not matches(model, self.patterns[family]):
            return [f"model: {unknown_name('model', str(model), self.patterns[family])}"]
        if (self.limits or self.bounds) and model not in self.families[family]:
            return [f"model: {model!r} must be within the limits of the space; remove it or raise them"]
        return []


def _made(spec: Any, *, name: str, path: Path | None) -> SearchSpace:
    """Make the space of a mapping with everything that it includes. Raises SpaceError that lists all problems."""
    if not isinstance(spec, Mapping):
        raise SpaceError(
            f"the search space {name!r} must be a mapping with families and parameters, not {type(spec).__name__}"
        )
    whole = merged(spec, Path() if path is None else path.parent, path)
    # If an include failed, the rest would be full of unknown names.
    space, problems = (None, whole.problems) if whole.problems else _parsed(whole, name)
    if space is None or problems:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        raise SpaceError(f"the search space {name!r} has {count}: {'; '.join(listed(problems))}")
    return space


def _parsed(whole: Merged, name: str) -> tuple[SearchSpace, list[str]]:
    parsed = parse_space(_without_removed(whole))
    space = SearchSpace(
        name=name,
        description=parsed.description,
        patterns=parsed.families,
        parameters=parsed.parameters,
        order=parsed.order,
        portfolio=(),
        limits=parsed.limits,
        bounds=parsed.bounds,
        weights=parsed.weights,
        constraints=parsed.constraints,
    )
    problems = list(parsed.problems)
    if problems:  # with invalid ranges, every configuration would look wrong
        return space, problems
    entries = [_complete(entry, parsed.families, parsed.parameters) for entry in parsed.portfolio]
    if "portfolio" in whole.inherited:
        entries = [_adapted(entry, space) for entry in entries]
        entries = [entry for entry in entries if not space._problems(entry)]
    for i, config in enumerate(entries):
        problems.extend(f"portfolio[{i}]{_joint(problem)}{problem}" for problem in space._problems(config))
    return replace(space, portfolio=tuple(entries)), problems


def _joint(problem: str) -> str:
    """Return "." before a problem that starts with a key, which continues the dotted key, and ": " otherwise."""
    key, colon, _ = problem.partition(": ")
    return "." if colon and " " not in key else ": "


def _without_removed(whole: Merged) -> dict[str, Any]:
    """Return the mapping without included constraints on removed parameters."""
    constraints = whole.spec.get("constraints")
    if not whole.removed or "constraints" not in whole.inherited or not isinstance(constraints, list):
        return whole.spec
    gone = whole.removed - set(whole.spec.get("parameters") or ())
    return {**whole.spec, "constraints": [text for text in constraints if not mentions(text, gone)]}


def _adapted(entry: Config, space: SearchSpace) -> Config:
    """Adapt an entry of an included portfolio: remove unknown parameters and add missing ones."""
    config = {key: value for key, value in entry.items() if key in space.parameters or key in RESERVED}
    for key in space.order:
        parameter = space._active(key, config)
        if parameter is None:
            config.pop(key, None)
        elif key not in config:
            config[key] = middle(parameter)
    return config


def _complete(config: Mapping[str, Any], families: Families, parameters: Variants) -> Config:
    """Return the configuration with a missing family derived from its model, and `pretrained: false` by default."""
    if PRETRAINED not in config and any(one.admits(False) for one in parameters.get(PRETRAINED, ())):
        config = {PRETRAINED: False, **config}
    if families and "family" not in config and "model" in config:
        family = family_of(str(config["model"]), families)
        if family is not None:
            return {"family": family, **config}
    return dict(config)


def _variants_dict(key: str, variants: tuple[Parameter, ...]) -> Any:
    rows = [
        {**variant.to_dict(), **({"when": when_dict(variant.when)} if variant.when else {})}
        for variant in variants
    ]
    return rows[0] if len(rows) == 1 and variants[0].name == key else rows
