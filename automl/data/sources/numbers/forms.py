"""Parse one text that is a number in another form: "$1,000", "-1.5" with a typographic minus, "12 kg", "7/20"."""

from __future__ import annotations

import re
from dataclasses import dataclass

MINUS = "\u2212\u2010\u2011\u2012\u2013\u2014\ufe63"  # besides "-"
SPACES = " \u00a0\u2007\u2009\u202f"
APOSTROPHES = "'\u2019\u02bc`\u00b4"
_WIDE = {
    0xFF01 + i: 0x21 + i for i in range(94)
}  # full-width digits and signs, as Chinese and Japanese keyboards give
_SYMBOLS = "$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20ba\u20b4\u20a6\u20b1\u0e3f\u20ab\u20aa\u00a2"
_CURRENCY_WORDS = (
    "usd eur gbp chf jpy cny rmb inr rub aud cad nzd sek nok dkk pln czk huf brl mxn zar krw try rs r$ us$ kr z\u0142 "
    "euro dollar cent ct"
)
_CURRENCIES = frozenset(_CURRENCY_WORDS.split())
# Units that say that a number is an amount. Short ones keep their case, and letters that often end a name are not
# here: 3D is no number of days, and 5A none of ampere.
_UNIT_WORDS = (
    "% \u2030 \u00b0 \u00b0C \u00b0F \u00b0K kg g mg \u00b5g \u03bcg ug lb oz m cm mm km \u00b5m \u03bcm um nm in ft "
    "y yr mo wk h hr ms l ml mL dl px Hz pt dB ha year month week day hour min minute sec second gram kilo meter "
    "metre mile inch feet foot pound pixel point percent degree kcal kwh mph ppm ppb mol mmhg bar psi yo pct pc jahr "
    "monat tag ann\u00e9e mois jour a\u00f1o mes anno ano"
)
_UNITS = frozenset(_UNIT_WORDS.split())
_LONGEST = 60
_BODY = rf"(?:\d[\d.,{SPACES}{APOSTROPHES}]*)?[.,]?\d[.,]?"
_FORM = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+{MINUS}])?\s*(?P<before>[{_SYMBOLS}]|[^\W\d_]{{1,4}}[.$]?)?\s*(?P<inner>[-+{MINUS}])?\s*"
    rf"(?P<body>{_BODY})(?P<power>[eE][-+{MINUS}]?\d{{1,3}})?"
    rf"\s*(?P<after>[%\u2030{_SYMBOLS}]|[\u00b0\u00ba]\s?[CFK]?|/\s?\d{{1,6}}|[^\W\d_]{{1,12}}\.?(?:/[^\W_]{{1,6}}|[\u00b2\u00b3])?)?"
    r"\s*(?P<close>\))?"
)
_NUMBER = rf"[-+{MINUS}]?(?:\d[\d.,]*|[.,]\d+)"
_LIMIT = re.compile(
    rf"(?:[<>\u2264\u2265~\u2248\u00b1=]{{1,2}}|about|ca\.?|under|over)\s*[{_SYMBOLS}]?{_NUMBER}\D{{0,12}}"
    rf"|{_NUMBER}\s*\+|{_NUMBER}\s*(?:-|{'|'.join(MINUS)}|\.\.+|to)\s*{_NUMBER}\D{{0,12}}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Form:
    """A number in a text. `body` holds digits, points and commas; `unit` stands before or after it, "" for none.

    `amount`: the unit can only be one of an amount; `money`: it is a currency. `separators` are other characters
    between thousands, and `minus` another one than "-" for negative numbers. `power` is that of 1e3.
    """

    text: str
    body: str
    negative: bool = False
    unit: str = ""
    before: bool = False
    money: bool = False
    amount: bool = False
    separators: str = ""
    minus: str = ""
    power: str = ""


def parse(text: str) -> Form | None:
    """Return the number in a text; None for a word."""
    if len(text) > _LONGEST or not any(character.isdigit() for character in text):
        return None
    found = _FORM.fullmatch(text.translate(_WIDE))
    if found is None or bool(found["open"]) != bool(found["close"]) or (found["sign"] and found["inner"]):
        return None
    before, after = (found["before"] or "").strip(), (found["after"] or "").strip()
    if before and not _is_money(before):
        return None
    if before and after and not (_is_money(after) and len(before) == 1):
        return None
    bare = _without_separators(found["body"])
    if bare is None:
        return None
    sign = found["sign"] or found["inner"] or ""
    unit = before or _canonical(after)
    return Form(
        text,
        bare,
        negative=bool(found["open"]) or (sign != "" and sign != "+"),
        unit=unit,
        before=bool(before),
        money=_is_money(unit),
        amount=_is_money(unit) or is_unit(unit),
        separators="".join(sorted(set(found["body"]) & set(SPACES + APOSTROPHES))),
        minus="(" if found["open"] else sign if sign and sign in MINUS else "",
        power=(found["power"] or "").translate(dict.fromkeys(map(ord, MINUS), "-")),
    )


def is_limit(text: str) -> bool:
    """Return whether a text is a bound, a range or a rough number: "<1", "5+", "10-20", "~3"."""
    return len(text) <= _LONGEST and _LIMIT.fullmatch(text.translate(_WIDE)) is not None


def is_unit(unit: str) -> bool:
    """Return whether a unit is one of amounts; "/20" is, of points."""
    return unit in _UNITS or unit[:1] == "/" or bool(re.search(r"[/\u00b2\u00b3]", unit))


def _is_money(unit: str) -> bool:
    return (len(unit) == 1 and unit in _SYMBOLS) or unit.lower().rstrip(".") in _CURRENCIES


def _canonical(unit: str) -> str:
    """Return a unit without a point, the plural and the case of longer words."""
    plain = unit.rstrip(".").replace("\u00ba", "\u00b0").replace(" ", "")
    if plain[:1] == "/" or plain in _UNITS or len(plain) < 3:
        return plain
    lower = plain.lower()
    single = next(
        (
            lower[: -len(end)]
            for end in ("s", "en", "e")
            if lower.endswith(end) and lower[: -len(end)] in _UNITS
        ),
        "",
    )
    return single or (lower if lower in _UNITS or lower in _CURRENCIES else plain)


def _without_separators(body: str) -> str | None:
    """Return digits, points and commas; None if spaces or apostrophes do not separate thousands."""
    others = set(body) - set("0123456789.,")
    if any(not character.isdigit() for character in others - set(SPACES + APOSTROPHES)):
        return None
    marks = others & set(SPACES + APOSTROPHES)
    if not marks:
        return body
    mark = next(iter(marks))
    if len(marks) > 1 or not re.fullmatch(rf"\d{{1,3}}(?:{re.escape(mark)}\d{{3}})+(?:[.,]\d+)?", body):
        return None
    return body.replace(mark, "")
