"""Find the encoding of the text in a table, and say which it is."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable
from itertools import islice

from automl.data.sources.base import counted
from automl.errors import DataError
from automl.terminal.printable import short

Names = Callable[[], Iterable[str]]
_WESTERN = "Windows-1252"
# What Python calls them. The first one wins where the names of files fit several.
_ENCODINGS = {
    _WESTERN: "cp1252",
    "Windows-1251": "cp1251",
    "KOI8-R": "koi8-r",
    "Windows-1250": "cp1250",
    "Windows-1253": "cp1253",
    "Shift-JIS": "cp932",
    "GBK": "gb18030",
    "EUC-KR": "cp949",
    "Big5": "big5",
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_MOST_NAMES = 200  # of files that are looked for in a table
_LOST, _TIMES_LOST = "\ufffd", 5  # a character that cannot be read; how many others UTF-8 has beside it
_OUTSIDE = r"[^\x00-\x7f]"
_MARKS = ',;\t|\r\n"'  # around a cell
# Dashes, quotation marks, full width.
_SIGN = re.compile(r"[\u00a0-\u00bf\u2010-\u203a\u2116\u3000-\u3002\uff01-\uff5e]")
_AROUND = re.compile(f"^{_SIGN.pattern}+|{_SIGN.pattern}+$")
_KANA = re.compile(r"[\u3041-\u30fe]")
_CAPITAL_INSIDE = re.compile(r"[\u03ac-\u03ce\u0430-\u045f][\u0386-\u03ab\u0400-\u042f]")
_CYRILLIC = re.compile(r"[\u0400-\u045f]+")
_LETTERS = {
    "Windows-1251": _CYRILLIC,
    "KOI8-R": _CYRILLIC,
    # Without the rare letters with two accents.
    "Windows-1253": re.compile(r"[\u0386-\u038f\u0391-\u03af\u03b1-\u03ce]+"),
}
# The first bytes of common characters, and the least second byte.
_LEADS = {
    "Shift-JIS": (0x88, 0x98, 0x40),
    "GBK": (0xB0, 0xD7, 0xA1),
    "EUC-KR": (0xB0, 0xC8, 0xA1),
    "Big5": (0xA4, 0xC6, 0x40),
}


def decoded(name: str, content: bytes, note: list[str], names: Names | None = None) -> str:
    """Return the text of a file, and add a note with its encoding unless it is UTF-8.

    Text that is neither UTF-8 nor UTF-16 is in the encoding in which it has the `names` of files that are there. If it
    has none of them, it is Windows-1252, of which Latin-1 is a part, where most letters beyond ASCII stand alone, as in
    western languages. Otherwise it is the only encoding in which all letters are common ones of one script. Raises
    DataError where there are several or none, and for binary files.
    """
    wide = utf_16(content)
    if wide is not None:
        note.append(f"{name} was read as UTF-16.")
        return wide
    if b"\0" in content:
        raise DataError(
            f"a manifest must be a readable table, but {name!r} is not (it holds bytes of zero, so it is no text or is "
            "damaged): save it again as UTF-8"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _in_other_encoding(name, content, note, names)


def _in_other_encoding(name: str, content: bytes, note: list[str], names: Names | None) -> str:
    known = _by_names(content, islice(_non_ascii(names() if names else ()), _MOST_NAMES))
    if known:
        text = content.decode(_ENCODINGS[known], "replace" if known == _WESTERN else "strict")
        note.append(
            f"{name} is not UTF-8, and was read as {known}, in which it has the names of the files "
            f"({short(_example(text))!r})."
        )
        return text
    text = content.decode("utf-8", "replace")
    lost = text.count(_LOST)
    if len(re.findall(_OUTSIDE, text)) > _TIMES_LOST * lost:
        note.append(f"{name} is UTF-8, but {counted(lost, 'character')} in it cannot be read: save it again.")
        return text
    text = content.decode(_ENCODINGS[_WESTERN], "replace")
    if _is_western(text):
        note.append(
            f"{name} is not UTF-8, and was read as Windows-1252 (Latin-1), in which a cell is "
            f"{short(_example(text))!r}: save it as UTF-8 if names look wrong."
        )
        return text
    readings = {kind: found for kind in _ENCODINGS if (found := _strict(content, kind)) is not None}
    clean = [kind for kind, text in readings.items() if _is_clean(kind, text)]
    if len(clean) == 1:
        text = readings[clean[0]]
        note.append(
            f"{name} is not UTF-8, and was read as {clean[0]}, in which a cell is {short(_example(text))!r}: save it "
            "as UTF-8 if names look wrong."
        )
        return text
    raise DataError(_unclear(name, {kind: readings[kind] for kind in clean or readings}))


def utf_16(content: bytes) -> str | None:
    """Return the text of UTF-16; without its mark, the first line must be ASCII."""
    if content.startswith(_UTF_16):
        return content.decode("utf-16")
    if b"\0" not in content[:4]:
        return None
    for encoding in ("utf-16-le", "utf-16-be"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        first = text.split("\n", 1)[0].rstrip("\r").replace("\t", " ")
        if first.isascii() and first.isprintable():
            return text
    return None


def _non_ascii(paths: Iterable[str]) -> Iterable[str]:
    """Return the names of files, without extension, that have letters beyond ASCII."""
    for path in paths:
        if not path.isascii():
            stem = posixpath.splitext(posixpath.basename(path))[0]
            if not stem.isascii():
                yield unicodedata.normalize("NFC", stem)


def _by_names(content: bytes, stems: Iterable[str]) -> str:
    """Return the encoding in which most names occur in a text; "" if none does."""
    looked_for = list(stems)
    best, most = "", 0
    for kind, codec in _ENCODINGS.items():
        found = sum(_encoded(stem, codec) in content for stem in looked_for)
        if found > most and (kind == _WESTERN or _strict(content, kind) is not None):
            best, most = kind, found
    return best


def _encoded(stem: str, codec: str) -> bytes:
    """Return the bytes of a name; for one that the encoding does not have, bytes that are in no table."""
    try:
        return stem.encode(codec)
    except UnicodeEncodeError:
        return b"\0"


def _strict(content: bytes, kind: str) -> str | None:
    try:
        return content.decode(_ENCODINGS[kind])
    except UnicodeDecodeError:
        return None


def _is_western(text: str) -> bool:
    """Return whether most letters beyond ASCII stand alone or in pairs, as accents in western languages do."""
    runs = re.findall(f"{_OUTSIDE}+", text)
    odd = sum(len(run) > 2 or (len(run) == 2 and not run.isalpha()) for run in runs)
    return 2 * odd < len(runs)


def _is_clean(kind: str, text: str) -> bool:
    """Return whether all letters beyond ASCII are common ones of the script of an encoding, and signs are around words.

    Of Chinese, Japanese and Korean, common ones are those that the standards list first.
    """
    runs = [run for found in re.findall(f"{_OUTSIDE}+", text) if (run := _AROUND.sub("", found))]
    if kind in _LETTERS:
        letters = "".join(runs)
        words = all(_LETTERS[kind].fullmatch(run) for run in runs)
        return words and letters != letters.upper() and not _CAPITAL_INSIDE.search(text)
    if kind not in _LEADS or not runs:
        return False
    found = set(_SIGN.sub("", "".join(runs)))
    if kind == "Shift-JIS":
        found = {character for character in found if not _KANA.match(character)}
    low, high, trail = _LEADS[kind]
    pairs = [
        character.encode(_ENCODINGS[kind])
        for character in found
        if kind != "Shift-JIS" or not _KANA.match(character)
    ]
    return all(len(pair) == 2 and low <= pair[0] <= high and pair[1] >= trail for pair in pairs)


def _example(text: str) -> str:
    """Return the first cell with a letter beyond ASCII."""
    found = re.search(_OUTSIDE, text)
    if found is None:
        return ""
    begin = 1 + max(text.rfind(mark, 0, found.start()) for mark in _MARKS)
    ends = [end for mark in _MARKS if (end := text.find(mark, found.start())) >= 0]
    return text[begin : min(ends, default=len(text))].strip()


def _unclear(name: str, readings: dict[str, str]) -> str:
    shown = ", ".join(f"in {kind} {short(_example(text))!r}" for kind, text in list(readings.items())[:4])
    shown = shown or "unreadable"
    kind = next(iter(readings), "")
    how = f" (`iconv -f {_ENCODINGS[kind].upper()} -t UTF-8`)" if kind else ""
    return (
        f"a table must be UTF-8, but {name!r} is not, and its encoding is not clear: a cell would be "
        f"{shown}; save it as UTF-8{how}"
    )
