"""The examples in docstrings say what the code does."""

import doctest
import importlib
from pathlib import Path

import pytest

import automl

ROOT = Path(automl.__file__).parent
MODULES = sorted(
    ".".join(("automl", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if "\n    >>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed
