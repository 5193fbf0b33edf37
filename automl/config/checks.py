"""Checks of single options. Each returns the value, or raises ValueError with one clause."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

from automl.config.metrics import METRICS
from automl.config.storage import is_masked
from automl.errors import unknown_name
from automl.machine import expanded, path_problem
from automl.remote import is_remote
from automl.terminal.masking import remember_passwords

MIN_IMAGE_SIZE = 8
PRETRAINED = ("auto", "always", "never")
# Licences that allow any use of the weights, also commercial, as timm spells them (SPDX, in lower case).
PERMISSIVE = (
    "apache-2.0",
    "mit",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0-1.0",
    "cc-by-3.0",
    "cc-by-4.0",
)
MOST_SHARE = 0.8
DEFAULT_FOLDS, MOST_FOLDS = 5, 10  # of a cross-validation
_FOLDS = re.compile(r"cv(?::(\d+))?")
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def no_bool(value: Any) -> Any:
    """Return the value unless it is a bool: YAML reads `yes` as true, and Python takes true for 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, got {value!r}")
    return value


def as_data(value: Any) -> Any:
    """Return a path as text and anything else unchanged. Refuse None and empty text."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"must be a folder, a file, 'digits' or data in memory, got {value!r}")
    return as_path(value) if isinstance(value, str) else value


def as_path(text: str) -> str:
    """Return a path, or another text, that a system can be asked for."""
    if problem := path_problem(text):
        raise ValueError(f"must be a path that a system takes: {problem}")
    return text


def as_directory(value: Any) -> str:
    """Return a folder's path as text, with `~` expanded; an address (s3://...) stays as it is."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"must be a folder, got {value!r}")
    if not is_remote(text):
        return as_path(str(expanded(text)))
    if is_masked(text):
        raise ValueError(f"must be given again with its password, which study.yaml does not hold: {text!r}")
    remember_passwords(text)
    return text.rstrip("/")


def check_address(value: Any) -> Any:
    """Return the address of a Ray cluster. One with a user and a password is refused: Ray has neither."""
    if isinstance(value, str) and "@" in value:
        remember_passwords(value)
        raise ValueError(
            "must be auto or HOST:PORT, without a user or a password; if the cluster asks for a token, set "
            "RAY_AUTH_MODE=token and the token"
        )
    return value


def as_space(value: Any) -> Any:
    """Return a search space's name or file as text, or its definition as a dict (also from a SearchSpace)."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, str) and hasattr(value, "to_dict"):
        return value.to_dict()
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be the name of a search space, a YAML file or a dict, got {value!r}")
    return as_path(value)


def check_metric(value: Any) -> Any:
    """Return `auto` or the name of a metric."""
    if value != "auto" and value not in METRICS:
        raise ValueError(unknown_name("metric", str(value), ["auto", *METRICS]))
    return value


def check_pretrained(value: Any) -> str:
    """Return `auto`, `always`, `never`, or a folder or a file with weights."""
    text = as_path(os.fspath(value) if isinstance(value, os.PathLike) else str(value))
    if text in PRETRAINED or expanded(text).is_dir() or expanded(text).is_file():
        return text
    if os.sep in text:
        raise ValueError(
            f"must be 'auto', 'always', 'never' or a folder with weights, got {text!r}: no such folder"
        )
    raise ValueError(unknown_name("choice for pretrained", text, PRETRAINED) + ", or a folder with weights")


def check_weights_licence(value: Any) -> str:
    """Return `permissive`, `any`, or names of licences with commas between them, in lower case."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        parts = []
    names = [part.strip().lower() for part in parts]
    if not names or not all(_LICENCE.fullmatch(name) for name in names):
        raise ValueError(
            f"must be 'permissive', 'any' or names of licences such as 'apache-2.0,cc-by-nc-4.0', got {value!r}"
        )
    if "any" in names and len(names) > 1:
        raise ValueError(f"must be 'any' alone or a list without it, got {value!r}")
    return ",".join(dict.fromkeys(names))


def check_loss(value: Any) -> float:
    """Return how much of a metric may be lost: a finite number from 0 on."""
    try:
        loss = float(no_bool(value))
    except (TypeError, ValueError):
        loss = math.nan
    if not 0.0 <= loss < math.inf:
        raise ValueError(f"must be a number of at least 0, got {value!r}")
    return loss


def check_val(value: Any) -> float | str:
    """Return a share of the images (up to 0.8), or the folds of a cross-validation as text: "cv", or "cv:K"."""
    text = str(value).strip().lower()
    if text.startswith("cv"):
        if not 2 <= folds_of(text) <= MOST_FOLDS:
            raise ValueError(f"must be 'cv' or 'cv:K' with 2 to {MOST_FOLDS} folds, got {value!r}")
        return text
    try:
        share = float(no_bool(value))
    except (TypeError, ValueError):
        raise ValueError(f"must be a number, or 'cv' for cross-validation, got {value!r}") from None
    if not 0.0 < share <= MOST_SHARE:
        clause = "above 0" if share <= 0.0 else f"at most {MOST_SHARE:g}"
        raise ValueError(f"must be {clause}, got {value!r}")
    return share


def folds_of(val: float | str) -> int:
    """Return the folds that a value of `val` names: 5 for "cv", K for "cv:K", else 0.

    >>> folds_of("cv"), folds_of("cv:3"), folds_of(0.2)
    (5, 3, 0)
    """
    found = _FOLDS.fullmatch(val) if isinstance(val, str) else None
    return 0 if found is None else int(found[1] or DEFAULT_FOLDS)


def check_img_size(value: Any) -> Any:
    """Return `auto`, or the side of the square images in pixels."""
    if value == "auto":
        return value
    try:
        side = int(str(value))
    except ValueError:
        side = 0
    if side < MIN_IMAGE_SIZE:
        raise ValueError(
            f"must be 'auto' or a whole number of at least {MIN_IMAGE_SIZE} pixels, got {value!r}"
        )
    return side


def auto_is_none(value: Any) -> Any:
    """Return None for `auto`: the word means the same as leaving the option out."""
    return None if value == "auto" else value


def check_gpus(value: Any) -> Any:
    """Return None, `auto`, a share of one GPU (0 to 1), or a whole number of GPUs."""
    if value is None or value == "auto":
        return value
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < math.inf or (number > 1 and number != int(number)):
        raise ValueError(f"must be 'auto', a share such as 0.25, or a whole number of GPUs, got {value!r}")
    return number
