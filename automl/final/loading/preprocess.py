"""Read preprocess.json of a model folder, and refuse what no data set has."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from automl.documents.json_file import read_json
from automl.final.model_folder import PREPROCESS, Preprocess
from automl.records import DatasetInfo, LabelType, Resize, Task

MAX_SIZE = 2048  # px; a larger size in a file would exhaust memory
MAX_CHANNELS = 1024
COLDEST, HOTTEST = 0.01, 100.0  # temperatures of probabilities
LARGEST_PIXEL, LARGEST_TARGET = 1e6, 1e31  # of means and deviations: larger ones give NaN in float32
_TEXTS = ("name", "fingerprint")
_COUNTS = ("n_train", "n_val", "n_holdout", "n_skipped", "folds", "large_size")


def read_preprocess(folder: Path) -> Preprocess:
    """Read preprocess.json of a model folder.

    Raises OSError if it cannot be read, and ValueError if it is none of this version or says what cannot be.
    """
    said = read_json(folder / PREPROCESS)
    if not isinstance(said, dict):
        raise ValueError(f"{PREPROCESS} must hold one JSON object")
    if said.get("format") != 1:
        raise ValueError(f"the format of {PREPROCESS} is {said.get('format')!r:.40}, this version reads 1")
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in said.items()
        if key not in ("format", "input_size", "mirrored", "temperature")
    }
    try:
        info = DatasetInfo(**fields)
    except TypeError as error:
        raise ValueError(f"{PREPROCESS} does not fit this version ({error!s:.200})") from error
    size, mirrored = said.get("input_size"), said.get("mirrored", False)
    temperature = said.get("temperature", 1.0)
    warm = _is_finite(temperature) and COLDEST <= temperature <= HOTTEST
    problems = _problems(info, size, mirrored)
    problems.append("" if warm else f"{COLDEST:g} to {HOTTEST:g} as temperature, not {temperature!r:.40}")
    wrong = next((problem for problem in problems if problem), "")
    if wrong:
        raise ValueError(f"{PREPROCESS} must have {wrong}")
    typed_labels(info)
    assert isinstance(size, int)
    return Preprocess(info, size, mirrored, float(temperature))


def typed_labels(info: DatasetInfo) -> tuple[Any, ...]:
    """Return the classes in the type in which the labels were given. Raises ValueError if they are of another."""
    if info.task == "regression" or info.label_type == "text":
        return info.classes
    make: dict[str, Callable[[str], Any]] = {
        "int": int,
        "float": float,
        "bool": {"True": True, "False": False}.get,
    }
    made = tuple(make[info.label_type](name) for name in info.classes)
    if None in made or len(set(made)) < len(made):
        raise ValueError(
            f"the classes must be different values of the type {info.label_type}, not {info.classes!r:.80}"
        )
    return made


def _problems(info: DatasetInfo, size: Any, mirrored: Any) -> list[str]:
    """Return what a record must have and does not, "" for all that is right; later ones need the earlier ones."""
    choices = {"task": get_args(Task), "label_type": get_args(LabelType), "resize": get_args(Resize)}
    found = [
        f"{' or '.join(valid)} for {key}, not {getattr(info, key)!r:.40}"
        for key, valid in choices.items()
        if getattr(info, key) not in valid
    ]
    found.append("" if isinstance(mirrored, bool) else "true or false for mirrored")
    for key, value in (("input_size", size), ("img_size", info.img_size)):
        found.append("" if _is_count(value, 1, MAX_SIZE) else f"1 to {MAX_SIZE} pixels as {key}")
    found.append(
        "" if _is_count(info.in_chans, 1, MAX_CHANNELS) else f"1 to {MAX_CHANNELS:,} channels as in_chans"
    )
    found += [f"a text as {key}" for key in _TEXTS if not isinstance(getattr(info, key), str)]
    found += [f"a count as {key}" for key in _COUNTS if not _is_count(getattr(info, key), 0, 2**53)]
    found.append(_classes(info))
    return found if any(found) else [*_statistics(info)]


def _classes(info: DatasetInfo) -> str:
    classes = info.classes
    if not isinstance(classes, tuple) or not all(isinstance(label, str) for label in classes):
        return "texts as classes"
    if len(set(classes)) < max(len(classes), 2 if info.task == "classification" else 1):
        return "different classes, at least two of a classification"
    counts = info.class_counts
    if not isinstance(counts, tuple) or len(counts) != len(classes):
        return f"as many class_counts as classes ({len(classes)})"
    return "" if all(_is_count(count, 0, 2**53) for count in counts) else "whole numbers as class_counts"


def _statistics(info: DatasetInfo) -> list[str]:
    outputs = len(info.classes) if info.task == "regression" else 0
    found = []
    for key, length, positive, largest in (
        ("mean", info.in_chans, False, LARGEST_PIXEL),
        ("std", info.in_chans, True, LARGEST_PIXEL),
        ("target_mean", outputs, False, LARGEST_TARGET),
        ("target_std", outputs, True, LARGEST_TARGET),
    ):
        values = getattr(info, key)
        whole = isinstance(values, tuple) and len(values) == length and all(map(_is_finite, values))
        whole = whole and all(abs(value) <= largest for value in values)
        if not whole or (positive and not all(value > 0 for value in values)):
            above = " above 0" if positive else ""
            found.append(f"{length} finite numbers{above} as {key}, at most {largest:g}, not {values!r:.80}")
    span = info.pixel_range
    if span != () and not (_is_pair(span) and span[0] < span[1]):
        found.append(f"black and white as pixel_range, not {span!r:.80}")
    return found


def _is_count(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_pair(values: Any) -> bool:
    return isinstance(values, tuple) and len(values) == 2 and all(map(_is_finite, values))
