"""The search space: families of models and parameters, drawn through Optuna and translated back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from automl.errors import SpaceError, unknown_name
from automl.records import Config
from automl.spaces.architectures.families import expand, require_model
from automl.spaces.architectures.limits import Limits
from automl.spaces.architectures.patterns import Families, family_of, matches
from automl.spaces.constraints import Constraint
from automl.spaces.parameters import Parameter, condition_text, middle, when_dict
from automl.spaces.parsing.constraint_checker import speaks_of
from automl.spaces.parsing.includes import Merged, find_space, merged, read_space
from automl.spaces.parsing.space_parser import RESERVED, Variants, parse_space
from automl.spaces.priors import Prior, family_prior

PRETRAINED = "pretrained"  # the parameter that says whether training begins with weights

if TYPE_CHECKING:
    from optuna import Trial


@dataclass(frozen=True, repr=False)
class SearchSpace:
    """What may be tried. Made by `load` or `from_dict`, which check everything that needs no timm.

    `patterns`: the families as written, whose members may be patterns such as "convnext_*"; `parameters`: for
    each key of a configuration its ranges, of which the first with true conditions holds; `order`: the keys
    in the order in which they are drawn; `portfolio`: full configurations to try first; `limits`: how large the
    models of a pattern may be; `bounds`: how large all may be; `weights`: how likely a family is to be good, 1 where it
    does not say; `constraints`: what every configuration keeps.
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
        """A preset by its name, or a YAML file. Raises SpaceError with the closest match, or with all
        problems.
        """
        path = find_space(name_or_file)
        return _made(read_space(path), name=path.stem, path=path)

    @staticmethod
    def from_dict(spec: Mapping[str, Any], *, name: str = "custom") -> SearchSpace:
        """A space from a dict of the form of the YAML files; files that it includes are looked for from the current
        folder. Raises SpaceError that lists all problems.
        """
        return _made(spec, name=name, path=None)

    def save(self, path: str | Path) -> None:
        """Write the space as YAML that `load` reads: an equal space, what was included being part of it.

        Raises OSError where the file cannot be written.
        """
        text = yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)
        Path(path).write_text(text, encoding="utf-8")

    @cached_property
    def families(self) -> Families:
        """The models of each family, with patterns resolved; timm is imported only if there are patterns.

        Models beyond the limits of their pattern or of the space are left out. Raises SpaceError for a pattern that
        matches nothing, or far too much, and for a family of which nothing is left.
        """
        bounds = {member: self.limits.get(member) for members in self.patterns.values() for member in members}
        return {name: expand(members, bounds, self.bounds) for name, members in self.patterns.items()}

    def check_models(self) -> None:
        """Raise SpaceError with the closest match for a model that timm does not have.

        Drawing does it too; call this to know before a study is begun. The models of presets are known
        without timm.
        """
        for members in self.families.values():
            for member in members:
                require_model(member)

    def suggest(self, trial: Trial) -> Config:
        """Draw a configuration; inactive parameters are absent. Raises SpaceError for a model timm lacks."""
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
        """Optuna's names and values for a configuration: the inverse of `suggest`.

        Raises SpaceError that lists all that lies outside of the space: values, missing and inactive
        parameters.
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
        """What is believed of the parameters that have a prior or weights, by Optuna's names."""
        found = {"family": family_prior(tuple(self._members), self.weights)} if self.weights else {}
        ranges = (variant for variants in self.parameters.values() for variant in variants)
        beliefs = {variant.name: variant.belief() for variant in ranges}
        return found | {name: belief for name, belief in beliefs.items() if belief is not None}

    def allows(self, config: Mapping[str, Any]) -> bool:
        """Whether a configuration keeps all constraints; one counts as kept where a parameter of it is absent."""
        return all(constraint.holds(config) for constraint in self.constraints)

    def to_dict(self) -> dict[str, Any]:
        """The space in the form of the YAML files; `from_dict` makes an equal one of it."""
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
        """A row a range, for a person: (Optuna's name, values and what is believed of them, conditions or "")."""
        return [
            (parameter.name, parameter.described(), condition_text(parameter.when))
            for variants in self.parameters.values()
            for parameter in variants
        ]

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, {len(self.patterns)} families, {len(self.parameters)} parameters)"

    @cached_property
    def _members(self) -> Families:
        """The families, all of whose models exist."""
        self.check_models()
        return self.families

    def _family(self, name: str, members: tuple[str, ...]) -> Any:
        """A family as in YAML."""
        models = [self._member(each) for each in members]
        return {"models": models, "weight": self.weights[name]} if name in self.weights else models

    def _member(self, name: str) -> Any:
        """A model or pattern as in YAML."""
        limits = self.limits.get(name)
        return {"timm": name, **limits.to_dict()} if limits else name

    def _active(self, key: str, config: Mapping[str, Any]) -> Parameter | None:
        """The range of `key` that holds in `config`, if any. Needs the values that its conditions are on."""
        for variant in self.parameters[key]:
            if not variant.when or variant.is_active(config):
                return variant
        return None

    def _problems(self, config: Mapping[str, Any]) -> list[str]:
        """What keeps `config` from being a point of the space, one sentence each."""
        problems = self._model_problems(config) if self.patterns else []
        known = {*self.parameters, *(("family", "model") if self.patterns else ())}
        problems.extend(unknown_name("parameter", str(key), known) for key in config if key not in known)
        for key in self.order:
            parameter = self._active(key, config)
            if parameter is None:
                if key in config:
                    conditions = " or ".join(condition_text(variant.when) for variant in self.parameters[key])
                    problems.append(f"{key}: is searched only where {conditions}; leave it out")
            elif key not in config:
                problems.append(f"{key}: is missing; give a value of {parameter}")
            elif not parameter.admits(config[key]):
                problems.append(f"{key}: must be a value of {parameter}, not {config[key]!r}")
        # Of a configuration that is no point of the space, nothing could be computed.
        return problems or [
            f"must keep the constraint {constraint.text!r}; change it or leave it out"
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
            return [f"model: {model!r} must keep within the limits of the space; leave it out or raise them"]
        return []


def _made(spec: Any, *, name: str, path: Path | None) -> SearchSpace:
    """The space of a mapping with all that it includes. Raises SpaceError that lists all problems."""
    if not isinstance(spec, Mapping):
        raise SpaceError(
            f"the search space {name!r} must be a mapping with families and parameters, not {type(spec).__name__}"
        )
    whole = merged(spec, Path() if path is None else path.parent, path)
    # Without what could not be included, the rest would be full of unknown names.
    space, problems = (None, whole.problems) if whole.problems else _parsed(whole, name)
    if space is None or problems:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        raise SpaceError(f"the search space {name!r} has {count}: {'; '.join(problems)}")
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
    if problems:  # with broken ranges, every configuration would look wrong
        return space, problems
    entries = [_complete(entry, parsed.families, parsed.parameters) for entry in parsed.portfolio]
    if "portfolio" in whole.inherited:
        entries = [_adapted(entry, space) for entry in entries]
        entries = [entry for entry in entries if not space._problems(entry)]
    for i, config in enumerate(entries):
        problems.extend(f"portfolio[{i}]{_joint(problem)}{problem}" for problem in space._problems(config))
    return replace(space, portfolio=tuple(entries)), problems


def _joint(problem: str) -> str:
    """A problem that begins with a key continues the dotted one before it."""
    key, colon, _ = problem.partition(": ")
    return "." if colon and " " not in key else ": "


def _without_removed(whole: Merged) -> dict[str, Any]:
    """An included constraint on a parameter that was taken out says nothing any more."""
    constraints = whole.spec.get("constraints")
    if not whole.removed or "constraints" not in whole.inherited or not isinstance(constraints, list):
        return whole.spec
    gone = whole.removed - set(whole.spec.get("parameters") or ())
    return {**whole.spec, "constraints": [text for text in constraints if not speaks_of(text, gone)]}


def _adapted(entry: Config, space: SearchSpace) -> Config:
    """An included portfolio's entry without the parameters that the space lacks, and with those that it has besides."""
    config = {key: value for key, value in entry.items() if key in space.parameters or key in RESERVED}
    for key in space.order:
        parameter = space._active(key, config)
        if parameter is None:
            config.pop(key, None)
        elif key not in config:
            config[key] = middle(parameter)
    return config


def _complete(config: Mapping[str, Any], families: Families, parameters: Variants) -> Config:
    """The configuration with the family that its model belongs to, where it does not say, and `pretrained: false`:
    studies from scratch do not say that either.
    """
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
