"""Read YAML that anybody may have written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from automl.documents.bounded_file import read_bounded

MOST_BYTES = 256 * 2**10  # far more than a study or a space has; the parser takes seconds for a megabyte
_MOST_NODES = 100_000  # with every alias written out
_DEEPEST = 32
_LONGEST_NUMBER = 40
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def read_yaml(path: Path, *, unique_keys: bool = False) -> Any:
    """Return the content of a YAML file.

    Raises OSError if it cannot be read, UnicodeDecodeError if it is not UTF-8, and ValueError, with the line if there
    is one: if it is no file, no YAML, too large or nested too deeply, if its aliases stand for more than 100,000 values
    or for themselves, and, with `unique_keys`, if a key is given twice (of which YAML takes the last).
    """
    text = read_bounded(path, MOST_BYTES).decode("utf-8")
    return _parse(text, unique_keys=unique_keys)


def _parse(text: str, *, unique_keys: bool) -> Any:
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            # Before values are made of it: merged keys are copied each time.
            _Bounds(unique_keys=unique_keys).check(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ValueError(_where(error)) from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
    ) as error:  # values that do not fit their tags
        raise ValueError(f"a value does not fit its tag ({error})") from error


class _Loader(yaml.SafeLoader):
    """Safe YAML that stops at values that are nested too deeply: going on takes time in the square of the depth."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return the next node, as the class above does."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.constructor.ConstructorError(None, None, "nested too deeply", self.get_mark())
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Bounds:
    """Checks a tree of nodes, in which aliases are shared nodes."""

    def __init__(self, *, unique_keys: bool) -> None:
        self._unique_keys = unique_keys
        self._sizes: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def check(self, node: yaml.Node) -> tuple[int, int]:
        """Return how many nodes it stands for, and how deep they are. Raises ConstructorError."""
        known = self._sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in self._open:
            raise _problem("an alias stands for what it is in", node)
        if len(self._open) >= _DEEPEST:
            raise _problem("nested too deeply", node)
        self._open.add(id(node))
        size, depth = 1, 0
        for child in self._children(node):
            inner, below = self.check(child)
            size, depth = size + inner, max(depth, below)
        self._open.remove(id(node))
        if size > _MOST_NODES:
            raise _problem(f"stands for more than {_MOST_NODES:,} values", node)
        if depth + 1 + len(self._open) > _DEEPEST:
            raise _problem("nested too deeply", node)
        self._sizes[id(node)] = size, depth + 1
        return size, depth + 1

    def _children(self, node: yaml.Node) -> Iterable[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        if isinstance(node, yaml.MappingNode):
            if self._unique_keys:
                _require_unique(node)
            return [part for pair in node.value for part in pair]
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise _problem(f"a number of {len(node.value):,} digits", node)
        return ()


def _require_unique(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            continue
        if key.value in seen:
            raise _problem(f"{key.value[:_LONGEST_NUMBER]!r} is given twice", key)
        seen.add(key.value)


def _problem(text: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, text, node.start_mark)


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split()) or "cannot be parsed"
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)
