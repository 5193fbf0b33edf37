"""Constraints between the parameters of a configuration: expressions such as "batch_size * upscale <= 256".

Python's parser reads them, and this module computes them node by node. Only parameters, constants, arithmetic,
comparisons, `in`, `and`, `or` and `not` are evaluated.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from automl.spaces.parameters import Value, same

Evaluate = Callable[[Mapping[str, Any]], Any]

# Words of YAML that Python spells differently.
WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}
ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
ORDERINGS: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    **ORDERINGS,
    ast.Eq: same,
    ast.NotEq: lambda left, right: not same(left, right),
    ast.In: lambda value, values: any(same(value, each) for each in values),
    ast.NotIn: lambda value, values: not any(same(value, each) for each in values),
}


@dataclass(frozen=True)
class Constraint:
    """One expression, whose `text` was checked before (`parsing/constraint_checker.py`)."""

    text: str

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the parameters in the expression."""
        return names_in(parse(self.text))

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Return whether a configuration satisfies the constraint.

        True if the configuration lacks one of its parameters, False if it cannot be computed (division by zero).
        """
        if not self.names <= config.keys():
            return True
        try:
            return bool(_compiled(self.text)(config))
        except ArithmeticError:
            return False

    def substitute(self, known: Mapping[str, Value]) -> Constraint | bool:
        """Return the constraint with fixed values for some parameters; True or False if no parameter is left."""
        if not self.names & known.keys():
            return self
        left = Constraint(ast.unparse(_Substitute(known).visit(parse(self.text))))
        return left if left.names else left.holds({})


def parse(text: str) -> ast.expr:
    """Parse an expression. Raises SyntaxError, ValueError, RecursionError or MemoryError if the text is none."""
    return ast.parse(text.strip(), mode="eval").body


def names_in(tree: ast.AST) -> frozenset[str]:
    """Return the parameters in an expression."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return frozenset(node.id for node in nodes if node.id not in WORDS)


class _Substitute(ast.NodeTransformer):
    def __init__(self, known: Mapping[str, Value]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace a known parameter by its value."""
        return ast.Constant(self._known[node.id]) if node.id in self._known else node


@cache
def _compiled(text: str) -> Evaluate:
    return _compile(parse(text))


def _compile(node: ast.expr) -> Evaluate:
    """Return a function of a configuration. Raises TypeError for nodes that `constraint_checker` refuses."""
    match node:
        case ast.Constant(value=value):
            return lambda _: value
        case ast.Name(id=name) if name in WORDS:
            return lambda _: WORDS[name]
        case ast.Name(id=name):
            return lambda config: config[name]
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            parts = [_compile(item) for item in items]
            return lambda config: [part(config) for part in parts]
        case ast.UnaryOp(op=op, operand=operand):
            return _unary(op, _compile(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
            first, compute, second = _compile(left), ARITHMETIC[type(op)], _compile(right)
            return lambda config: compute(first(config), second(config))
        case ast.BoolOp(op=op, values=values):
            terms = [_compile(value) for value in values]
            if isinstance(op, ast.And):
                return lambda config: all(term(config) for term in terms)
            return lambda config: any(term(config) for term in terms)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            return _comparison([_compile(each) for each in (left, *comparators)], ops)
    raise TypeError(f"a constraint cannot hold {ast.unparse(node)!r}")


def _unary(op: ast.unaryop, operand: Evaluate) -> Evaluate:
    if isinstance(op, ast.Not):
        return lambda config: not operand(config)
    sign = -1 if isinstance(op, ast.USub) else 1
    return lambda config: sign * operand(config)


def _comparison(operands: list[Evaluate], ops: list[ast.cmpop]) -> Evaluate:
    """Compare each neighbouring pair of `a < b <= c`."""
    compares = [_COMPARISONS[type(op)] for op in ops]

    def holds(config: Mapping[str, Any]) -> bool:
        values = [operand(config) for operand in operands]
        return all(
            compare(left, right) for compare, left, right in zip(compares, values, values[1:], strict=False)
        )

    return holds
