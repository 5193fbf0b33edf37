"""What must hold between the parameters of a configuration: expressions such as "batch_size * upscale <= 256".

They are read with Python's parser and worked out here, node by node: nothing is ever evaluated but parameters,
constants, arithmetic, comparisons, `in`, `and`, `or` and `not`.
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

# YAML's words, which Python does not have.
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
    """One expression. `text` was found to be a constraint before (`checking.py`)."""

    text: str

    @cached_property
    def names(self) -> frozenset[str]:
        """The parameters that it speaks of."""
        return names_in(parse(self.text))

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether a configuration keeps it: yes where it lacks a parameter that is spoken of, and no where it cannot
        be computed, as after a division by zero.
        """
        if not self.names <= config.keys():
            return True
        try:
            return bool(_compiled(self.text)(config))
        except ArithmeticError:
            return False

    def settled(self, known: Mapping[str, Value]) -> Constraint | bool:
        """What is left of it where some parameters have one value for good; True or False where nothing is left."""
        if not self.names & known.keys():
            return self
        left = Constraint(ast.unparse(_Settle(known).visit(parse(self.text))))
        return left if left.names else left.holds({})


def parse(text: str) -> ast.expr:
    """The expression, unchecked. Raises SyntaxError, ValueError, RecursionError or MemoryError for what is none."""
    return ast.parse(text.strip(), mode="eval").body


def names_in(tree: ast.AST) -> frozenset[str]:
    """The parameters in an expression."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return frozenset(node.id for node in nodes if node.id not in WORDS)


class _Settle(ast.NodeTransformer):
    def __init__(self, known: Mapping[str, Value]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A parameter with one value becomes that value."""
        return ast.Constant(self._known[node.id]) if node.id in self._known else node


@cache
def _compiled(text: str) -> Evaluate:
    return _compile(parse(text))


def _compile(node: ast.expr) -> Evaluate:
    """A function of a configuration. Raises TypeError for what `checking.py` should have refused."""
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
    """`a < b <= c` holds where each neighbouring pair does."""
    compares = [_COMPARISONS[type(op)] for op in ops]

    def holds(config: Mapping[str, Any]) -> bool:
        values = [operand(config) for operand in operands]
        return all(
            compare(left, right) for compare, left, right in zip(compares, values, values[1:], strict=False)
        )

    return holds
