"""Find out what points and commas mean in the numbers of a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from automl.data.sources.numbers.forms import Form
from automl.errors import DataError

_COMMA_GROUPS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
_INDIAN_GROUPS = re.compile(r"[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d*)?")
_POINT_GROUPS = re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?")
_PLAIN = re.compile(r"\d*\.?\d*")
_COMMA = re.compile(r"\d*,\d*")
_DECIMAL, _THOUSANDS = "decimal points", "separators of thousands"


def values_of(name: str, forms: Sequence[Form], *, whole: bool, points: bool) -> tuple[dict[str, float], str]:
    """Return the value of each text that is clear, and what commas, and points that may be others, were taken for.

    `whole`: there are also whole numbers of another type; `points`: there are fractions among them. Texts that do not
    fit the others have no value. Raises DataError if a comma may be either, or is both.
    """
    comma = _meaning(name, forms, whole=whole, points=points)
    values = {}
    for form in forms:
        bare = _plain(form.body, comma)
        if bare is not None:
            value = float(f"{bare}{form.power}")
            values[form.text] = -value if form.negative else value
    said = []
    other = _THOUSANDS if comma == _DECIMAL else ""
    for mark, meaning, what in ((",", comma, "Commas"), (".", other, "Points")):
        first = next((form.text for form in forms if mark in form.body and form.text in values), None)
        if meaning and first is not None:
            said.append(f"{what} in {name} taken for {meaning} ({first!r}).")
    bodies = [form.body for form in forms]
    if comma == _THOUSANDS and not said and _grouped_by_points(bodies):
        first = next(form.text for form in forms if "." in form.body)
        said.append(
            f"Points in {name} taken for decimal points ({first!r}); if they separate thousands, write the numbers "
            "without them."
        )
    return values, " ".join(said)


def _meaning(name: str, forms: Sequence[Form], *, whole: bool, points: bool) -> str:
    bodies = [form.body for form in forms]
    for_thousands = [form.text for form in forms if _shows_thousands(form.body)]
    for_decimal = [form.text for form in forms if _shows_decimal(form.body)]
    if for_thousands and for_decimal:
        raise DataError(
            f"numbers must be written in one way, but {for_thousands[0]!r} and {for_decimal[0]!r} in {name} use commas "
            "and points differently: write all of them with a point and without separators, or choose the task "
            "'classification' (--task) if they are names"
        )
    if for_thousands or for_decimal or points:
        return _DECIMAL if for_decimal else _THOUSANDS
    groups = [form for form in forms if _COMMA_GROUPS.fullmatch(form.body)]
    if groups and not (whole or all(form.money for form in groups) or any(_digits(body) for body in bodies)):
        text = groups[0].text
        raise DataError(
            f"numbers must be clear, but {text!r} in {name} may be {text.replace(',', '')} or "
            f"{text.replace(',', '.', 1)}: write them without a comma, or with a point"
        )
    # No currency has three decimals that people write: 1.234 of it are a thousand.
    money = not groups and forms and all(form.money for form in forms) and _grouped_by_points(bodies)
    return _DECIMAL if money else _THOUSANDS


def _shows_thousands(body: str) -> bool:
    """Return whether commas can only be separators of thousands beside this number."""
    if _INDIAN_GROUPS.fullmatch(body) or (
        _COMMA_GROUPS.fullmatch(body) and (body.count(",") > 1 or "." in body)
    ):
        return True
    return "." in body and _PLAIN.fullmatch(body) is not None and not _POINT_GROUPS.fullmatch(body)


def _shows_decimal(body: str) -> bool:
    """Return whether commas can only be decimal points beside this number."""
    if _POINT_GROUPS.fullmatch(body) and (body.count(".") > 1 or "," in body):
        return True
    return _COMMA.fullmatch(body) is not None and not _COMMA_GROUPS.fullmatch(body)


def _digits(body: str) -> bool:
    return body.isdecimal()


def _grouped_by_points(bodies: Iterable[str]) -> bool:
    found = list(bodies)
    groups = [body for body in found if _POINT_GROUPS.fullmatch(body)]
    return bool(groups) and all(
        _POINT_GROUPS.fullmatch(body) or (_digits(body) and len(body) < 4) for body in found
    )


def _plain(body: str, comma: str) -> str | None:
    """Return the number as Python writes it; None if it does not fit the meaning of the comma."""
    if comma == _DECIMAL:
        if _POINT_GROUPS.fullmatch(body):
            body = body.replace(".", "")
        elif "." in body:
            return None
        bare = body.replace(",", ".") if body.count(",") < 2 else ""
    else:
        grouped = _COMMA_GROUPS.fullmatch(body) or _INDIAN_GROUPS.fullmatch(body)
        bare = body.replace(",", "") if grouped or "," not in body else ""
    return bare if _PLAIN.fullmatch(bare) and any(character.isdigit() for character in bare) else None
