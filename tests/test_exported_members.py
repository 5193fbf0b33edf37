"""The public surface: a dozen sorted names, and an import that costs next to nothing and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import automl

HEAVY = ("torch", "torchvision", "timm", "ray", "optuna", "pandas", "sklearn", "pydantic", "rich")
# Of the standard library, what takes a few milliseconds each and only some commands need.
SLOW_TO_IMPORT = ("http.server", "http.cookies", "wsgiref.simple_server", "difflib", "secrets")

_REPORT = """
import json, os, sys, warnings
before, filters = dict(os.environ), list(warnings.filters)
import {module}
loaded = sorted({{name.split(".")[0] for name in sys.modules}})
print(json.dumps({{
    "loaded": loaded,
    "same_env": before == dict(os.environ),
    "same_filters": filters == list(warnings.filters),
}}))
"""


def test_names_are_sorted_and_few() -> None:
    assert automl.__all__ == sorted(automl.__all__)
    assert len(automl.__all__) <= 15


@pytest.mark.parametrize("name", automl.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(automl, name) is not None


def test_public_names_are_listed_by_dir() -> None:
    assert set(automl.__all__) <= set(dir(automl))


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = automl.fitt


@pytest.mark.parametrize("module", ["automl", "automl.cli"])
def test_import_is_light_and_changes_nothing(module: str) -> None:
    code = _REPORT.format(module=module)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    report = json.loads(run.stdout)
    assert not set(HEAVY) & set(report["loaded"])
    assert report["same_env"]
    assert report["same_filters"]


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import contextlib, io, sys\n"
        "from automl.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out: code = main(['--help'])\n"
        "assert 'leaderboard' in out.getvalue() and code == 0\n"
        "print([name for name in sys.argv[1:] if name in sys.modules])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *HEAVY, *SLOW_TO_IMPORT], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
