"""What single options accept; each check returns the value or raises ValueError with one clause."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from automl.config.durations import parse_duration
from automl.config.metrics import METRICS
from automl.config.sizes import parse_size
from automl.errors import unknown_name
from automl.remote import is_remote

SMALLEST_IMAGE = 8
PRETRAINED = ("auto", "always", "never")


def no_bool(value: Any) -> Any:
    """Refuse true and false where a number is meant: YAML reads `yes` as true, and Python counts it as 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, got {value!r}")
    return value


def as_data(value: Any) -> Any:
    """A path as text, or anything that is no path as it is. Refuses None and the empty text."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"must be a folder, a file, 'digits' or data in memory, got {value!r}")
    return value


def as_directory(value: Any) -> str:
    """A folder's path as text; a home folder's `~` is spelled out, an address (s3://...) is left as it is."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"must be a folder, got {value!r}")
    return text.rstrip("/") if is_remote(text) else str(Path(text).expanduser())


def as_duration(value: Any) -> Any:
    """Seconds; None stays None."""
    return None if value is None else parse_duration(value)


def as_size(value: Any) -> Any:
    """Bytes; None stays None."""
    return None if value is None else parse_size(value)


def as_space(value: Any) -> Any:
    """The name or file of a search space as text, or its definition as a dict (also from a SearchSpace)."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, str) and hasattr(value, "to_dict"):
        return value.to_dict()
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be the name of a search space, a YAML file or a dict, got {value!r}")
    return value


def check_metric(value: Any) -> Any:
    """`auto` or the name of a metric."""
    if value != "auto" and value not in METRICS:
        raise ValueError(unknown_name("metric", str(value), ["auto", *METRICS]))
    return value


def check_pretrained(value: Any) -> str:
    """`auto`, `always`, `never`, or a folder with weights."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if text in PRETRAINED or Path(text).expanduser().is_dir():
        return text
    if os.sep in text:
        raise ValueError(
            f"must be 'auto', 'always', 'never' or a folder with weights, got {text!r}: no such folder"
        )
    raise ValueError(unknown_name("choice for pretrained", text, PRETRAINED) + ", or a folder with weights")


def check_img_size(value: Any) -> Any:
    """`auto`, or the side of the square images in pixels."""
    if value == "auto":
        return value
    try:
        side = int(str(value))
    except ValueError:
        side = 0
    if side < SMALLEST_IMAGE:
        raise ValueError(f"must be 'auto' or a whole number from {SMALLEST_IMAGE} pixels on, got {value!r}")
    return side


def auto_is_none(value: Any) -> Any:
    """The word `auto` says what leaving the option out says."""
    return None if value == "auto" else value


def check_gpus(value: Any) -> Any:
    """None, `auto`, a share of a GPU from 0 on, or a whole number of GPUs: half of two GPUs is nothing that exists."""
    if value is None or value == "auto":
        return value
    try:
        number = -1.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < math.inf or (number > 1 and number != int(number)):
        raise ValueError(f"must be 'auto', a share such as 0.25, or a whole number of GPUs, got {value!r}")
    return number
