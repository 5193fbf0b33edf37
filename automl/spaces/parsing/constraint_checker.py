"""Check constraints before any configuration is drawn: their syntax, their names and the kinds of their values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from automl.errors import unknown_name
from automl.spaces.constraints import ARITHMETIC, ORDERINGS, WORDS, Constraint, names_in, parse
from automl.spaces.parameters import Value

# Far more than anybody writes; longer, deeply nested texts could exceed the parser's own limits.
_LONGEST = 500
_FORM = "may use parameters, numbers, quoted text, arithmetic (+ - * / // %), comparisons, `in [..]`, and, or, not"

NUMBER, TEXT, TRUTH, NOTHING = "a number", "a text", "true or false", "null"
Kinds = frozenset[str]
_ANY: Kinds = frozenset((NUMBER, TEXT, TRUTH, NOTHING))


@dataclass(frozen=True)
class Name:
    """The kinds of a parameter's values, and a function that says why it cannot have a value ("" if it can)."""

    kinds: Kinds
    problem: Callable[[Value], str]


def kind_of(value: Value) -> str:
    """Return the kind of a plain value."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return TRUTH
    return TEXT if isinstance(value, str) else NUMBER


def unchecked() -> Name:
    """Return a parameter that exists, but whose range is invalid."""
    return Name(_ANY, lambda _: "")


def parse_constraints(spec: Any, names: Mapping[str, Name], problems: list[str]) -> tuple[Constraint, ...]:
    """Return the constraints in a list of texts (or a single text), and add what is wrong to `problems`."""
    listed = [spec] if isinstance(spec, str) else spec
    if listed is None:
        return ()
    if not isinstance(listed, list | tuple):
        problems.append(f"constraints: must be a list of expressions such as 'a * b <= 256', not {spec!r}")
        return ()
    found = []
    for i, text in enumerate(listed):
        wrong = list(dict.fromkeys(_problems(text, names)))
        problems.extend(f"constraints[{i}]: {problem}" for problem in wrong)
        if not wrong:
            found.append(Constraint(text.strip()))
    return tuple(dict.fromkeys(found))


def _problems(text: Any, names: Mapping[str, Name]) -> Iterator[str]:
    if not isinstance(text, str) or not text.strip():
        yield f"must be an expression such as 'batch_size * upscale <= 256', not {text!r}"
        return
    if len(text) > _LONGEST:
        yield f"must have at most {_LONGEST} characters, not {len(text)}: split it into several"
        return
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        yield f"must be an expression, but {text!r} is not ({reason})"
        return
    checker = _Checker(names)
    kinds = checker.kinds(tree)
    yield from checker.problems
    if not checker.problems and not kinds <= {TRUTH}:
        yield f"must be true or false, but {text!r} is {_words(kinds)}: compare it with a value"
    elif not checker.problems and not names_in(tree):
        yield f"must contain a parameter, but {text!r} does not: remove it"


class _Checker:
    """Walks an expression once and collects what is wrong with it."""

    def __init__(self, names: Mapping[str, Name]) -> None:
        self._names = names
        self.problems: list[str] = []

    def kinds(self, node: ast.expr) -> Kinds:
        """Return the possible kinds of an expression's value; all kinds if it is wrong."""
        match node:
            case ast.Constant(value=None | bool() | int() | float() | str() as value):
                return frozenset((kind_of(value),))
            case ast.Name(id=name) if name in WORDS:
                return frozenset((kind_of(WORDS[name]),))
            case ast.Name(id=name):
                return self._name(name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._only(TRUTH, operand)
            case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
                return self._only(NUMBER, operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                return self._only(NUMBER, left, right)
            case ast.BoolOp(values=values):
                return self._only(TRUTH, *values)
            case ast.Compare(left=left, ops=ops, comparators=rest):
                for first, sign, second in zip((left, *rest[:-1]), ops, rest, strict=True):
                    self._compare(first, sign, second)
                return frozenset((TRUTH,))
        self.problems.append(f"{_FORM}, but not {_shown(node)}")
        return _ANY

    def _name(self, name: str) -> Kinds:
        known = self._names.get(name)
        if known is None:
            self.problems.append(unknown_name("parameter", name, self._names))
            return _ANY
        return known.kinds

    def _only(self, kind: str, *nodes: ast.expr) -> Kinds:
        """Check that all operands are of one kind, which is also the kind of the result."""
        for node in nodes:
            found = self.kinds(node)
            # An operand of any kind is reported already.
            if found != _ANY and not found <= {kind}:
                self.problems.append(f"needs {kind} instead of {_shown(node)}, which is {_words(found)}")
        return frozenset((kind,))

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> None:
        if type(op) in ORDERINGS:
            self._only(NUMBER, left, right)
        elif isinstance(op, ast.Eq | ast.NotEq):
            self._equal(left, right)
        elif not isinstance(op, ast.In | ast.NotIn):
            self.problems.append(f"{_FORM}, but not `is`: write == or !=")
        elif isinstance(right, ast.List | ast.Tuple | ast.Set) and right.elts:
            for item in right.elts:
                self._equal(left, item)
        else:
            self.problems.append(f"needs a list of values after `in`, such as [32, 64], not {_shown(right)}")

    def _equal(self, left: ast.expr, right: ast.expr) -> None:
        before = len(self.problems)
        first, second = self.kinds(left), self.kinds(right)
        if len(self.problems) > before:
            return
        if not first & second:
            self.problems.append(
                f"compares {_shown(left)}, which is {_words(first)}, with {_shown(right)}, which is "
                f"{_words(second)}: they can never be equal"
            )
            return
        for name, constant in ((left, right), (right, left)):
            if isinstance(name, ast.Name) and name.id in self._names and isinstance(constant, ast.Constant):
                problem = self._names[name.id].problem(constant.value)  # type: ignore[arg-type]  # of plain kinds: checked
                if problem:
                    self.problems.append(f"{name.id}: {problem}")


def _shown(node: ast.expr) -> str:
    return f"`{ast.unparse(node)}`"


def _words(kinds: Kinds) -> str:
    return " or ".join(sorted(kinds))


def mentions(text: Any, names: Collection[str]) -> bool:
    """Return whether a constraint, valid or not, contains one of these parameters."""
    try:
        return isinstance(text, str) and not names_in(parse(text)).isdisjoint(names)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
