"""The house: imports run one way and in no circle, Ray stays in one folder, files and folders stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "automl"

# From the bottom up; a module imports from its own entry and those before it.
LAYERS = (
    (
        "_version",
        "errors",
        "records",
        "log",
        "interrupt",
        "machine",
        "torch_setup",
        "cuda_graphs",
        "terminal",
    ),
    ("documents",),
    ("remote",),
    ("config",),
    ("data",),
    ("spaces",),
    ("training",),
    ("search",),
    ("final",),
    ("review",),
    ("delivery",),
    ("result", "pipeline"),
    ("callbacks",),
    ("cli", "estimators", "__init__", "__main__"),
)
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}
BANNED_NAMES = ("utils", "util", "helpers", "helper", "common", "misc")
LONGEST_FILE = 400
FULLEST_FOLDER = 12
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(tree: ast.Module, *, types: bool = True) -> Iterator[str]:
    """Dotted names of all imports, also those inside functions; without those for type checkers if asked."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if not types and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped.update(inner for statement in node.body for inner in ast.walk(statement))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import on line {node.lineno}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward_edges(path: Path, source: str) -> list[str]:
    """Imports of a file that run up, or to something that has no layer."""
    here = HEIGHT[layer_of(path)]
    edges = []
    for name in imported_names(ast.parse(source), types=False):
        parts = name.split(".")
        if parts[0] != "automl" or len(parts) < 2:
            continue
        if HEIGHT.get(parts[1], len(LAYERS)) > here:
            edges.append(f"{path.relative_to(ROOT)} imports {name}")
    return edges


def test_modules_all_have_a_layer() -> None:
    assert {layer_of(path) for path in SOURCES} <= set(HEIGHT)


def test_imports_run_one_way() -> None:
    edges = [edge for path in SOURCES for edge in upward_edges(path, path.read_text(encoding="utf-8"))]
    assert edges == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("config/study.py", "from automl.data import open_source"),
        ("search/policy/base.py", "def f():\n    import automl.pipeline"),
        ("final/retrain.py", "from automl import cli"),
        ("data/decoding/image_format.py", "from automl.nowhere import x"),
    ],
)
def test_upward_import_is_found(file: str, line: str) -> None:
    assert len(upward_edges(PACKAGE / file, line)) == 1


def test_import_for_types_only_is_allowed_upwards() -> None:
    line = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from automl.pipeline import fit\n"
    assert upward_edges(PACKAGE / "records.py", line) == []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def import_graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """The modules of the package that each module imports, those for type checkers aside."""
    graph: dict[str, set[str]] = {}
    for module, source in sources.items():
        names = set(imported_names(ast.parse(source), types=False))
        # `from a.b import c` imports a.b.c where that is a module, and c of a.b otherwise.
        found = {name if name in sources else name.rpartition(".")[0] for name in names}
        graph[module] = {name for name in found if name in sources}
    return graph


def circle(sources: Mapping[str, str]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; empty if there are none."""
    try:
        TopologicalSorter(import_graph(sources)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle({module_of(path): path.read_text(encoding="utf-8") for path in SOURCES}) == []


def test_circle_is_found_also_inside_functions() -> None:
    sources = {"a.b": "from a import c", "a.c": "from a.d import f", "a.d": "def f():\n    import a.b"}
    assert sorted(set(circle(sources))) == ["a.b", "a.c", "a.d"]
    assert circle({**sources, "a.d": ""}) == []


def test_folders_hold_at_most_twelve_files() -> None:
    folders = {path.parent for path in SOURCES}
    crowded = {
        folder: count for folder in folders if (count := len(list(folder.glob("*.py")))) > FULLEST_FOLDER
    }
    assert crowded == {}


def test_ray_is_imported_in_one_folder() -> None:
    users = [
        path
        for path in SOURCES
        if "ray" in _roots(path) and path.parent != PACKAGE / "search" / "engines" / "ray"
    ]
    assert users == []


def test_policy_imports_neither_optuna_nor_torch_nor_ray() -> None:
    adapter = PACKAGE / "search" / "policy" / "optuna_pruner.py"  # imported where a pruner of Optuna is given
    for path in sorted({*(PACKAGE / "search" / "policy").rglob("*.py")} - {adapter}):
        assert not _roots(path) & {"optuna", "torch", "ray"}, path


def test_files_are_short_and_named_for_what_they_hold() -> None:
    for path in SOURCES + TESTS:
        assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST_FILE, path
        assert path.stem not in BANNED_NAMES, path


def _roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported_names(ast.parse(path.read_text(encoding="utf-8")))}
