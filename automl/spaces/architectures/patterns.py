"""Names of models and patterns of names, such as "convnext_*"."""

from __future__ import annotations

from fnmatch import fnmatchcase

Families = dict[str, tuple[str, ...]]


def is_pattern(name: str) -> bool:
    """Return whether `name` stands for several models ("convnext_*")."""
    return any(sign in name for sign in "*?[")


def matches(model: str, patterns: tuple[str, ...]) -> bool:
    """Return whether `model` is one of the names, or matches one of the patterns."""
    return any(
        fnmatchcase(model, pattern) if is_pattern(pattern) else model == pattern for pattern in patterns
    )


def family_of(model: str, families: Families) -> str | None:
    """Return the family that names the model, else the first with a matching pattern; None if there is none."""
    exact = (name for name, members in families.items() if model in members)
    fitting = (
        name
        for name, members in families.items()
        if matches(model, tuple(m for m in members if is_pattern(m)))
    )
    return next(exact, next(fitting, None))
