"""Packages of an extra, which are not installed everywhere."""

from __future__ import annotations

import importlib
from typing import Any

from automl.errors import UsageError


def require(module: str, extra: str) -> Any:
    """Import a package of an extra. Raises UsageError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"the package {module!r} must be installed for this: pip install 'automl[{extra}]' ({error})"
        ) from error
