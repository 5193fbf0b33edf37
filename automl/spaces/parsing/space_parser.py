"""Parse a dict (or YAML) into the parts of a search space, and report all problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from automl.errors import unknown_name
from automl.spaces.architectures.limits import KEYS as LIMITS
from automl.spaces.architectures.limits import Limits, parse_limits
from automl.spaces.architectures.patterns import Families, matches
from automl.spaces.constraints import Constraint
from automl.spaces.parameters import Categorical, Float, Parameter, Value
from automl.spaces.parsing.constraint_checker import NUMBER, TEXT, Name, kind_of, parse_constraints, unchecked
from automl.spaces.parsing.parameter_parser import parse_parameter
from automl.spaces.priors import is_weight

Variants = dict[str, tuple[Parameter, ...]]

_KEYS = (
    "include",
    "description",
    "families",
    "max_params",
    "max_macs",
    "parameters",
    "constraints",
    "portfolio",
)
_FAMILY_KEYS = ("models", "weight")
RESERVED = ("family", "model")


@dataclass
class Parsed:
    """The parts of a space.

    `limits` apply to single models or patterns, `bounds` to all models; `weights` are those of families. `order` lists
    parameters after the ones that their conditions depend on. `written` names all parameters, also those with an
    invalid range.
    """

    description: str = ""
    families: Families = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)
    bounds: Limits = field(default_factory=Limits)
    parameters: Variants = field(default_factory=dict)
    written: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    portfolio: tuple[dict[str, Any], ...] = ()
    problems: list[str] = field(default_factory=list)


def parse_space(spec: Mapping[str, Any]) -> Parsed:
    """Parse all of `spec`; each problem is a sentence in `problems`, with a dotted key.

    Portfolio entries are only checked to be mappings; the space checks their values.
    """
    parsed = Parsed()
    for key in spec:
        if key not in _KEYS:
            parsed.problems.append(unknown_name("key", str(key), _KEYS))
    description = spec.get("description") or ""
    if not isinstance(description, str):
        parsed.problems.append(f"description: must be text, not {description!r}")
    parsed.description = " ".join(str(description).split())
    sizes = {key: spec[key] for key in ("max_params", "max_macs") if key in spec}
    parsed.bounds = parse_limits(sizes, "", parsed.problems)
    _parse_families(spec.get("families"), parsed)
    _parse_parameters(spec.get("parameters"), parsed)
    _check_conditions(parsed)
    _sort(parsed)
    parsed.constraints = parse_constraints(spec.get("constraints"), _names(parsed), parsed.problems)
    _parse_portfolio(spec.get("portfolio"), parsed)
    if not parsed.families and not parsed.parameters and not parsed.problems:
        parsed.problems.append("a search space must have families or parameters, but it has neither")
    return parsed


def _parse_families(families: Any, parsed: Parsed) -> None:
    if families is None:
        return
    if not isinstance(families, Mapping):
        parsed.problems.append(f"families: must be a mapping of names to models, not {families!r}")
        return
    owners: dict[str, str] = {}
    for name, given in families.items():
        members = _parse_weight(given, str(name), parsed)
        listed = _parse_members(members, f"families.{name}", parsed)
        if not listed:
            continue
        for member in listed:
            if member in owners:
                parsed.problems.append(
                    f"families.{name}: each model may be listed once, but {member!r} is in "
                    f"{owners[member]!r} too"
                )
            owners[member] = str(name)
        parsed.families[str(name)] = tuple(listed)


def _parse_weight(family: Any, name: str, parsed: Parsed) -> Any:
    """Return the models of a family; one with a weight is a mapping such as {models: [resnet18], weight: 2}."""
    if not isinstance(family, Mapping) or not family.keys() & set(_FAMILY_KEYS):
        return family
    where = f"families.{name}"
    wrong = [str(key) for key in family if key not in _FAMILY_KEYS]
    parsed.problems.extend(f"{where}: {unknown_name('key', key, _FAMILY_KEYS)}" for key in wrong)
    weight = family.get("weight", 1)
    if not is_weight(weight):
        parsed.problems.append(f"{where}.weight: must be a number above 0, not {weight!r}")
    elif weight != 1:
        parsed.weights[name] = float(weight)
    return family.get("models")


def _parse_members(members: Any, where: str, parsed: Parsed) -> list[str]:
    """Return the models and patterns of a family; those with limits are {timm: "convnext*", max_params: 30M}.

    Empty if they are invalid.
    """
    listed = members if isinstance(members, (list, tuple)) else (members,)
    names: list[str] = []
    for member in listed:
        name = member.get("timm") if isinstance(member, Mapping) else member
        if not isinstance(name, str) or not name:
            break
        if isinstance(member, Mapping):
            wrong = [str(key) for key in member if key not in ("timm", *LIMITS)]
            parsed.problems.extend(f"{where}: {unknown_name('key', key, ('timm', *LIMITS))}" for key in wrong)
            limits = parse_limits(member, f"{where}.", parsed.problems)
            if limits:
                parsed.limits[name] = limits
        names.append(name)
    if not names or len(names) < len(listed):
        parsed.problems.append(f"{where}: must be a model, a pattern or a list of them, not {members!r}")
        return []
    return names


def _parse_parameters(parameters: Any, parsed: Parsed) -> None:
    if parameters is None:
        return
    if not isinstance(parameters, Mapping):
        parsed.problems.append(f"parameters: must be a mapping of names to ranges, not {parameters!r}")
        return
    parsed.written = tuple(str(key) for key in parameters)
    names = {f"model.{family}": "the model of a family" for family in parsed.families}
    for key, spec in parameters.items():
        where = f"parameters.{key}"
        if not isinstance(key, str) or not key or (parsed.families and key in RESERVED):
            parsed.problems.append(f"{where}: must have another name; family and model are reserved")
            continue
        variants = _parse_variants(key, spec, where, parsed.problems)
        if variants:
            parsed.parameters[key] = variants
        for variant in variants:
            if variant.name in names:
                parsed.problems.append(
                    f"{where}: {variant.name!r} must be unique, but {names[variant.name]} has the same name"
                )
            names[variant.name] = where


def _parse_variants(key: str, spec: Any, where: str, problems: list[str]) -> tuple[Parameter, ...]:
    """Parse one range, or several of which the first with true conditions is active."""
    if not isinstance(spec, (list, tuple)):
        single = parse_parameter(spec, name=key, where=where, problems=problems)
        return () if single is None else (single,)
    if not spec:
        problems.append(f"{where}: must have at least one range, not {spec!r}")
    variants = []
    for i, entry in enumerate(spec):
        name = f"{key}.{_suffix(entry)}" if _suffix(entry) else key
        variant = parse_parameter(entry, name=name, where=f"{where}[{i}]", problems=problems)
        if variant is not None:
            variants.append(variant)
            if not variant.when and i < len(spec) - 1:
                problems.append(
                    f"{where}[{i}]: a range without `when` must be the last, because it is always active"
                )
    return tuple(variants)


def _suffix(entry: Any) -> str:
    """Return the suffix of a variant's name in Optuna: the values in its conditions."""
    when = entry.get("when") if isinstance(entry, Mapping) else None
    if not isinstance(when, Mapping):
        return ""
    texts = []
    for values in when.values():
        listed = values if isinstance(values, (list, tuple)) else (values,)
        texts.append("+".join(str(value) for value in listed))
    return ",".join(texts)


def _check_conditions(parsed: Parsed) -> None:
    """Check that every condition names a parameter that exists and a value that it can have."""
    # Parameters with an invalid range are known too: that problem is already reported.
    known = [*parsed.written, *(RESERVED if parsed.families else ())]
    for key, variants in parsed.parameters.items():
        for i, variant in enumerate(variants):
            where = f"parameters.{key}" + (f"[{i}]" if len(variants) > 1 else "") + ".when"
            for name, values in variant.when:
                if name not in known:
                    parsed.problems.append(f"{where}: {unknown_name('parameter', name, known)}")
                    continue
                for value in values:
                    problem = _value_problem(parsed, name, value)
                    if problem:
                        parsed.problems.append(f"{where}.{name}: {problem}")


def _value_problem(parsed: Parsed, name: str, value: Value) -> str:
    if name == "family" and parsed.families:
        return "" if value in parsed.families else unknown_name("family", str(value), parsed.families)
    if name == "model" and parsed.families:
        patterns = tuple(member for members in parsed.families.values() for member in members)
        return "" if matches(str(value), patterns) else unknown_name("model", str(value), patterns)
    targets = parsed.parameters.get(name, ())
    if any(isinstance(target, Float) for target in targets):
        return "must be a categorical or an int to decide about others, but it is a float"
    if targets and not any(target.admits(value) for target in targets):
        return f"must be a value of {name} ({'; '.join(str(target) for target in targets)}), not {value!r}"
    return ""


def _names(parsed: Parsed) -> dict[str, Name]:
    """Return what constraints may contain."""
    names = {key: unchecked() for key in parsed.written}
    for key, variants in parsed.parameters.items():
        values = [c for each in variants if isinstance(each, Categorical) for c in each.choices]
        ranges = [each for each in variants if not isinstance(each, Categorical)]
        kinds = frozenset((*map(kind_of, values), *([NUMBER] if ranges else [])))

        names[key] = Name(kinds, (lambda _: "") if ranges else partial(_value_problem, parsed, key))
    if parsed.families:
        for key in RESERVED:
            names[key] = Name(frozenset((TEXT,)), partial(_value_problem, parsed, key))
    return names


def _sort(parsed: Parsed) -> None:
    """Order parameters after those that their conditions depend on, otherwise as they are written."""
    waits = {
        key: {name for variant in variants for name, _ in variant.when if name in parsed.parameters}
        for key, variants in parsed.parameters.items()
    }
    done: list[str] = []
    while len(done) < len(waits):
        ready = next((key for key in waits if key not in done and waits[key] <= set(done)), None)
        if ready is None:
            stuck = sorted(set(waits) - set(done))
            parsed.problems.append(
                f"parameters: conditions must not form a circle, but those of {', '.join(stuck)} do: remove "
                "one"
            )
            return
        done.append(ready)
    parsed.order = tuple(done)


def _parse_portfolio(portfolio: Any, parsed: Parsed) -> None:
    if portfolio is None:
        return
    if not isinstance(portfolio, Sequence) or isinstance(portfolio, str):
        parsed.problems.append(f"portfolio: must be a list of configurations, not {portfolio!r}")
        return
    entries = []
    for i, entry in enumerate(portfolio):
        if not isinstance(entry, Mapping):
            parsed.problems.append(
                f"portfolio[{i}]: must be a mapping of parameters to values, not {entry!r}"
            )
            continue
        entries.append(dict(entry))
    parsed.portfolio = tuple(entries)
