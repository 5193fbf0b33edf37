"""Adapt what a space includes to the families and models that it leaves out."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

from automl.spaces.architectures.patterns import matches
from automl.spaces.constraints import parse

_NAMES = ("family", "model")


def without_left_out(
    included: Mapping[str, Any], families: Any, *, written: Collection[str] = ()
) -> dict[str, Any]:
    """Return what is included with parameters and constraints that do not name what `families` leaves out of it.

    A range whose conditions can never be true is left out, and so is a constraint that always holds. Other unknown
    names stay, so that they are reported. Parameters in `written` stay as they are: the space changes them.
    """
    spec = dict(included)
    before, after = _known(included.get("families")), _known(families)
    gone = {name: before[name] - after[name] for name in _NAMES}
    gone["model"] = {model for model in gone["model"] if not matches(model, tuple(after["model"]))}
    if not any(gone.values()):
        return spec
    if isinstance(spec.get("parameters"), Mapping):
        left = {
            name: given if name in written else _ranges(given, gone)
            for name, given in spec["parameters"].items()
        }
        spec["parameters"] = {name: given for name, given in left.items() if given != []}
    if isinstance(spec.get("constraints"), list):
        fitted = [_constraint(text, gone) for text in spec["constraints"]]
        spec["constraints"] = [text for text in fitted if text is not None]
    return spec


def _known(families: Any) -> dict[str, set[str]]:
    """Return the names of families, and those of their models, as far as they are valid."""
    found: dict[str, set[str]] = {name: set() for name in _NAMES}
    for family, given in families.items() if isinstance(families, Mapping) else ():
        members = given.get("models", given) if isinstance(given, Mapping) else given
        listed = members if isinstance(members, list | tuple) else [members]
        models = (member.get("timm") if isinstance(member, Mapping) else member for member in listed)
        found["family"].add(str(family))
        found["model"].update(model for model in models if isinstance(model, str))
    return found


def _ranges(given: Any, gone: Mapping[str, set[str]]) -> Any:
    """Return the ranges of a parameter that can still be active; [] if none can."""
    listed = given if isinstance(given, list) else [given]
    left = [fitted for one in listed if (fitted := _range(one, gone)) is not None]
    return left if isinstance(given, list) or not left else left[0]


def _range(given: Any, gone: Mapping[str, set[str]]) -> Any:
    when = given.get("when") if isinstance(given, Mapping) else None
    if not isinstance(when, Mapping):
        return given
    fitted = dict(when)
    for name in _NAMES:
        values = when.get(name, [])
        listed = values if isinstance(values, list) else [values]
        kept = [value for value in listed if value not in gone[name]]
        if listed and not kept:
            return None
        if len(kept) < len(listed):
            fitted[name] = kept
    return {**given, "when": fitted}


def _constraint(text: Any, gone: Mapping[str, set[str]]) -> Any:
    """Return an expression without these names in its lists, such as `family in ["vit", "swin"]`.

    None if it always holds.
    """
    try:
        tree = parse(text)
    except (AttributeError, SyntaxError, ValueError, RecursionError, MemoryError):
        return text  # it is reported where constraints are parsed
    shorter = _Shorter(gone)
    fitted = shorter.visit(tree)
    if not shorter.changed or (isinstance(fitted, ast.Constant) and not fitted.value):
        return text  # unchanged, or it never holds: then its names are reported
    return None if isinstance(fitted, ast.Constant) else ast.unparse(fitted)


class _Shorter(ast.NodeTransformer):
    """Decides comparisons with names that are gone, and what follows from them."""

    def __init__(self, gone: Mapping[str, set[str]]) -> None:
        self._gone, self.changed = gone, False

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Shorten the list of `family in ["vit", "swin"]`; without a name left, and in `family != "vit"`, decide it."""
        match node:
            case ast.Compare(
                left=ast.Name(id=name),
                ops=[ast.In() | ast.NotIn() | ast.Eq() | ast.NotEq() as sign],
                comparators=[ast.List(elts=[*_]) | ast.Constant() as named],
            ) if name in self._gone:
                names = named.elts if isinstance(named, ast.List) else [named]
                kept = [one for one in names if getattr(one, "value", None) not in self._gone[name]]
                self.changed |= len(kept) < len(names)
                if names and not kept:
                    return ast.Constant(isinstance(sign, ast.NotIn | ast.NotEq))
                if len(kept) < len(names):
                    return ast.Compare(node.left, node.ops, [ast.List(kept, ast.Load())])
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """Leave out terms that are decided and do not decide the whole."""
        self.generic_visit(node)
        decisive = isinstance(node.op, ast.Or)
        decided = [bool(one.value) for one in node.values if isinstance(one, ast.Constant)]
        left = [one for one in node.values if not isinstance(one, ast.Constant)]
        if decisive in decided or not left:
            return ast.Constant(decisive in decided if decisive else decisive not in decided)
        return left[0] if len(left) == 1 else ast.BoolOp(node.op, left)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """Negate what is decided."""
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Constant):
            return ast.Constant(not node.operand.value)
        return node
