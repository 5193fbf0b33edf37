"""Licences of pretrained weights: which are allowed, and how they are named to people."""

from __future__ import annotations

from automl.config.checks import PERMISSIVE

# What timm says of weights whose licence it does not know.
UNKNOWN = "unknown"
OWN = "of your file"


def is_allowed(licence: str, asked: str) -> bool:
    """Return whether weights with this licence may be used.

    `licence` is timm's name of it, "" for a user's own file, which is always allowed. `asked` is the value of
    --weights-licence: "permissive", "any", or names with commas between them, of which "permissive" may be one.
    """
    if not licence or asked == "any":
        return True
    names = set(asked.split(","))
    return licence.lower() in names or ("permissive" in names and licence.lower() in PERMISSIVE)


def licence_words(licence: str) -> str:
    """Return the licence for people: "of your file" if a user's own file states none."""
    return licence or OWN
