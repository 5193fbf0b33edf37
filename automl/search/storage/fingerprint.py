"""The settings that make two runs the same study, and how they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from automl.errors import StudyError
from automl.search.settings import SearchSettings
from automl.search.space import Space


def fingerprint(space: Space, settings: SearchSettings) -> dict[str, Any]:
    """Return the settings that must be equal when a study is continued, as plain JSON data."""
    known = {
        "metric": settings.metric,
        "mode": settings.mode,
        "max_epochs": settings.max_rounds,
        "space": space.to_dict(),
    }
    if settings.identity:
        known["identity"] = dict(settings.identity)
    if settings.owner is not None:
        known["owner"] = settings.owner.to_dict()
    plain: dict[str, Any] = json.loads(json.dumps(known, default=str))
    return plain


def check_same(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise StudyError with the differences, if there are any. Owners are compared elsewhere."""
    if "identity" not in old:  # of an earlier version
        new = {key: value for key, value in new.items() if key != "identity"}
    old, new = ({key: value for key, value in each.items() if key != "owner"} for each in (old, new))
    found = list(_differences("", old, new))
    if not found:
        return
    shown = "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
    raise StudyError(
        f"the study {name!r} exists with other settings ({shown}): give the same settings to continue it, "
        "or another name for a new study"
    )


def _differences(path: str, old: Any, new: Any) -> Iterator[str]:
    if path == "space.description":  # a text for people, which changes no trial
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            inner = f"{path}.{key}" if path else str(key)
            yield from _differences(inner, old.get(key), new.get(key))
    elif old != new:
        yield f"{path} was {_short(old)}, now {_short(new)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
